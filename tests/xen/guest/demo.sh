# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# A shell with the disk mounted. fio, mke2fs and e2fsck are there.

wait_for 20 test -b /dev/xvda
mount -t ext4 /dev/xvda /mnt
echo "This is the Xen guest. /dev/xvda, $(($(sectors xvda) / 2048)) MiB, is mounted at /mnt."
cat >/tmp/profile <<'END'
PS1='guest # '
poweroff() { exit; }
cd /mnt
END
ENV=/tmp/profile setsid cttyhack sh -i
umount /mnt
