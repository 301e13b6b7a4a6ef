#!/bin/sh
# SPDX-License-Identifier: MIT
#
# block-blkbackd against the loopback's xenstore: what it accepts, what it refuses and with which
# words, who may share a disk, and what it leaves. Prints TAP.
#
#   script_test.sh LOOPD SCRIPT dash|busybox

set -u
LOOPD=$1 SCRIPT=$2 SHELL_NAME=$3
T=$(mktemp -d "${TMPDIR:-/tmp}/hotplug.XXXXXX") || exit 1
n=0 failed=0 loopd=

cleanup() {
    [ -z "$loopd" ] || kill "$loopd" 2>/dev/null
    wait
    rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

ok() {
    n=$((n + 1))
    echo "ok $n - $1"
}
not_ok() {
    n=$((n + 1))
    failed=$((failed + 1))
    echo "not ok $n - $1"
    shift
    for line in "$@"; do echo "# $line"; done
}
equal() { # name got wanted
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2'" "wanted '$3'"; fi
}

case $SHELL_NAME in
dash) set -- dash ;;
busybox) set -- busybox ash ;;
esac
for tool in "$1" xenstore-ls flock; do
    command -v "$tool" >/dev/null || {
        echo "1..0 # SKIP no $tool on this machine"
        exit 0
    }
done
RUN=$*

# ---- a store, a /sys, files ----------------------------------------------------------------------

mkdir "$T/loop" "$T/sys" "$T/f"
"$LOOPD" --dir "$T/loop" >"$T/loopd.log" 2>&1 &
loopd=$!
export XENSTORED_PATH="$T/loop/xenstored.sock"
export BLKBACKD_HOTPLUG_WAIT=0 # no blkbackd here; tests/e2e has one
export BLKBACKD_SYSFS="$T/sys" BLKBACKD_HOTPLUG_LOCK="$T/run/hotplug.lock"
tries=200
until [ -S "$XENSTORED_PATH" ] && xenstore-exists / 2>/dev/null; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || {
        echo "Bail out! the loopback does not start: $(cat "$T/loopd.log")"
        exit 1
    }
    sleep 0.05
done

file() { # name: 1 MiB
    truncate -s 1M "$T/f/$1"
    printf "%s\n" "$T/f/$1"
}

# As libxl writes it. disk KIND DOM DEV MODE PARAMS [VM]
disk() {
    at=backend/$1/$2/$3
    xenstore-write -R "$at/frontend-id" "$2" "$at/mode" "$4" "$at/params" "$5" "$at/state" 2 \
        "$at/dev" "dev$3" "/local/domain/$2/name" "guest$2" "/local/domain/$2/vm" "${6:-/vm/$2}"
}

script() { # add|remove [DEV]
    # shellcheck disable=SC2086
    XENBUS_PATH=${2:-$at} $RUN "$SCRIPT" "$1" >"$T/out" 2>&1
}

node() { xenstore-read -R "$at/$1" 2>/dev/null; }

forget() {
    for kind in vbd vbd3 qdisk; do xenstore-rm "backend/$kind" 2>/dev/null; done
    rm -rf "$T/sys"
    mkdir "$T/sys"
}

accepts() { # name path: what physical-device-path must be
    if script add; then
        equal "$1" "$(node physical-device-path)|$(node hotplug-status)" "$2|connected"
    else
        not_ok "$1" "refused: $(cat "$T/out")"
    fi
}

refuses() { # name words
    if script add; then
        not_ok "$1 is refused" "it was accepted"
        return
    fi
    case $(node hotplug-status)\|$(node hotplug-error)\|$(node physical-device-path) in
    error\|*"$2"*\|) ok "$1 is refused: $2" ;;
    *) not_ok "$1 is refused: $2" "hotplug-error: $(node hotplug-error)" "$(cat "$T/out")" ;;
    esac
}

# ---- targets -------------------------------------------------------------------------------------

a=$(file a.img)
disk vbd 5 51712 w "$a"
accepts "a file" "$a"
equal "physical-device is not written" "$(node physical-device)" ""

ln -s a.img "$T/f/link"
for params in "uring:$a" "aio:$a" "aio:uring:$a" "$T/f/link" "$T/f/../f/a.img"; do
    disk vbd 5 51712 w "$params"
    accepts "the target ${params##*/f/} is resolved" "$a"
done
disk vbd 5 51712 w null:10G
accepts "null:10G stays as it is" null:10G
disk vbd 5 51712 w aio:null:1M
accepts "aio:null:1M loses what libxl put in front" null:1M
strange=$(file "a b'c\"d\\e\$f*")
disk vbd 5 51712 w "$strange"
accepts "a name with blanks and quotes" "$strange"
disk vbd 5 51712 r "$a"
accepts "read-only" "$a"
forget

