#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh PROGRAM CORPUS DICT [SABOTAGE...]: a fuzz target over its corpus, then for some seconds on
# its own; then, for each kind of sabotage, the corpus once more: the judge has to notice.
# FUZZ_SECONDS: how long (10). TAP.
set -u

program=$1 corpus=$2 dict=$3
shift 3
seconds=${FUZZ_SECONDS:-10}
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_stack_use_after_return=1:quarantine_size_mb=32
UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS
mkdir "$tmp/new"
number=0 failed=0

# point NAME COMMAND...: one line of TAP, and what the program said if it went wrong
point() {
    name=$1
    shift
    number=$((number + 1))
    if "$@" >"$tmp/out" 2>&1; then
        echo "ok $number - $name"
        sed -n 's/^Done /# /p; s/^stat::/# /p' "$tmp/out"
    else
        echo "not ok $number - $name"
        tail -n 60 "$tmp/out" | sed 's/^/# /'
        failed=1
    fi
}

fuzz() { nice -n 10 "$program" -timeout=60 -rss_limit_mb=2000 -artifact_prefix="$tmp/" "$@"; }

notices() { # what
    export FUZZ_SABOTAGE="$1"
    fuzz -runs=0 "$corpus"
    status=$?
    unset FUZZ_SABOTAGE
    [ "$status" -ne 0 ] && grep -q 'does not hold' "$tmp/out"
}

point 'the corpus' fuzz -runs=0 "$corpus"
[ -s "$dict" ] && d=-dict=$dict || d=-verbosity=1
point "$seconds seconds of new input" \
    fuzz "$d" -max_len=1024 -len_control=20 -max_total_time="$seconds" -print_final_stats=1 "$tmp/new" "$corpus"
for s; do
    point "sabotage is noticed: $s" notices "$s"
done
echo "1..$number"
exit "$failed"
