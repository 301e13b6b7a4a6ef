#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs the Debian packages that are missing, if any are; asks the package manager for nothing
# otherwise. With the argument "xen" also those of the machine that runs real Xen.
set -eu

cd "$(dirname "$0")/.."

# What building, testing and the demonstration need. One reason each.
packages='
gcc clang libclang-rt-14-dev libc6-dev
meson ninja-build pkg-config python3
libxen-dev liburing-dev libjson-c-dev
libcmocka-dev clang-format
nbdkit nbdkit-plugin-dev libnbd-bin qemu-utils fio
xenstore-utils e2fsprogs procps util-linux
spin
scdoc mandoc'

case ${1:-} in
'') ;;
xen) packages="$packages $(grep -v '^#' tests/xen/packages.txt)" ;;
*)
    echo "usage: install-deps.sh [xen]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "install-deps: this is not a Debian system; these packages' equivalents are needed:" \
        $packages >&2
    exit 0
fi

missing=
for p in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "install-deps: packages are missing; run this as root, then try again:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq -y install --no-install-recommends $missing >/dev/null
