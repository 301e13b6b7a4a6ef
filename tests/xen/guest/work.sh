# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# A guest's life with its disks: xvda 32 MiB read-write, xvdc read-only, xvdb comes and goes.
# The first boot ends in a reboot, the second in a load that dom0 cuts off.

refuses_writing() { ! dd if=/dev/zero of=/dev/xvdc bs=4k count=1 conv=fsync; }
is_read_only() { [ "$(cat /sys/block/xvdc/ro)" = 1 ]; }
mounts() { mount -t ext4 "$@" /dev/xvda /mnt; }
hash_files() { (cd /mnt && sha256sum -- *.bin) >/tmp/files; }

first_boot() {
    check "xvda is there" wait_for 20 test -b /dev/xvda
    check "xvda has 65536 sectors" test "$(sectors xvda)" = 65536
    check "xvda: mkfs.ext4" /sbin/mke2fs -q -t ext4 /dev/xvda
    check "xvda: mount" mounts
    check_fio xvda /mnt/fio 12
    rm /mnt/fio
    for i in 1 2 3; do dd if=/dev/urandom of=/mnt/$i.bin bs=100k count=10 2>/dev/null; done
    (cd /mnt && sha256sum -- *.bin >sums)
    check "xvda: fstrim" fstrim -v /mnt
    check "xvda: umount" umount /mnt
    check "xvda: e2fsck finds nothing" /sbin/e2fsck -fn /dev/xvda
    sum xvda

    check "xvdc: is read-only" is_read_only
    check "xvdc: writing is refused" refuses_writing
    sum xvdc
    step base

    # dom0 attaches xvdb
    if [ "$1" = all ]; then
        for round in 1 2; do
            check "xvdb: appears (round $round)" wait_for 60 test -b /dev/xvdb
            check_fio "xvdb (round $round)" /dev/xvdb 8
            sum xvdb
            step "xvdb-$round"
            check "xvdb: goes away (round $round)" wait_for 60 test ! -e /sys/block/xvdb
        done
    fi
    wait_told reboot
    mounts && touch /mnt/second && umount /mnt
    sum xvda
    step reboots
    sync
    reboot -f
}

second_boot() {
    check "after the reboot: the files are whole" sh -c 'cd /mnt && sha256sum -c sums'
    umount /mnt
    check "after the reboot: e2fsck finds nothing" /sbin/e2fsck -fn /dev/xvda
    mounts
    step rebooted
    if [ "$1" = all ]; then
        fio --name=load --filename=/mnt/load --size=12M --rw=randrw --bs=16k --ioengine=libaio \
            --direct=1 --iodepth=32 --time_based --runtime=600 >/tmp/load.out 2>&1 &
        wait_for 20 sh -c 'awk "\$3 == \"xvda\" && \$8 > 2000 { found = 1 } END { exit !found }" \
            /proc/diskstats'
        step loaded
        sleep 600
    fi
    umount /mnt
    sum xvda
    step leaves
}

wait_for 20 test -b /dev/xvda
if mounts -o ro 2>/dev/null && [ -e /mnt/second ]; then
    umount /mnt
    mounts
    second_boot "${job#*,}"
else
    umount /mnt 2>/dev/null
    first_boot "${job#*,}"
fi
