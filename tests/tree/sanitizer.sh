#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sanitizer.sh PROGRAM KIND...: the sanitizers of this build look, and stop a program with a bug.
set -u
program=$1
shift
n=0 failed=0

caught() { # kind, text of the report
    n=$((n + 1))
    out=$("$program" "$1" 2>&1)
    status=$?
    if [ $status -ne 0 ] && printf '%s' "$out" | grep -q "$2"; then
        echo "ok $n - the sanitizer stops a program with this bug: $1"
    else
        echo "not ok $n - the sanitizer stops a program with this bug: $1"
        echo "# exit $status"
        printf '%s\n' "$out" | head -5 | sed 's/^/# /'
        failed=1
    fi
}

for kind; do
    case $kind in
    heap) caught heap heap-buffer-overflow ;;
    leak) caught leak LeakSanitizer ;;
    overflow) caught overflow 'signed integer overflow' ;;
    race) caught race 'data race' ;;
    esac
done
echo "1..$n"
exit $failed
