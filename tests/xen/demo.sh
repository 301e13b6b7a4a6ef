#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make demo-xen: boots real Xen, dom0 and an unmodified Linux guest in an emulated machine and leaves
# you at the guest's shell with a disk of blkbackd mounted at /mnt.
#
#   demo.sh BUILD_DIRECTORY      commands for the guest may come from a pipe or file on standard input

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
BUILD=$(cd "${1:-$top/build}" && pwd)
work=$(mktemp -d)
log=$work/console
cleanup() {
    trap - EXIT
    for pid in $(jobs -p); do kill "$pid" 2>/dev/null || :; done
    : >"$work/ended"
    wait
    [ ! -t 0 ] || stty sane
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# shellcheck source=image.sh
. "$here/image.sh"
command -v qemu-system-x86_64 >/dev/null || {
    echo "no qemu-system-x86_64: tools/install-deps.sh xen" >&2
    exit 1
}
RIG=$("$here/setup.sh")
make_images "$work"

cat <<'END'
Booting Xen 4.17, a Linux dom0 and a Linux guest, all emulated: about 20 seconds.
In the guest: the disk is /dev/xvda, its file system at /mnt. To leave: exit, or poweroff.

END

machine() {
    qemu-system-x86_64 -accel tcg,thread=multi -cpu max,-smap,-smep -m 2304 -smp 2 \
        -display none -monitor none -no-reboot -nic none -kernel "$RIG/xen.elf" \
        -append "console=com1 com1=115200,8n1 dom0_mem=1280M,max:1280M dom0_max_vcpus=1 \
loglvl=error guest_loglvl=error noreboot" \
        -initrd "$RIG/vmlinux console=hvc0 quiet panic=0 backend=blkbackd scenarios=demo,$work/dom0.img" \
        -chardev stdio,id=console,signal=off -serial chardev:console \
        -pidfile "$work/pid" 2>"$work/qemu.log"
}

# Ends the machine when it says so, or when $1 seconds have passed.
watch_end() {
    local left=$1
    while ! grep -qaE '^@@ end' "$log" 2>/dev/null && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    [ ! -e "$work/pid" ] || kill "$(cat "$work/pid")" 2>/dev/null || :
    : >"$work/ended"
}

# What comes from a pipe has to wait for the guest's shell.
feed() {
    until grep -qa 'guest # ' "$log" 2>/dev/null; do
        [ ! -e "$work/ended" ] || return 0
        sleep 0.5
    done
    cat
    echo poweroff
    # QEMU would take the end of its input for the end of the line.
    until [ -e "$work/ended" ]; do sleep 1; done
}

: >"$log"
if [ -t 0 ]; then
    watch_end 86400 &
    machine | tee "$log" || :
else
    watch_end 300 &
    feed <&0 | machine | tee "$log" || :
fi
grep -qaE '^@@ end' "$log" || {
    echo "the machine ended early; $(tail -1 "$work/qemu.log")" >&2
    exit 1
}
! grep -qaE '^@@ not ok' "$log"
