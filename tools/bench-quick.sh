#!/bin/sh
# SPDX-License-Identifier: MIT
# make bench-quick: 4K random reads at depth 32 through the ring on the loopback, beside raw fio
# io_uring on the same preallocated file, in pairs, medians of ROUNDS. Prints figures, judges nothing.
set -eu

BUILD=${1:?usage: bench-quick.sh BUILD_DIRECTORY}
ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-3}
. "$(dirname "$0")/stack.sh"

median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }

stack_folder
file=$STACK/bench.img
echo "preparing a 1 GiB file, written once ($(stat -f -c %T "$STACK"))"
head -c 1073741824 /dev/urandom >"$file"
sync "$file"
stack_up
stack_domain
stack_attach xvda "$file"

# job NAME RW BS DEPTH
job() {
    i=0
    : >"$STACK/raw"
    : >"$STACK/ring"
    : >"$STACK/poll"
    while [ $i -lt "$ROUNDS" ]; do
        fio --name=raw --filename="$file" --readonly --direct=1 --ioengine=io_uring --registerfiles=1 \
            --rw="$2" --bs="$3" --iodepth="$4" --runtime="$SECONDS_EACH" --time_based \
            --output-format=json >"$STACK/fio.json"
        python3 -c "import json;print(int(json.load(open('$STACK/fio.json'))['jobs'][0]['read']['iops']))" >>"$STACK/raw"
        for mode in ring poll; do
            flag=
            [ $mode = poll ] && flag=--poll
            # shellcheck disable=SC2086 # flag may be empty
            "$FRONT" --hv "$HV" --disk xvda --json bench $flag --rw "$2" --bs "$3" --iodepth "$4" \
                --runtime "$SECONDS_EACH" >"$STACK/ring.json" 2>/dev/null
            python3 -c "import json;print(int(json.load(open('$STACK/ring.json'))['iops']))" >>"$STACK/$mode"
        done
        i=$((i + 1))
    done
    raw=$(median <"$STACK/raw")
    ring=$(median <"$STACK/ring")
    poll=$(median <"$STACK/poll")
    printf '%-24s %10s %10s %10s   %s %s\n' "$1" "$raw" "$ring" "$poll" \
        "$(awk "BEGIN{printf \"%.2f\", $ring/$raw}")" "$(awk "BEGIN{printf \"%.2f\", $poll/$raw}")"
}

echo "medians of $ROUNDS runs of $SECONDS_EACH s; $(nproc) processors; IOPS"
printf '%-24s %10s %10s %10s   %s\n' job "raw fio" "ring" "ring,poll" "ring/raw poll/raw"
job "randread 4K QD32" randread 4k 32
job "randread 4K QD1" randread 4k 1
job "read 44K QD8" read 44k 8
