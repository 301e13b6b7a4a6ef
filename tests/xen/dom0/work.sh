# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# One guest's life: see guest/work.sh. WORK=all adds hot-plugging and the destroy under load.

WORK=${WORK:-all}
T="$GUEST_TYPE guest"

attach_round() { # round target
    before=$(workers)
    ports_then=$(ports 0 any)
    check "$T: xl block-attach xvdb (round $1)" xl block-attach g1 "$(disk xvdb rw "$2")"
    step "xvdb-$1" 120 || return 1
    check "$T: xl block-detach xvdb (round $1)" xl block-detach g1 xvdb
    check "$T: detached: its worker is gone (round $1)" wait_for 10 workers_are "$before"
    check "$T: detached: its event channel is gone (round $1)" wait_for 5 ports_are "$ports_then"
    check "$T: detached: nothing of it in xenstore (round $1)" \
        wait_for 5 test -z "$(xenstore-ls -f backend/vbd | grep /51728/)"
    check_equal "$T: xvdb holds what the guest wrote (round $1)" "$(checksum "$2")" \
        "$(guest_sum xvdb)"
}

reborn() { id=$(xl domid g1) && [ "$id" != "$1" ]; }

destroy_under_load() {
    step loaded 60 || return 1
    check "$T: xl destroy under load" xl destroy g1
    check_nothing_left "$T: destroyed under load" "$second"
    /sbin/e2fsck -fy /store/a.img >/tmp/fsck 2>&1
    check "$T: e2fsck of the image recovers its journal and finds no more" \
        /sbin/e2fsck -fn /store/a.img
}

leave_quietly() {
    step leaves 60 || return 1
    check "$T: goes" wait_for 20 domain_gone g1
    check_nothing_left "$T: gone" "$second"
    check_equal "$T: xvda holds what the guest read at its end" "$(checksum /store/a.img)" \
        "$(guest_sum xvda)"
}

life() {
    make_image /store/a.img 32
    dd if=/dev/urandom of=/store/c.img bs=1M count=4 2>/dev/null
    readonly_sum=$(checksum /store/c.img)
    if ! create g1 "work,$WORK" "$(disk xvda rw /store/a.img)" "$(disk xvdc ro /store/c.img)"; then
        fail "$T: xl create" "$(cat /tmp/create.log)"
        [ "$BACKEND" != blkbackd ] || show_daemon_log 20
        return 1
    fi
    pass "$T: xl create"
    first=$(xl domid g1)
    step base 180 || return 1
    check_equal "$T: xvda holds what the guest wrote" "$(checksum /store/a.img)" "$(guest_sum xvda)"
    check_equal "$T: the read-only disk reads as it is" "$(guest_sum xvdc)" "$readonly_sum"
    check_equal "$T: the read-only disk is unchanged" "$(checksum /store/c.img)" "$readonly_sum"
    # What is looked for after each end must be seen now, or its absence would mean nothing.
    check_equal "$T: two disks, two workers" "$(workers)" 2
    check "$T: event channels with the guest are seen" \
        test "$(ports 0 "$first")" -ge 4 -a "$(ports 0 any)" -gt "$ports_before"
    check "$T: its backend directory is seen" xenstore-exists "backend/vbd/$first"
    check "$T: watches are counted" test "$watches_before" -gt 5
    [ "$BACKEND" != blkbackd ] ||
        check "$T: mapped pages of the guest are seen" test "$(mappings)" -ge 2
    if [ "$WORK" = all ]; then
        make_image /store/b.img 8
        losetup /dev/loop7 /store/b.img # a block device
        attach_round 1 /dev/loop7 || return 1
        losetup -d /dev/loop7
        attach_round 2 /store/b.img || return 1
    fi
    go reboot
    step reboots 60 || return 1
    check "$T: comes back after its reboot" wait_for 60 reborn "$first"
    second=$(xl domid g1)
    check "$T: rebooted: no backend directory of the old one" wait_for 10 no_backend_dir "$first"
    check_equal "$T: rebooted: no event channel with the old one" "$(ports 0 "$first")" 0
    step rebooted 120 || return 1
    check "$T: rebooted: two disks, two workers" wait_for 5 workers_are 2
    if [ "$WORK" = all ]; then destroy_under_load; else leave_quietly; fi
}

life || xl destroy g1 2>/dev/null
relay
