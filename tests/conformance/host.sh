#!/bin/sh
# SPDX-License-Identifier: MIT
# host.sh VERB [ARGUMENT]: the host's side of blkif-conform on the loopback. From the environment:
# STACK (its folder), LOOPCTL, CTL, DAEMON_PID, DOM, VDEV, TARGET, MODE. Exit 77: cannot.
#
# check: what the host sees is no more than the least it ever was: worker processes, descriptors and
# threads of the daemon and of the workers; and with no disk connected nothing is mapped or bound.

loopctl() { "$LOOPCTL" --dir "$STACK/loop" "$@"; }

workers() {
    cat /proc/"$DAEMON_PID"/task/*/children 2>/dev/null
}

# A line of numbers: workers, then descriptors and threads of the daemon and of each worker.
picture() {
    set -- $(workers)
    line=$#
    for pid in "$DAEMON_PID" "$@"; do
        set -- /proc/"$pid"/fd/*
        line="$line $#"
        set -- /proc/"$pid"/task/*
        line="$line $#"
    done
    echo "$line"
}

# As many numbers, and none above its like.
no_more() {
    then=$1
    set -- $2
    for old in $then; do
        [ $# -gt 0 ] && [ "$1" -le "$old" ] || return 1
        shift
    done
    [ $# -eq 0 ]
}

check() {
    base=$STACK/conform.baseline
    tries=250
    while
        now=$(picture)
        [ -e "$base" ] || echo "$now" >"$base"
        left=$(loopctl report)
        ! { no_more "$(cat "$base")" "$now" && [ "$left" = "nothing is mapped or bound" ]; }
    do
        tries=$((tries - 1))
        if [ $tries -eq 0 ]; then
            echo "before: $(cat "$base"); now: $now; $left" | tr '\n' ' '
            return 1
        fi
        sleep 0.02
    done
    echo "$now" >"$base" # it may have been caught with something that was just ending
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
