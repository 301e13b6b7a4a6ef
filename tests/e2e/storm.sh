#!/bin/sh
# SPDX-License-Identifier: MIT
# Endings under load: guest destroyed, daemon restarted, disk forced away, worker killed; after each
# nothing is left, and what was acknowledged is on the image.
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"

front() { "$FRONT" --hv "$HV" --disk xvda "$@"; }
workers() { pgrep -P "$DAEMON_PID" -f blkbackd-vbd | wc -l; }
no_workers() { [ "$(workers)" -eq 0 ]; }
nothing_left() { no_workers && "$LOOPCTL" --dir "$STACK/loop" report; }
load() {
    "$FRONT" --hv "$HV" --disk xvda bench --rw randrw --bs 4k --iodepth 32 --runtime "$1" >"$STACK/load.out" 2>&1 &
    LOAD=$!
    STACK_KILL=$LOAD
    stack_wait 10 busy
}
busy() { stack_ctl --json show "$DOM:xvda" | grep -q '"rd_req": *[1-9]'; }

stack_folder
truncate -s 64M "$STACK/disk.img"
stack_up || exit 1

stack_domain
stack_attach xvda "$STACK/disk.img"
load 60
check "a guest is destroyed under load" "$LOOPCTL" --dir "$STACK/loop" destroy "$DOM"
kill $LOAD 2>/dev/null
wait $LOAD 2>/dev/null
check "its worker, mappings and ports go with it" stack_wait 10 nothing_left
check "the daemon lists no disk" stack_ctl list
refuse "not even closed" grep -q xvda "$STACK/out"

stack_domain
stack_attach xvda "$STACK/disk.img"
load 6
check "the daemon is stopped under load" stack_daemon_stop
check "and started again" stack_daemon
connected() { stack_ctl list | grep -q connected; }
check "the disk is connected as before, with no state written" stack_wait 5 connected
check "the guest's I/O goes on and ends well" wait $LOAD
check "without an error" grep -q ' 0 errors' "$STACK/load.out"
check "it is detached" stack_detach xvda
check "nothing is left" stack_wait 10 nothing_left

stack_attach xvda "$STACK/disk.img"
load 60
check "a disk is forced away under load" stack_detach xvda --force
kill $LOAD 2>/dev/null
wait $LOAD 2>/dev/null
check "nothing is left" stack_wait 10 nothing_left

stack_attach xvda "$STACK/disk.img"
load 60
pkill -KILL -P "$DAEMON_PID" -f blkbackd-vbd
closing() { [ "$(xenstore-read "/local/domain/0/backend/vbd/$DOM/51712/state")" != 4 ]; }
check "a worker that dies takes its disk to Closing" stack_wait 10 closing
check "with a reason in the store" xenstore-read "error/backend/vbd/$DOM/51712/error"
says "that names the worker" worker
kill $LOAD 2>/dev/null
wait $LOAD 2>/dev/null
check "the disk is forced away" stack_detach xvda --force
check "nothing is left" stack_wait 10 nothing_left
done_testing
