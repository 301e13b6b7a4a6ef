#!/bin/sh
# SPDX-License-Identifier: MIT
# args.sh BLKIF-CONFORM: its command line and exit statuses.
conform=$1
n=0 failed=0

gives() { # name status arguments...
    n=$((n + 1)) name=$1 want=$2
    shift 2
    out=$("$conform" "$@" 2>&1)
    got=$?
    if [ $got -eq "$want" ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name: status $got"
        echo "$out" | head -3 | sed 's/^/# /'
        failed=1
    fi
}

says() { # name text
    n=$((n + 1))
    if echo "$out" | grep -q -e "$2"; then echo "ok $n - $1"; else echo "not ok $n - $1" failed=1; fi
}

gives "help" 0 --help
says "help warns" "DESTROYS"
gives "version" 0 --version
gives "the list" 0 --list
gives "a part of the list" 0 --list --case 'io.ids*'
says "with what is asked for" "^io.ids-32"
gives "no case matches" 2 --list --case nothing
gives "an unknown option" 2 --frobnicate
gives "an argument too many" 2 --disk xvda xvdb
gives "no disk named" 2
gives "a disk that is none" 2 --disk 'x y'
gives "no hypervisor" 3 --hv loop:/nonexistent:1 --disk xvda
echo "1..$n"
exit $failed