disk vbd 5 51712 w "$T/f/none"
refuses "a file that is not there" "$T/f/none: no such file"
disk vbd 5 51712 w "$T/f"
refuses "a folder" "neither a file nor a block device"
disk vbd 5 51712 w /dev/null
refuses "a character device" "neither a file nor a block device"
: >"$T/f/empty"
disk vbd 5 51712 w "$T/f/empty"
refuses "an empty file" "the file is empty"
truncate -s 1000 "$T/f/odd"
disk vbd 5 51712 w "$T/f/odd"
refuses "a file of 1000 bytes" "not a multiple of 512"
disk vbd 5 51712 w a.img
refuses "a relative path" "must be an absolute path"
disk vbd 5 51712 w ""
refuses "no target" "no target"
disk vbd 5 51712 w "tape:/x"
refuses "an unknown engine" "tape: no such storage engine"
disk vbd 5 51712 x "$a"
refuses "mode x" 'neither r nor w'
disk vbd 5 51712 w "sharable:$T/f/none"
refuses "a shared file that is not there" "no such file"
if [ "$(id -u)" = 0 ]; then
    ok "a file that may not be written is refused # SKIP root may write everything"
else
    chmod 444 "$T/f/odd" && truncate -s 1024 "$T/f/odd" 2>/dev/null
    readonly_file=$(file ro.img)
    chmod 444 "$readonly_file"
    disk vbd 5 51712 w "$readonly_file"
    refuses "a file that may not be written" "not writable"
fi
forget

# ---- who may share -------------------------------------------------------------------------------

