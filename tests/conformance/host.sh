#!/bin/sh
# SPDX-License-Identifier: MIT
# host.sh VERB [ARGUMENT]: the host's side of blkif-conform on the loopback. From the environment:
# STACK (its folder), LOOPCTL, CTL, DAEMON_PID, DOM, VDEV, TARGET, MODE. Exit 77: cannot.
#
# check: what the host sees is what it was the first time this ran: worker processes, descriptors
# and threads of the daemon and of the workers, and with no disk connected nothing mapped or bound.

loopctl() { "$LOOPCTL" --dir "$STACK/loop" "$@"; }

workers() {
    cat /proc/"$DAEMON_PID"/task/*/children 2>/dev/null
}

picture() {
    set -- $(workers)
    echo "workers $#"
    for pid in "$DAEMON_PID" "$@"; do
        set -- /proc/"$pid"/fd/*
        printf '%s descriptors, ' $#
        set -- /proc/"$pid"/task/*
        echo "$# threads"
    done
    loopctl report
}

check() {
    base=$STACK/conform.baseline
    if [ ! -e "$base" ]; then
        settled
        picture >"$base"
        return 0
    fi
    tries=200
    while ! { picture >"$base.now" && cmp -s "$base" "$base.now"; }; do
        tries=$((tries - 1))
        if [ $tries -eq 0 ]; then
            echo "before: $(tr '\n' ';' <"$base") now: $(tr '\n' ';' <"$base.now")"
            return 1
        fi
        sleep 0.02
    done
}

# The worker is started when the disk is attached; its picture is complete when it waits.
settled() {
    last=
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        now=$(picture)
        [ "$now" = "$last" ] && return
        last=$now
        sleep 0.1
    done
}

cpu() {
    total=0
    for pid in "$DAEMON_PID" $(workers); do
        read -r line <"/proc/$pid/stat" || continue
        # shellcheck disable=SC2086
        set -- ${line##*) }
        total=$((total + ${12} + ${13}))
    done
    echo $total
}

reattach() {
    loopctl detach "$DOM" "$VDEV" --force >/dev/null &&
        loopctl attach "$DOM" "$VDEV" "$TARGET" $MODE >/dev/null
}

resize() {
    "$CTL" --help | grep -q resize || exit 77
    truncate -s $(($1 * 512)) "$TARGET" &&
        "$CTL" --socket "$STACK/control.sock" resize "$DOM:$VDEV"
}

fail() {
    if [ "$1" = clear ]; then loopctl fail clear; else loopctl fail "$1" 0; fi
}

case $1 in
check | cpu) "$1" ;;
log) wc -c <"$STACK/daemon.log" ;;
reattach) reattach ;;
resize | fail) "$1" "$2" ;;
*) exit 77 ;;
esac
