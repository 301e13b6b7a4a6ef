#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boots Xen with a Linux dom0 under QEMU's software emulation until dom0 says "@@ end".
#
#   boot.sh RIG INITRD LOG SECONDS [dom0 kernel argument...]
#
# Environment: CPU= for another processor (PVH guests need some features absent), ICOUNT=1 counts
# instructions as time (figures repeat whatever else the machine does), MEM, DOM0MEM in MiB.
# Exit 0: ended by itself. Kills QEMU on every way out.
#
# No KVM: Xen's PV dom0 under it trips over model-specific registers on some machines, and emulation
# is everywhere. QEMU 7.2's iretq at ring 3 faults under SMAP, hence the processor.

set -euo pipefail
rig=$1 initrd=$2 log=$3 limit=$4
shift 4
accel=tcg,thread=multi
icount=()
if [ "${ICOUNT:-0}" = 1 ]; then
    accel=tcg,thread=single
    icount=(-icount "shift=1,sleep=off")
fi
dom0mem=${DOM0MEM:-1280}
: >"$log"
nice -n 5 timeout "$limit" qemu-system-x86_64 -accel "$accel" "${icount[@]}" \
    -cpu "${CPU:-max,-smap,-smep}" -m "${MEM:-2304}" -smp 2 -display none -monitor none -no-reboot \
    -nic none -serial "file:$log" -kernel "$rig/xen.elf" \
    -append "console=com1 com1=115200,8n1 dom0_mem=${dom0mem}M,max:${dom0mem}M dom0_max_vcpus=1 \
loglvl=warning guest_loglvl=warning noreboot" \
    -initrd "$rig/vmlinux console=hvc0 quiet panic=0 $*,$initrd" </dev/null 2>"$log.qemu" &
qemu=$!
trap 'kill $qemu 2>/dev/null || :; wait $qemu 2>/dev/null || :' EXIT
trap 'exit 1' HUP INT TERM
while kill -0 $qemu 2>/dev/null; do
    if grep -qE '^@@ end' "$log"; then
        exit 0
    fi
    if grep -qE 'crashed on cpu|Panic on CPU|Kernel panic' "$log"; then
        sleep 1
        exit 1
    fi
    sleep 0.5
done
grep -qE '^@@ end' "$log"
