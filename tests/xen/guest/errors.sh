# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# The guest of dom0/errors.sh: has its disk, then two more, one from each backend.

check "xvda is there" wait_for 20 test -b /dev/xvda
step up
wait_for 240 told beside
for disk in xvdf xvdg; do
    check "$disk appears" wait_for 20 test -b /dev/$disk
    check_fio $disk /dev/$disk 4
    sum $disk
done
step beside
sleep 600
