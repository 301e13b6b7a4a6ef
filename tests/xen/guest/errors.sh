# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# The guest of dom0/errors.sh: has its disk, whose backend is restarted under it, then two more, one
# from each backend.

check "xvda is there" wait_for 20 test -b /dev/xvda
step up
wait_for 240 told restart
(wait_for 20 sh -c 'awk "\$3 == \"xvda\" && \$8 > 60 { found = 1 } END { exit !found }" \
    /proc/diskstats' && step busy) &
check_fio "xvda, its backend restarted" /dev/xvda 12
sum xvda
step restarted
wait_for 240 told beside
for disk in xvdf xvdg; do
    check "$disk appears" wait_for 20 test -b /dev/$disk
    check_fio $disk /dev/$disk 4
    sum $disk
done
step beside
sleep 600
