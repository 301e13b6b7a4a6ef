#!/bin/bash
# SPDX-License-Identifier: MIT
# suite.sh BUILD SOURCE: blkif-conform against our daemon and worker on the loopback, then against a
# read-only disk. What the host sees (processes, descriptors, threads, mappings, ports) must be the
# same after each case; statistics are read all the time (XSA-528).
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"
CONFORM=$BUILD/conformance/blkif-conform
HOST=$SOURCE/tests/conformance/host.sh

# Takes the cases' lines over into our own count.
run_cases() {
    "$CONFORM" --hv "$HV" --disk "$VDEV" --host "$HOST" "$@" >"$STACK/cases" 2>"$STACK/cases.err"
    STATUS=$?
    while IFS= read -r line; do
        case $line in
        "ok "*) TAP_N=$((TAP_N + 1)) && echo "ok $TAP_N ${line#ok * }" ;;
        "not ok "*)
            TAP_N=$((TAP_N + 1)) TAP_FAILED=$((TAP_FAILED + 1))
            echo "not ok $TAP_N ${line#not ok * }"
            ;;
        "#"* | Bail*) echo "# $line" ;;
        esac
    done <"$STACK/cases"
    sed 's/^/# /' "$STACK/cases.err"
    ended() { [ $STATUS -le 1 ] && grep -q '^1\.\.' "$STACK/cases"; }
    check "the suite ran to its end" ended
}

watch_statistics() {
    while :; do
        stack_ctl --json list
        stack_ctl show "$DOM:xvda"
        stack_ctl caches
        sleep 0.2
    done >/dev/null 2>&1
}

stack_folder
truncate -s 5G "$STACK/disk.img"
truncate -s 32M "$STACK/sealed.img"
stack_up || exit 1
stack_domain || exit 1
export STACK LOOPCTL CTL DAEMON_PID DOM VDEV TARGET MODE

VDEV=xvda TARGET=$STACK/disk.img MODE=
check "a disk is attached" stack_attach $VDEV "$TARGET"
watch_statistics &
STACK_KILL=$!
run_cases
kill $STACK_KILL
wait $STACK_KILL 2>/dev/null
STACK_KILL=
check "it is detached" stack_detach $VDEV

VDEV=xvdb TARGET=$STACK/sealed.img MODE=--readonly
head -c 33554432 /dev/urandom >"$TARGET"
cp "$TARGET" "$STACK/before.img"
rm -f "$STACK/conform.baseline"
check "a read-only disk is attached" stack_attach $VDEV "$TARGET" --readonly
run_cases --case '*read-only-disk*'
run_cases --case 'negotiation.*'
check "its image is what it was" cmp "$TARGET" "$STACK/before.img"
check "it is detached" stack_detach $VDEV
check "nothing is mapped or bound any more" "$LOOPCTL" --dir "$STACK/loop" report
done_testing
