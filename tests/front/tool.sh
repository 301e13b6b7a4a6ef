#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command line of blkfront without any hypervisor: help, wrong use, and where nothing answers.
# Usage: tool.sh BLKFRONT
blkfront=$1
n=0
failed=0
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

# check NAME EXIT_CODE TEXT ARGUMENT...: the exit code, and TEXT in what is printed.
check() {
    name=$1 code=$2 text=$3
    shift 3
    n=$((n + 1))
    timeout 20 "$blkfront" "$@" >"$dir/out" 2>&1 </dev/null
    got=$?
    if [ $got -eq "$code" ] && grep -qF -e "$text" "$dir/out"; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        echo "# exit $got, not $code; printed:"
        sed 's/^/# /' "$dir/out"
        failed=1
    fi
}

echo 1..19
check "help names the commands" 0 "  verify " --help
check "help tells the exit codes" 0 "4 no such disk" --help
check "version" 0 "blkfront 0." --version
check "no command" 2 "a command is missing" --disk xvda
check "unknown command" 2 "no such command 'copy'" copy --disk xvda
check "unknown option" 2 "see blkfront --help" info --disk xvda --fast
check "option of another command" 2 "'bs' is not one of this command" info --disk xvda --bs 4K
check "no disk" 2 "needs --disk DEV" info
check "a disk that is none" 2 "'vda' is no disk" info --disk vda
check "one word too many" 2 "what is 'now' for?" info now --disk xvda
check "a number that is none" 2 "--iodepth cannot be 'many'" bench --disk xvda --iodepth many
check "a size above the largest" 2 "--bs cannot be '1T'" bench --disk xvda --bs 1T
check "a size that overflows" 2 "--offset cannot be" read --disk xvda --offset 99999999999T
check "an odd block size" 2 "multiple of 512" bench --disk xvda --bs 1000
check "an unknown mode" 2 "--rw 'erase'" bench --disk xvda --rw erase
check "read without a file" 2 "needs --to FILE" read --disk xvda
check "verify with both sources" 2 "one of them" verify --disk xvda --from x --pattern 1
check "nbd without a socket" 2 "needs --socket PATH" nbd --disk xvda
check "no loopback there" 3 "cannot reach" info --disk xvda --hv "loop:$dir:1"
exit $failed
