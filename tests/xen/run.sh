#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Real Xen, dom0 and unmodified Linux guests in an emulated machine; prints TAP.
#
#   run.sh [boot...]        pv pvh kernel errors; all of them without an argument
#
# BUILD: the build folder with the programs (default: build). KEEP=DIR keeps the consoles' logs.
# SKIPs with the reason where the packages or QEMU are not to be had. Nothing is left behind.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
BUILD=${BUILD:-$top/build}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
count=0 failed=0

# shellcheck source=image.sh
. "$here/image.sh"

ok() { echo "ok $((++count)) - $*"; }
not_ok() { echo "not ok $((++count)) - $*" && failed=$((failed + 1)); }
skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

# The machine's lines become TAP as they come.
relay() { # boot log
    local line rest
    while IFS= read -r line; do
        line=${line//$'\r'/}
        rest=${line#@@ }
        case $rest in
        "ok "*) ok "$1: ${rest#ok }" ;;
        "not ok "*) not_ok "$1: ${rest#not ok }" ;;
        "skip "*) ok "$1: ${rest#skip } # SKIP" ;;
        "# "*) echo "# $1: ${rest#\# }" ;;
        "done "*) ran="$ran ${rest#done }" ;;
        esac
    done < <(grep -a '^@@ ' "$2")
}

boot() { # name seconds scenarios backend [argument...]
    local name=$1 limit=$2 scenarios=$3 backend=$4 log=$work/$1.log start=$SECONDS ran='' scenario
    shift 4
    "$here/boot.sh" "$RIG" "$work/dom0.img" "$log" "$limit" "backend=$backend" \
        "scenarios=$scenarios" "$@"
    relay "$name" "$log"
    [ -z "${KEEP:-}" ] || cp "$log" "$KEEP/"
    echo "# $name: took $((SECONDS - start)) s"
    for scenario in ${scenarios//,/ }; do
        case " $ran " in
        *" $scenario "*) ;;
        *)
            not_ok "$name: the scenario $scenario came to its end"
            tail -60 "$log" | sed 's/^/# /'
            break
            ;;
        esac
    done
}

RIG=$("$here/setup.sh" 2>"$work/why")
case $? in
0) ;;
77) skip_all "$(tail -1 "$work/why")" ;; # the packages are not to be had here
*)
    not_ok "the machine's packages are unpacked"
    sed 's/^/# /' "$work/why" | tail -20
    echo "1..$count"
    exit 1
    ;;
esac
command -v qemu-system-x86_64 >/dev/null || skip_all "no qemu-system-x86_64: install qemu-system-x86"
make_images "$work" || {
    echo "Bail out! the machine's images cannot be built"
    exit 1
}

PVH_CPU=max,-smap,-smep,-rdtscp,-avx,-avx2,-xsave
[ $# -gt 0 ] || set -- pv pvh kernel errors
for name in "$@"; do
    case $name in
    pv) boot pv 900 work blkbackd ;;
    pvh) CPU=$PVH_CPU boot pvh 900 work blkbackd guest=pvh work=short ;;
    kernel) boot kernel 900 work kernel ;;
    errors) boot errors 900 errors blkbackd ;;
    *) not_ok "$name: no such boot" ;;
    esac
done
echo "1..$count"
[ $failed -eq 0 ]
