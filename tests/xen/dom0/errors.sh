# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# What xl's user sees when a disk cannot be had, the sharing check, and life beside xen-blkback.

attach() { # vdev access target [script]
    xl block-attach g1 "vdev=$1,access=$2,script=${4:-block-blkbackd},target=$3"
}

# refused NAME TEXT command...: fails, and xl's user reads TEXT
refused() {
    name=$1 text=$2
    shift 2
    if "$@" >/tmp/refused 2>&1; then
        fail "$name: is refused"
        return
    fi
    [ "$1" != create ] || cp /tmp/create.log /tmp/refused
    if grep -q "$text" /tmp/refused; then
        pass "$name: is refused, and says why"
    else
        fail "$name: is refused and says '$text'" "$(cat /tmp/refused)"
    fi
}

# libxl keeps the nodes of a disk whose script failed until it is detached.
refused_attach() { # name text vdev access target
    name=$1 text=$2
    shift 2
    refused "$name" "$text" attach "$@"
    check "$name: and is detached" xl block-detach g1 "$1"
}

no_disk() { [ -z "$(xenstore-ls -f backend/vbd | grep "/$1/")" ]; }

bad_targets() {
    refused "no such file" "/store/none.img: no such file" \
        create bad idle "$(disk xvda rw /store/none.img)"
    check "no such file: the guest is not left behind" wait_for 10 domain_gone bad
    printf %1000s x >/store/odd.img
    refused "a size that is no multiple of 512" "1000 bytes is not a multiple of 512" \
        create bad idle "$(disk xvda rw /store/odd.img)"
    refused "a folder" "neither a file nor a block device" create bad idle "$(disk xvda rw /store)"
    refused "an unknown engine" "no such storage engine" \
        create bad idle "$(disk xvda rw tape:/store/odd.img)"
    check "after the refusals: no process" wait_for 10 workers_are 0
    check "after the refusals: nothing in xenstore" wait_for 5 no_disk 51712
}

sharing() {
    refused_attach "a second writer in the same guest" "already in use by guest g1" \
        xvdb rw /store/a.img
    refused "a second writer in another guest" "already in use by guest g1 (domain" \
        create g2 idle "$(disk xvda rw /store/a.img)"
    guest=g1
    refused_attach "a reader of what another writes" "disk xvda, writable" xvdb ro /store/a.img
    losetup /dev/loop7 /store/a.img
    refused_attach "a loop device over it" "already in use by guest g1" xvdb rw /dev/loop7
    losetup -d /dev/loop7
    refused_attach "a device that dom0 has mounted" "mounted at /store" xvdb rw /dev/ram0
    make_image /store/c.img 4
    check "a file read by one" attach xvdb ro /store/c.img
    check "a file read by two" attach xvdc ro /store/c.img
    refused_attach "a writer of what others read" "read-only)" xvdd rw /store/c.img
    make_image /store/s.img 4
    check "a disk to be shared, the first" attach xvdd rw sharable:/store/s.img
    check "a disk to be shared, the second" attach xvde rw sharable:/store/s.img
    check "all five have a worker" wait_for 5 workers_are 5
    for vdev in xvdb xvdc xvdd xvde; do
        check "$vdev goes" xl block-detach g1 $vdev
    done
}

# The guest's disk stays while its backend is replaced in the middle of its I/O.
daemon_restarts() {
    go restart
    step busy 60 || return 1
    kill -TERM "$DAEMON"
    check "restart: the daemon ends" wait_for 20 test ! -d "/proc/$DAEMON"
    check "restart: so do its workers" wait_for 10 workers_are 0
    start_daemon
    check "restart: the disk has a worker again" wait_for 20 workers_are 1
    step restarted 120
    check_equal "restart: xvda holds what the guest wrote" "$(checksum /store/a.img)" \
        "$(guest_sum xvda)"
}

# The kernel's driver is loaded when udev sees the first vbd on many machines.
beside_the_kernel() {
    insmod /lib/modules/xen-blkback.ko
    make_image /store/k.img 4
    make_image /store/b.img 4
    check "beside xen-blkback: a disk of its own" attach xvdf rw /store/k.img block-loop
    check "beside xen-blkback: a disk of blkbackd" attach xvdg rw /store/b.img
    refused_attach "beside xen-blkback: what its disk has behind a loop device" \
        "already in use by guest g1" xvdh rw /store/k.img
    go beside
    step beside 120 || return 1
    check "beside xen-blkback: its disk is the kernel's" test 0 -lt \
        "$(cat "/sys/bus/xen-backend/drivers/vbd/vbd-$first-51792/statistics/wr_req")"
    check "beside xen-blkback: ours was taken from it" \
        test ! -e "/sys/bus/xen-backend/drivers/vbd/vbd-$first-51808"
    check "beside xen-blkback: ours has a worker, its disk has none" workers_are 2
    check_equal "beside xen-blkback: ours holds what the guest wrote" \
        "$(checksum /store/b.img)" "$(guest_sum xvdg)"
    check_equal "beside xen-blkback: its holds what the guest wrote" \
        "$(checksum /store/k.img)" "$(guest_sum xvdf)"
    check "beside xen-blkback: ours goes" xl block-detach g1 xvdg
    check "beside xen-blkback: its goes" xl block-detach g1 xvdf
}

bad_targets
make_image /store/a.img 16
if create g1 errors "$(disk xvda rw /store/a.img)" && step up 60; then
    first=$(xl domid g1)
    sharing
    daemon_restarts
    beside_the_kernel
    check "xl destroy" xl destroy g1
    check_nothing_left "destroyed" "$first"
else
    fail "xl create" "$(cat /tmp/create.log)"
fi
relay
