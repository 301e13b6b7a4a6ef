#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [HOURS [TARGET...]]: builds the fuzz targets with clang and runs them one after the other
# on one core, HOURS in all (default 4). What is found stays in build-fuzz/found/TARGET/, and what
# the fuzzer learned in build-fuzz/corpus/TARGET/. Ends with a line for each target; exit code 1 if
# something was found.
# fuzz.sh --keep [TARGET...]: puts the inputs that are worth it, as few as it takes, into fuzz/corpus.
set -u
cd "$(dirname "$0")/.." || exit 1
build=build-fuzz
keep=
[ "${1:-}" = --keep ] && keep=1
if [ -z "$keep" ]; then
    hours=${1:-4}
    [[ $hours =~ ^[0-9]+([.][0-9]+)?$ ]] || {
        echo 'usage: fuzz.sh [HOURS [TARGET...]] | --keep [TARGET...]' >&2
        exit 2
    }
fi
[ $# -gt 0 ] && shift

if [ ! -e $build/build.ninja ]; then
    CC=clang meson setup -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args='-fno-sanitize-recover=undefined -fsanitize=fuzzer-no-link' $build >/dev/null || exit 1
fi
nice ninja -C $build --quiet fuzz-targets || exit 1
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(find $build/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -1 -printf '%f\n' | sed 's/^fuzz_//' | sort)
export ASAN_OPTIONS=detect_stack_use_after_return=1:quarantine_size_mb=64 UBSAN_OPTIONS=print_stacktrace=1

if [ -n "$keep" ]; then
    for t in "${targets[@]}"; do
        new=$(mktemp -d)
        nice -n 19 $build/fuzz/fuzz_"$t" -merge=1 -use_counters=0 -max_len=1024 "$new" fuzz/corpus/"$t" $build/corpus/"$t" >/dev/null 2>&1 &&
            rm -rf fuzz/corpus/"$t" && mv "$new" fuzz/corpus/"$t" && chmod 755 fuzz/corpus/"$t"
        echo "$t: $(find fuzz/corpus/"$t" -type f | wc -l) inputs"
    done
    exit 0
fi

seconds=$(awk -v h="$hours" -v n=${#targets[@]} 'BEGIN { s = int(h * 3600 / n); print s < 1 ? 1 : s }')
found=0
rows=()
for t in "${targets[@]}"; do
    mkdir -p $build/corpus/"$t" $build/found/"$t"
    log=$build/found/$t.log
    dict=()
    [ -s fuzz/dict/"$t" ] && dict=("-dict=fuzz/dict/$t")
    echo "== $t: $seconds s"
    nice -n 19 $build/fuzz/fuzz_"$t" "${dict[@]}" -max_total_time="$seconds" -max_len=2048 -len_control=20 \
        -timeout=60 -rss_limit_mb=2500 -print_final_stats=1 -artifact_prefix=$build/found/"$t"/ \
        $build/corpus/"$t" fuzz/corpus/"$t" >"$log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    cover=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)
    rows+=("$(printf '%-16s %14s executions  %-24s %s' "$t" "${runs:-?}" "$cover" \
        "$([ $status -eq 0 ] && echo ok || echo "FOUND, see $log")")")
    [ $status -eq 0 ] || found=1
done
printf '%s\n' "${rows[@]}"
exit $found
