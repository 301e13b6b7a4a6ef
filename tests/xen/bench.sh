#!/bin/bash
# SPDX-License-Identifier: MIT
#
# This backend and the kernel's under one guest on one machine, on the same stores; time is counted
# in instructions of the whole machine, so figures repeat whatever else this computer does (and
# mean nothing as absolute speed: 500 instructions are one microsecond).
#
#   bench.sh BUILD_DIRECTORY          about 8 minutes

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
BUILD=$(cd "${1:-$top/build}" && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || :; wait; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck source=image.sh
. "$here/image.sh"
RIG=$("$here/setup.sh")
make_images "$work"
ICOUNT=1 DOM0MEM=1536 MEM=2560 "$here/boot.sh" "$RIG" "$work/dom0.img" "$work/log" 1200 \
    backend=blkbackd scenarios=bench || {
    tail -40 "$work/log" >&2
    exit 1
}
[ -z "${KEEP:-}" ] || cp "$work/log" "$KEEP/bench.log"
tr -d '\r' <"$work/log" | awk '
$1 == "@@bench" && $3 == "idle" { idle = $7 }
$1 == "@@bench" && $3 != "idle" && $6 > 0 {
    split($4, part, "-")
    requests = $5 / (part[2] + 0)
    key = $3 " " $4
    if (!(key in seen)) { seen[key] = 1; order[++n] = key }
    iops[$2, key] = requests * 1000 / $6
    cpu[$2, key] = ($7 - idle) * 10000 / iops[$2, key]
}
function ratio(a, b) { return a && b ? sprintf("%.2f", a / b) : "-" }
function figure(x) { return x ? sprintf("%.0f", x) : "-" }
END {
    print "guest fio, 1 vCPU; IOPS and dom0 processor time per request (us), instruction-counted"
    printf "%-12s %-16s %9s %9s %6s   %8s %8s %6s\n", "store", "job", "kernel", "blkbackd",
        "ratio", "kernel", "blkbackd", "ratio"
    for (i = 1; i <= n; i++) {
        k = order[i]
        split(k, part, " ")
        printf "%-12s %-16s %9s %9s %6s   %8s %8s %6s\n", part[1], part[2],
            figure(iops["kernel", k]), figure(iops["blkbackd", k]),
            ratio(iops["blkbackd", k], iops["kernel", k]),
            figure(cpu["kernel", k]), figure(cpu["blkbackd", k]),
            ratio(cpu["blkbackd", k], cpu["kernel", k])
    }
}'
tr -d '\r' <"$work/log" | sed -n "s/^@@ not ok/not ok/p"