# sharing NAME MODE1 PARAMS1 MODE2 PARAMS2 [WORDS]: the second is refused with WORDS, or accepted
sharing() {
    disk vbd 5 51712 "$2" "$3"
    script add || not_ok "$1: the first" "$(cat "$T/out")"
    disk vbd 6 51728 "$4" "$5"
    if [ $# -eq 6 ]; then refuses "$1" "$6"; else accepts "$1" "${5#sharable:}"; fi
    forget
}

sharing "a second writer" w "$a" w "$a" "already in use by guest guest5 (domain 5, disk dev51712, writable)"
sharing "a second writer: what to do" w "$a" w "$a" "target=sharable:$a"
sharing "a reader beside a writer" w "$a" r "$a" "writable"
sharing "a writer beside a reader" r "$a" w "$a" "read-only"
sharing "a reader beside a reader" r "$a" r "$a"
sharing "another file" w "$a" w "$(file b.img)"
sharing "a shared disk beside a writer" w "$a" w "sharable:$a"
sharing "a writer beside a shared disk" w "sharable:$a" w "$a" "already in use"
sharing "two shared disks" w "sharable:$a" w "sharable:$a"
sharing "mode w!" w "$a" 'w!' "$a"
ln "$a" "$T/f/hard"
sharing "another name of the same file" w "$a" w "$T/f/hard" "already in use"
sharing "a link to the same file" w "$a" w "$T/f/link" "already in use"
sharing "a file with a strange name" w "$strange" w "$strange" "already in use"

disk vbd 5 51712 w "sharable:$a"
script add
equal "a shared disk's mode says so" "$(node mode)" 'w!'
forget

disk vbd 5 51712 w "$a" /vm/same
script add
disk vbd 6 51712 w "$a" /vm/same
accepts "the same guest under another domain id (migration)" "$a"
forget
disk vbd 5 51712 w "$a"
script add
disk vbd 5 51728 w "$a"
refuses "a second disk of the same guest" "already in use by guest guest5"
at=backend/vbd/5/51712
accepts "the same disk once more" "$a"
forget

disk vbd3 5 51712 w "aio:$a"
accepts "kind vbd3" "$a"
disk vbd 6 51712 w "$a"
refuses "what a vbd3 disk has" "guest5"
forget
disk qdisk 5 51712 w "aio:$a"
disk vbd 6 51712 w "$a"
refuses "what QEMU's disk has" "guest5"
forget
disk vbd 5 51712 w "$a"
disk vbd 6 51712 w "$a"
accepts "a file whose other disk has not come to its script yet" "$a"
forget

# The kernel's disks have a device number; behind a loop device is a file.
mkdir -p "$T/sys/dev/block/7:19/loop"
echo "$a" >"$T/sys/dev/block/7:19/loop/backing_file"
disk vbd 5 51712 w /dev/loop19
xenstore-write -R "$at/physical-device" 7:13
mkdir -p "$T/sys/block/loop19/loop"
echo "$a" >"$T/sys/block/loop19/loop/backing_file"
disk vbd 6 51712 w "$a"
refuses "what the kernel has through a loop device" "guest5"
disk vbd 6 51712 w "$(file b.img)"
accepts "another file than what is behind the loop device" "$T/f/b.img"
forget

mkdir -p "$T/sys/block/loop3/loop"
echo "$a" >"$T/sys/block/loop3/loop/backing_file"
disk vbd 5 51712 w "$a"
refuses "what the host has as a loop device" "in use as /dev/loop3"
disk vbd 5 51712 r "$a"
accepts "reading what the host has as a loop device" "$a"
disk vbd 5 51712 w "sharable:$a"
accepts "sharing what the host has as a loop device" "$a"
forget
for number in "" 7 : 7: :7 7:13:1 'x:y' '$(touch x):1'; do
    disk vbd 5 51712 w /dev/loop19
    xenstore-write -R "$at/physical-device" "$number"
    disk vbd 6 51712 w "$a"
    accepts "a disk whose physical-device is '$number' is not ours" "$a"
    forget
done

# ---- the kernel's driver -------------------------------------------------------------------------

driver=$T/sys/bus/xen-backend/drivers/vbd
mkdir -p "$driver"
: >"$driver/unbind"
: >"$driver/vbd-5-51712"
: >"$driver/vbd-6-51712"
disk vbd 5 51712 w "$a"
script add
equal "xen-blkback gives up this disk" "$(cat "$driver/unbind")" vbd-5-51712
: >"$driver/unbind"
disk vbd 7 51712 w "$(file b.img)"
script add
equal "xen-blkback is left alone where it has nothing" "$(cat "$driver/unbind")" ""
disk vbd 6 51712 w "$T/f/none"
script add
equal "xen-blkback keeps a disk that is refused" "$(cat "$driver/unbind")" ""
disk vbd3 6 51712 w "$(file c.img)"
script add
equal "xen-blkback has no vbd3" "$(cat "$driver/unbind")" ""
forget

# ---- remove, and guests that are gone ------------------------------------------------------------

disk vbd 5 51712 w "$a"
script add
before=$(xenstore-ls -f backend | grep -v -e physical-device-path -e hotplug-status)
script remove
equal "remove takes back what add wrote, and nothing else" "$(xenstore-ls -f backend)" "$before"
disk vbd 5 51712 w "$T/f/none"
script add
script remove
equal "remove takes the error too" "$(node hotplug-error)" ""
disk vbd 6 51712 w "$T/f/b.img"
script add
script remove
disk vbd 7 51712 w "$T/f/b.img"
accepts "a file that was removed from another guest" "$T/f/b.img"
forget
at=backend/vbd/9/51712
if script add; then not_ok "add for a guest that is gone fails"; else ok "add for a guest that is gone fails"; fi
script remove
equal "a directory that is gone stays gone" "$(xenstore-ls -f backend 2>/dev/null)" ""
for path in "" backend backend/vbd/5 backend/vbd/5/51712/x /local/domain/0/backend/vbd/5/51712; do
    XENBUS_PATH=$path $RUN "$SCRIPT" add >"$T/out" 2>&1
    equal "XENBUS_PATH='$path' is a wrong call" $? 2
done
at=backend/vbd/5/51712
script online
equal "a verb that does not exist is a wrong call" $? 2

# ---- several at once -----------------------------------------------------------------------------

# Eight guests want the same file: one gets it, seven are told who has it.
race() { # name
    running=
    for dom in 11 12 13 14 15 16 17 18; do
        disk vbd $dom 51712 w "$a"
    done
    for dom in 11 12 13 14 15 16 17 18; do
        XENBUS_PATH=backend/vbd/$dom/51712 $RUN "$SCRIPT" add >/dev/null 2>&1 &
        running="$running $!"
    done
    # shellcheck disable=SC2086
    wait $running
    equal "$1: one of eight gets the disk" \
        "$(xenstore-ls -f backend | grep -c 'hotplug-status = "connected"')" 1
    equal "$1: seven are told" \
        "$(xenstore-ls -f backend | grep -c 'hotplug-error = ".*already in use')" 7
    forget
}
race "at once"

# A machine without flock.
mkdir "$T/bin"
for tool in xenstore-read xenstore-write xenstore-ls xenstore-exists xenstore-rm stat readlink \
    mkdir rmdir rm ln cat sleep dash busybox; do
    path=$(command -v $tool) && ln -s "$path" "$T/bin/$tool"
done
sed "s|^PATH=.*|PATH=$T/bin|" "$SCRIPT" >"$T/script"
SCRIPT=$T/script
race "at once without flock"
sleep 0 &
dead=$!
wait $dead
ln -s $dead "$BLKBACKD_HOTPLUG_LOCK.pid"
disk vbd 5 51712 w "$a"
accepts "the lock of a process that was killed is broken" "$a"
forget
ln -s $dead "$BLKBACKD_HOTPLUG_LOCK.pid"
race "at once behind the lock of a process that was killed"
equal "no lock is left" "$(ls "$T/run")" hotplug.lock

echo "1..$n"
[ $failed -eq 0 ]
