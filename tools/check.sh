#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check.sh fast|clang|asan|tsan|compile|xen|all: builds and tests, one build folder for each kind.
# Every stage runs even if one before it failed. With CI set, warnings are errors.
set -u
cd "$(dirname "$0")/.." || exit 1

werror=()
[ -n "${CI:-}" ] && werror=(--werror)
dirs=(--prefix=/usr/local --sysconfdir=/etc --localstatedir=/var)
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
failed=()

stage() { # name command...
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        echo "== $name: ok, $((SECONDS - start)) s"
    else
        echo "== $name: FAILED"
        failed+=("$name")
    fi
}

# build COMPILER FOLDER [meson option...]: set up once, then build
build() {
    local cc=$1 dir=$2
    shift 2
    if [ ! -e "$dir/build.ninja" ]; then
        CC=$cc meson setup "${dirs[@]}" "${werror[@]}" "$@" "$dir" >"$dir.setup" 2>&1 || {
            cat "$dir.setup"
            return 1
        }
        mv "$dir.setup" "$dir/meson-logs/setup.txt"
    fi
    nice ninja -C "$dir" --quiet
}

# run FOLDER TIMEOUT_FACTOR: the tests of a build
run() {
    rm -f "$1"/meson-logs/testlog.*
    nice meson test -C "$1" --no-rebuild --print-errorlogs -t "$2"
}

fast() { build gcc build && run build 2; }
clang() { build clang build-clang && run build-clang 2; }
# clang for both: gcc's thread sanitizer does not know fences, and under its address sanitizer gcc
# warns of what is not there.
asan() {
    build clang build-asan -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fno-sanitize-recover=undefined && run build-asan 5
}
tsan() { build clang build-tsan -Db_sanitize=thread -Db_lundef=false && run build-tsan 8; }
compile() {
    build gcc build-debug --buildtype=debug && build gcc build-release -Doptimization=3 -Db_ndebug=true
}

xen() {
    local log=build/meson-logs/xen.tap
    tools/install-deps.sh xen && build gcc build || return 1
    rm -f "$log"
    BUILD=$PWD/build tests/xen/run.sh | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ]
}

case ${1:-} in
fast) stage 'gcc' fast ;;
clang) stage 'clang' clang ;;
asan) stage 'address and undefined-behaviour sanitizers' asan ;;
tsan) stage 'thread sanitizer' tsan ;;
compile) stage '-O0, and -O3 -DNDEBUG' compile ;;
xen) stage 'real Xen' xen ;;
all)
    rm -f build*/meson-logs/testlog.* build/meson-logs/xen.tap
    stage 'gcc' fast
    stage 'clang' clang
    stage 'address and undefined-behaviour sanitizers' asan
    stage 'thread sanitizer' tsan
    stage '-O0, and -O3 -DNDEBUG' compile
    stage 'real Xen' xen
    ;;
*)
    echo "usage: check.sh fast|clang|asan|tsan|compile|xen|all" >&2
    exit 2
    ;;
esac

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
