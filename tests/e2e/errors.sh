#!/bin/sh
# SPDX-License-Identifier: MIT
# What a person reads when a disk cannot be had: through the hotplug script as libxl calls it, in the
# store, and in blkbackctl. Nothing stays behind and nothing is lost.
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"

SCRIPT=$SOURCE/packaging/block-blkbackd
attach() { stack_attach "$@" --script "$SCRIPT"; }
workers() { pgrep -P "$DAEMON_PID" -f blkbackd-vbd | wc -l; }
no_workers() { [ "$(workers)" -eq 0 ]; }

stack_folder
export BLKBACKD_HOTPLUG_LOCK="$STACK/hotplug.lock"
truncate -s 1M "$STACK/good.img"
truncate -s 1000 "$STACK/odd.img"
: >"$STACK/empty.img"
mkdir "$STACK/folder"
stack_up || exit 1
stack_domain

bad() { # name target text
    refuse "$1 is refused" attach xvda "$2"
    says "$1: the reason is told" "$3"
}
bad "a file that does not exist" "$STACK/none.img" "no such file"
bad "a folder" "$STACK/folder" "neither a file nor a block device"
bad "a character device" /dev/null "neither a file nor a block device"
bad "an empty file" "$STACK/empty.img" "empty"
bad "a size that is no multiple of 512" "$STACK/odd.img" "not a multiple of 512"
bad "an unknown engine" "qcow2:$STACK/good.img" "no such storage engine"
bad "a relative path" "good.img" "absolute path"
check "a good file is attached" attach xvda "$STACK/good.img"
check "blkbackd said that it has it open" xenstore-exists "/local/domain/0/backend/vbd/$DOM/51712/storage"
bad_second() {
    FIRST=$DOM
    stack_domain
    refuse "a second guest may not write it" attach xvda "$STACK/good.img"
    says "the reason names the first one" "in use by guest"
    check "unless that is asked for" attach xvda "sharable:$STACK/good.img"
    check "and taken back" stack_detach xvda
    DOM=$FIRST
}
bad_second
check "the good one is detached" stack_detach xvda
check "no worker is left" stack_wait 5 no_workers

if command -v qemu-io >/dev/null 2>&1; then
    qemu-io -f raw "$STACK/good.img" -c "sleep 20000" >/dev/null 2>&1 &
    HOLDER=$!
    STACK_KILL=$HOLDER
    locked() { grep -q ":$(stat -c %i "$STACK/good.img") " /proc/locks; }
    stack_wait 10 locked
    refuse "a file that another program writes is refused" attach xvda "$STACK/good.img"
    says "the reason says so" "in use"
    kill $HOLDER
    wait $HOLDER 2>/dev/null
    check "once it is free it is attached" attach xvda "$STACK/good.img"
    check "and detached" stack_detach xvda
else
    skip "a file that another program writes" "qemu-io is not installed"
fi

if LOOP=$(losetup -f --show "$STACK/good.img" 2>/dev/null); then
    refuse "a file in use as a loop device is refused" attach xvda "$STACK/good.img"
    says "the reason names the loop device" "$LOOP"
    losetup -d "$LOOP"
    check "once it is free it is attached" attach xvda "$STACK/good.img"
    check "and detached" stack_detach xvda
else
    skip "a file in use as a loop device" "loop devices need root"
fi

# A frontend that gives nonsense again and again: told, but not without end.
stack_attach xvda null:1M
FRONT_DIR=/local/domain/$DOM/device/vbd/51712
STORE=$STACK/loop/store-$DOM.sock
guest() { XENSTORED_PATH=$STORE "$@"; }
closing() { [ "$(xenstore-read "/local/domain/0/backend/vbd/$DOM/51712/state")" = 5 ]; }
initwait() { [ "$(xenstore-read "/local/domain/0/backend/vbd/$DOM/51712/state")" = 2 ]; }
guest xenstore-write "$FRONT_DIR/ring-ref" 60000 "$FRONT_DIR/event-channel" 9 \
    "$FRONT_DIR/protocol" x86_64-abi "$FRONT_DIR/state" 3
check "a ring that cannot be mapped closes the disk" stack_wait 10 closing
check "blkbackctl says why" stack_ctl list
says "in so many words" "cannot map the ring"
i=0
while [ $i -lt 30 ]; do
    guest xenstore-write "$FRONT_DIR/state" 6
    guest xenstore-write "$FRONT_DIR/state" 1
    stack_wait 10 initwait
    guest xenstore-write "$FRONT_DIR/state" 3
    stack_wait 10 closing
    i=$((i + 1))
done
few() { [ "$(grep -c "cannot map the ring" "$STACK/daemon.log")" -lt 15 ]; }
check "thirty times the same mistake is not thirty lines of log (XSA-180)" few
guest xenstore-write "$FRONT_DIR/state" 6
check "the disk is taken away" stack_detach xvda --force
check "nothing is mapped or bound" "$LOOPCTL" --dir "$STACK/loop" report
check "no worker is left at the end" stack_wait 5 no_workers

stack_daemon_stop
refuse "without the daemon the tool fails" stack_ctl list
says "and says how to start it" "start it"
done_testing
