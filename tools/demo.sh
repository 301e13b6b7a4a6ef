#!/bin/sh
# SPDX-License-Identifier: MIT
# make demo: a guest's disk, end to end, on a machine without Xen. Everything runs in a private folder
# that is removed at the end.
set -eu

BUILD=${1:?usage: demo.sh BUILD_DIRECTORY}
. "$(dirname "$0")/stack.sh"

DEMO_MIB=1024
DATA_MIB=600

BOLD='' PLAIN=''
if [ -t 1 ]; then BOLD=$(printf '\033[1m') PLAIN=$(printf '\033[0m'); fi
say() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
PATH=$PATH:/usr/sbin:/sbin

stack_folder
started=$(date +%s)

say "1. A $DEMO_MIB MiB disk image with an ext4 file system and $DATA_MIB MiB of random files in it"
mkdir "$STACK/files"
i=0
while [ $i -lt 6 ]; do
    head -c $((DATA_MIB * 1048576 / 6)) /dev/urandom >"$STACK/files/data$i"
    i=$((i + 1))
done
(cd "$STACK/files" && sha256sum data* >SHA256SUMS)
truncate -s ${DEMO_MIB}M "$STACK/source.img" "$STACK/disk.img"
mkfs.ext4 -q -F -d "$STACK/files" "$STACK/source.img"
rm -rf "$STACK/files"
echo "   made $STACK/source.img (to be copied in) and $STACK/disk.img (empty, to be served)"

say "2. The loopback hypervisor, the daemon, a guest domain, and disk.img attached to it as xvda"
stack_up
stack_domain
stack_attach xvda "$STACK/disk.img"
echo "   guest domain $DOM; its frontend is the program blkfront"

say "3. Through the ring: the file system is written to the disk, and read back"
"$FRONT" --hv "$HV" --disk xvda write --from "$STACK/source.img"
"$FRONT" --hv "$HV" --disk xvda read --to "$STACK/back.img"

say "4. Verified bit for bit"
"$FRONT" --hv "$HV" --disk xvda verify --from "$STACK/source.img"
cmp "$STACK/source.img" "$STACK/back.img"
echo "   what was read back through the ring equals what was written: $DEMO_MIB MiB"
cmp "$STACK/source.img" "$STACK/disk.img"
echo "   the image file on the host equals it too"
rm -f "$STACK/back.img"

say "5. What runs where, seen while a benchmark reads the disk"
"$FRONT" --hv "$HV" --disk xvda bench --rw randread --bs 4k --iodepth 32 --runtime 2 \
    >"$STACK/bench.out" 2>/dev/null &
bench=$!
STACK_KILL=$bench
sleep 1
stack_ctl list
echo
stack_ctl show "$DOM:xvda"
echo
stack_ctl caches
echo
ps -o pid,ppid,user,rss,args -p "$LOOPD_PID,$DAEMON_PID,$bench" --ppid "$DAEMON_PID" |
    sed "s|$BUILD/||g; s|$STACK|DIR|g" | cut -c1-120
wait $bench
STACK_KILL=

say "6. Detached; the file system on the host's image checked from outside"
stack_detach xvda
e2fsck -f -n "$STACK/disk.img"

say "7. Figures: frontend, ring and storage on this machine"
stack_attach xvdb "$STACK/disk.img"
for job in "--rw randread --bs 4k --iodepth 1" "--rw randread --bs 4k --iodepth 32" \
    "--rw randwrite --bs 4k --iodepth 32" "--rw read --bs 44k --iodepth 8"; do
    # shellcheck disable=SC2086 # the job is several words
    "$FRONT" --hv "$HV" --disk xvdb bench $job --runtime 2
done
echo "   and the ring alone, with no storage behind it (engine null):"
stack_attach xvdc null:1T
"$FRONT" --hv "$HV" --disk xvdc bench --rw randread --bs 4k --iodepth 32 --runtime 2
stack_detach xvdb
stack_detach xvdc
"$LOOPCTL" --dir "$STACK/loop" report

say "All good: $(($(date +%s) - started)) s. Nothing is left behind."
