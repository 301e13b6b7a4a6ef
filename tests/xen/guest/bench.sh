# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# The guest of dom0/bench.sh: fio's jobs, one when told.

run() { # disk job: pattern-size-depth
    pattern=${2%%-*} size=${2#*-}
    fio --name=b --filename="/dev/$1" --size=128M --rw="$pattern" --bs="${size%-*}" \
        --iodepth="${2##*-}" --ioengine=libaio --direct=1 --time_based --runtime=4 --norandommap \
        --minimal 2>/dev/null | awk -F';' -v n="$number" \
        '{ print "@@fio", n, $6 + $47, ($9 > $50 ? $9 : $50) }'
}

for disk in xvda xvdb xvdc xvdd xvde; do
    check "$disk is there" wait_for 20 test -b /dev/$disk
done
step ready
wait_for 600 told run-0
sleep 4
step ran-0
number=1
for disk in xvda xvdb xvdc xvdd xvde; do
    for job in randread-4k-1 randread-4k-32 randwrite-4k-32 read-128k-8 write-128k-8; do
        wait_for 600 told run-$number
        run $disk $job
        step ran-$number
        number=$((number + 1))
    done
done
