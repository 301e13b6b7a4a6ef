# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# A guest with a disk, and its console for whoever sits at the machine's.

GUEST_MEMORY=256
make_image /store/demo.img 64
/sbin/mke2fs -q -t ext4 /store/demo.img
if create demo demo "$(disk xvda rw /store/demo.img)"; then
    echo "xl create demo: its disk xvda is /store/demo.img in dom0"
    blkbackctl --socket /run/blkbackd/control.sock list 2>/dev/null
    xl console demo
    echo
    check "the guest went" wait_for 20 domain_gone demo
    check_nothing_left "the guest went" 1
    check "e2fsck of the image" /sbin/e2fsck -fn /store/demo.img
else
    fail "xl create" "$(cat /tmp/create.log)"
fi
