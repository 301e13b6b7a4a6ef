# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# Both backends side by side under one guest: the same kind of store for each, one job after the
# other. For tests/xen/bench.sh:
#   @@bench BACKEND STORE JOB KIB MILLISECONDS DOM0_CPU_PERCENT

GUEST_MEMORY=256

# DISK BACKEND STORE, in the guest's order
disks="xvda kernel null_blk
xvdb blkbackd null_blk
xvdc kernel file
xvdd blkbackd file
xvde blkbackd null_engine"

ran() { grep -q "^@@step ran-$1" /tmp/guest-bench.log; }

# Runs one job and sets cpu: per cent of a processor that dom0 used in two seconds of its middle,
# Xen's own accounting.
one() { # number
    xenstore-write "/local/domain/$id/data/go" "run-$1"
    sleep 1.5
    cpu=$(xentop -b -i 2 -d 2 | awk '$1 == "Domain-0" { cpu = $4 } END { print cpu }')
    tries=600
    until ran "$1" || [ $tries -eq 0 ]; do
        sleep 0.5
        tries=$((tries - 1))
    done
}

insmod /lib/modules/xen-blkback.ko
insmod /lib/modules/configfs.ko
insmod /lib/modules/null_blk.ko nr_devices=2 gb=1 queue_mode=2 irqmode=0
for file in k.img b.img; do
    dd if=/dev/zero of=/store/$file bs=1M count=128 2>/dev/null
done
create bench bench \
    "vdev=xvda,access=rw,script=block-loop,target=/dev/nullb0" "$(disk xvdb rw /dev/nullb1)" \
    "vdev=xvdc,access=rw,script=block-loop,target=/store/k.img" "$(disk xvdd rw /store/b.img)" \
    "$(disk xvde rw null:1G)" || fail "xl create" "$(cat /tmp/create.log)"
id=$(xl domid bench)
step ready 120
one 0
echo "@@bench - idle - 0 0 $cpu"
number=1
echo "$disks" | while read -r vdev backend store; do
    for job in randread-4k-1 randread-4k-32 randwrite-4k-32 read-128k-8 write-128k-8; do
        one $number </dev/null
        # shellcheck disable=SC2046
        set -- $(guest_log | sed -n "s/^@@fio $number //p")
        echo "@@bench $backend $store $job ${1:-0} ${2:-0} $cpu"
        number=$((number + 1))
    done
done
xl destroy bench
