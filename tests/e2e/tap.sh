# SPDX-License-Identifier: MIT
# Sourced by the end-to-end tests: TAP on stdout. POSIX sh.
# check "what holds" COMMAND...; refuse "what fails" COMMAND...; skip "what" "why"; done_testing.

TAP_N=0
TAP_FAILED=0

tap_ok() {
    TAP_N=$((TAP_N + 1))
    echo "ok $TAP_N - $1"
}

tap_not_ok() {
    TAP_N=$((TAP_N + 1))
    TAP_FAILED=$((TAP_FAILED + 1))
    echo "not ok $TAP_N - $1"
    sed 's/^/#   /' "$STACK/out" 2>/dev/null | tail -20
    if [ -f "$STACK/daemon.log" ]; then
        echo "#   the daemon's log ends:"
        tail -15 "$STACK/daemon.log" | sed 's/^/#   /'
    fi
}

check() {
    tap_name=$1
    shift
    if "$@" >"$STACK/out" 2>&1; then tap_ok "$tap_name"; else tap_not_ok "$tap_name"; fi
}

refuse() {
    tap_name=$1
    shift
    if "$@" >"$STACK/out" 2>&1; then tap_not_ok "$tap_name"; else tap_ok "$tap_name"; fi
}

# The output of the last check or refuse contains this text.
says() {
    if grep -q -- "$2" "$STACK/out"; then
        tap_ok "$1"
    else
        tap_not_ok "$1 (expected: $2)"
    fi
}

skip() {
    TAP_N=$((TAP_N + 1))
    echo "ok $TAP_N - $1 # SKIP $2"
}

done_testing() {
    echo "1..$TAP_N"
    [ "$TAP_FAILED" -eq 0 ]
    exit
}
