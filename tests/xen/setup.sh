#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Fetches what a real Xen machine needs from Debian's packages and unpacks it without installing it:
# Xen, its tools, a kernel, fio. About 90 MB once; afterwards it works offline.
#
#   setup.sh            prints the folder: $BLKBACKD_XEN_CACHE, else ~/.cache/blkbackd-xen
#
# Leaves there root/ (the unpacked packages), xen.elf, vmlinux. Needs apt, not root. Exit 77 with the
# reason when the packages cannot be fetched.

set -euo pipefail
cache=${BLKBACKD_XEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/blkbackd-xen}
debs="xen-utils-4.17 xen-hypervisor-4.17-amd64 busybox-static fio e2fsprogs xenstore-utils"

skip() {
    echo "setup: $*" >&2
    exit 77
}

fetch() { # into $1
    local kernel
    command -v apt-get >/dev/null || skip "no apt-get: the Xen tests need Debian's packages"
    kernel=$(apt-cache depends linux-image-amd64 2>/dev/null |
        awk '/Depends: linux-image/ { print $2; exit }')
    [ -n "$kernel" ] || skip "apt knows no linux-image-amd64: run apt-get update as root"
    mkdir -p "$1/archives/partial"
    : >"$1/status"
    # An empty status file makes apt fetch every library too, whatever is installed here.
    # shellcheck disable=SC2086
    apt-get -o Dir::State::status="$1/status" -o Dir::Cache="$1" -o Debug::NoLocking=1 \
        -o APT::Sandbox::User="$(id -un)" --no-install-recommends -y --download-only \
        install $debs "$kernel" >"$1/log" 2>&1 ||
        skip "the packages cannot be fetched: $(grep -m1 '^E:' "$1/log" || tail -1 "$1/log")"
}

# The ELF kernel inside a bzImage (Linux's Documentation/arch/x86/boot.rst), so that no emulated
# processor spends its time decompressing it.
unpack_kernel() { # bzImage vmlinux
    number() { od -An -v -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '; }
    local start=$((($(number "$1" 0x1f1 1) + 1) * 512 + $(number "$1" 0x248 4)))
    # The payload's last four bytes are its unpacked length.
    dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=$start \
        count=$(($(number "$1" 0x24c 4) - 4)) status=none | xz -dc >"$2" ||
        skip "the kernel cannot be unpacked with xz"
}

if [ ! -e "$cache/ready" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
fi
if [ ! -e "$cache/ready" ]; then
    echo "setup: fetching Xen, a kernel and tools into $cache (once)" >&2
    work=$cache/new
    rm -rf "$work" "$cache/root"
    mkdir -p "$work/root"
    trap 'rm -rf "$work"' EXIT
    fetch "$work"
    for deb in "$work"/archives/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    zcat "$work"/root/boot/xen-4.17-amd64.gz >"$cache/xen.elf"
    unpack_kernel "$work"/root/boot/vmlinuz-* "$cache/vmlinux"
    mv "$work/root" "$cache/root"
    : >"$cache/ready"
fi
echo "$cache"
