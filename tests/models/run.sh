#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh FOLDER: the models in FOLDER, checked by spin in full; then each with one mistake in it,
# which has to be found. TAP.
set -u

folder=$1
for p in spin gcc; do
    command -v $p >/dev/null || {
        echo "1..0 # SKIP $p is not installed (Debian: apt-get install $p)"
        exit 0
    }
done
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
number=0 failed=0

ok() { # name
    number=$((number + 1))
    echo "ok $number - $1"
}

not_ok() { # name file: what was said
    number=$((number + 1))
    failed=1
    echo "not ok $number - $1"
    tail -n 20 "$2" | sed 's/^/# /'
}

# check MODEL [-DMISTAKE]: pan's words go to $tmp/out. 0: no error, all of it was looked at.
check() {
    local model=$1
    shift
    rm -rf "$tmp/pan" && mkdir "$tmp/pan"
    (cd "$tmp/pan" && spin -a "$@" "$folder/$model.pml" && gcc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c) \
        >"$tmp/out" 2>&1 || return 2
    (cd "$tmp/pan" && nice ./pan -m2000000) >"$tmp/out" 2>&1 || return 2
    grep -q 'max search depth too small\|out of memory\|truncated' "$tmp/out" && return 2
    grep -q 'errors: 0$' "$tmp/out" && return 0
    grep -q 'errors: [1-9]' "$tmp/out" && grep -q 'invalid end state (\|assertion violated' "$tmp/out" && return 1
    return 2
}

holds() { # model name
    if check "$1"; then
        ok "$1: $2"
        sed -n 's/^ *\([0-9.e+]* states, stored\).*/# \1/p' "$tmp/out"
    else
        not_ok "$1: $2" "$tmp/out"
    fi
}

finds() { # model mistake
    check "$1" "-D$2"
    if [ $? -eq 1 ]; then
        ok "$1: $2 is found: $(grep -o 'invalid end state\|assertion violated' "$tmp/out" | head -n 1)"
    else
        not_ok "$1: $2 is found" "$tmp/out"
    fi
}

holds ring 'no lost wake-up, no lost request, nobody stuck'
for m in NO_PUSH_BARRIER NO_SLEEP_BARRIER NO_PUBLISH_BARRIER NO_ARM_BARRIER NO_FINAL_CHECK NEVER_ARMED \
    NO_UNMASK EARLY_ANSWER; do
    finds ring $m
done
holds gate 'a barrier is alone, passes nothing, and everybody is woken'
for m in NO_LEAVE_WAKE NO_TAKE_WAKE NO_RELEASE_WAKE NO_LOOK BUSY_WHILE_PARKED; do
    finds gate $m
done
echo "1..$number"
exit $failed
