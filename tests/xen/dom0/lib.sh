# SPDX-License-Identifier: MIT
# shellcheck shell=busybox
#
# What the scenarios in dom0 are made of. Results are lines for tests/xen/run.sh:
#   @@ ok NAME    @@ not ok NAME    @@ skip NAME    @@ # remark

GUEST_MEMORY=${GUEST_MEMORY:-192} # MiB
GUEST_TYPE=${GUEST_TYPE:-pv}

clock() { cut -d' ' -f1 /proc/uptime; }
pass() { echo "@@ ok $* ($(clock) s)"; }
remark() { sed 's/^/@@ # /'; }
fail() {
    echo "@@ not ok $1"
    shift
    [ $# -eq 0 ] || echo "$*" | remark
}

# check NAME command...: its output is shown only when it fails.
check() {
    name=$1
    shift
    if "$@" >/tmp/check.out 2>&1; then
        pass "$name"
    else
        fail "$name" "failed: $*"
        tail -20 /tmp/check.out | remark
    fi
}

check_equal() { # name got wanted
    if [ "$2" = "$3" ] && [ -n "$2" ]; then pass "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}

# wait_for SECONDS command...; only a ceiling, four times as high where the machine is slow
wait_for() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}

# ---- the backend ---------------------------------------------------------------------------------

start_daemon() {
    blkbackd --hv xen --run-dir /run/blkbackd --worker /usr/lib/blkbackd/blkbackd-vbd \
        >>/tmp/blkbackd.log 2>&1 &
    DAEMON=$!
}

start_backend() {
    case $BACKEND in
    kernel)
        insmod /lib/modules/xen-blkback.ko
        SCRIPT=block-loop
        ;;
    blkbackd)
        SCRIPT=block-blkbackd
        mkdir -p /run/blkbackd
        start_daemon
        check "blkbackd: listens on its control socket" \
            wait_for 10 test -S /run/blkbackd/control.sock
        ;;
    esac
    sleep 0.5
    ports_before=$(ports 0 any)
    watches_before=$(watches)
    fds_before=$(daemon_fds)
}

stop_backend() {
    [ "$BACKEND" = blkbackd ] || return 0
    kill -TERM "$DAEMON"
    check "blkbackd: ends when told to" wait_for 10 test ! -d "/proc/$DAEMON"
    check_equal "blkbackd: leaves no worker behind" "$(workers)" 0
    show_daemon_log
}

show_daemon_log() {
    echo "the daemon's log, its last lines:" | remark
    tail -"${1:-8}" /tmp/blkbackd.log | remark
}

# Processes (threads, for the kernel's) that serve a disk now.
workers() {
    n=0
    for comm in /proc/[0-9]*/comm; do
        read -r word 2>/dev/null <"$comm" || continue
        exe=$(readlink "${comm%comm}exe")
        case $BACKEND:$exe:$word in
        blkbackd:*/blkbackd-vbd:* | blkbackd:*:blkbackd-vbd* | kernel::[0-9]*.xvd*) n=$((n + 1)) ;;
        esac
    done
    echo $n
}

mappings() { # pages or ranges of other domains' memory in the backend's processes
    cat /dev/null $(for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe") in */blkbackd*) echo "${exe%exe}maps" ;; esac
    done) 2>/dev/null | grep -c 'xen/gntdev'
}

# Connected event channels of domain $1; $2: with domain $2, or any
ports() {
    case $2 in
    any) lsevtchn "$1" | grep -c 'Interdomain (Connected)' ;;
    *) lsevtchn "$1" | grep -c "Interdomain (Connected) - Remote Domain $2," ;;
    esac
}

# Everything xenstored holds a watch for, all clients together.
watches() {
    rm -f /tmp/mem
    xenstore-control memreport /tmp/mem >/dev/null 2>&1
    grep -c 'struct watch ' /tmp/mem
}

daemon_fds() {
    [ "$BACKEND" = blkbackd ] || { echo 0; return; }
    ls "/proc/$DAEMON/fd" | wc -l
}

no_zombie() { ! xl list | awk -v id="$1" '$1 == "(null)" || $2 == id { found = 1 } END { exit !found }'; }
domain_gone() { ! xl domid "$1"; }
no_backend_dir() { ! xenstore-exists "backend/vbd/$1"; }
workers_are() { [ "$(workers)" = "$1" ]; }
mappings_are() { [ "$(mappings)" = "$1" ]; }
ports_are() { [ "$(ports 0 any)" = "$1" ]; }
watches_are() { [ "$(watches)" = "$1" ]; }
fds_are() { [ "$(daemon_fds)" = "$1" ]; }

# After the last disk of domain $2 has gone; $1: when
check_nothing_left() {
    check "$1: no zombie domain" wait_for 10 no_zombie "$2"
    check "$1: no backend directory" wait_for 10 no_backend_dir "$2"
    check "$1: no process" wait_for 10 workers_are 0
    check "$1: no foreign page mapped" wait_for 5 mappings_are 0
    check "$1: no event channel with the guest" wait_for 5 ports_are "$ports_before"
    check "$1: no watch more than before" wait_for 5 watches_are "$watches_before"
    check "$1: no descriptor more than before" wait_for 5 fds_are "$fds_before"
}

# ---- storage -------------------------------------------------------------------------------------

make_image() { # path MiB
    rm -f "$1"
    truncate -s "$2M" "$1"
}

checksum() { # path
    sync
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum "$1" | cut -d' ' -f1
}

# ---- guests --------------------------------------------------------------------------------------

disk() { # vdev access target -> the line of xl.cfg
    echo "vdev=$1,access=$2,script=$SCRIPT,target=$3"
}

create() { # name job disk...
    guest=$1
    shown=0
    {
        echo "name='$1'"
        echo "type='$GUEST_TYPE'"
        echo "kernel='/guest/vmlinux'"
        echo "ramdisk='/guest/initrd'"
        echo "memory=$GUEST_MEMORY"
        echo "vcpus=1"
        echo "extra='console=hvc0 quiet panic=-1 job=$2'"
        echo "on_crash='destroy'"
        echo "disk=["
        shift 2
        for line in "$@"; do echo "'$line',"; done
        echo "]"
    } >"/tmp/$guest.cfg"
    rm -f "/tmp/guest-$guest.log"
    xl create "/tmp/$guest.cfg" >/tmp/create.log 2>&1
}

guest_log() { tr -d '\r' <"/tmp/guest-$guest.log"; }
said() { guest_log 2>/dev/null | grep -q "^@@step $1\$"; }

# The guest's results so far, once each.
relay() {
    guest_log | tail -n +$((shown + 1)) >/tmp/new
    shown=$((shown + $(wc -l </tmp/new)))
    grep '^@@ ' /tmp/new
}

# Waits until the guest has come to a step; false (with its console's end) if it does not.
step() { # step seconds
    if wait_for "$2" said "$1"; then
        relay
        return 0
    fi
    relay
    fail "$guest: comes to the step '$1'" "not within $(($2 * 4)) s; its console:"
    guest_log | tail -30 | remark
    [ "$BACKEND" != blkbackd ] || show_daemon_log 20
    return 1
}

go() { xenstore-write "/local/domain/$(xl domid "$guest")/data/go" "$1"; }

# What the guest says it has on a disk now.
guest_sum() { guest_log | sed -n "s/^@@sum $1 //p" | tail -1; }
