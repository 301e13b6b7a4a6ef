#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds an initramfs (not compressed: unpacking is slow where the processor is emulated).
#
#   mkinit.sh RIG OUT INIT item...      RIG: the folder of setup.sh; INIT: the script that runs first
#
#   usr/bin/fio          a program below RIG/root, with the libraries it names
#   host:/path=target    a program of this machine, with its libraries, put at /target
#   file:/path=target    a file or folder, as it is
#   mod:ext4             a kernel module; /lib/modules/NAME.ko, and its name in /lib/modules/order

set -euo pipefail
root=$1/root out=$2 init=$3
shift 3
image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT
libdir=usr/lib/x86_64-linux-gnu

die() {
    echo "mkinit: $*" >&2
    exit 1
}

needed() { objdump -p "$1" 2>/dev/null | awk '/NEEDED/ { print $2 }'; }

find_lib() { # name -> path
    local dir
    for dir in usr/lib/xen-4.17/lib/x86_64-linux-gnu $libdir lib/x86_64-linux-gnu; do
        [ ! -e "$root/$dir/$1" ] || { echo "$root/$dir/$1" && return; }
    done
    find "$root/usr/lib" -name "$1" -print -quit | grep . ||
        ldconfig -p | awk -v n="$1" '$1 == n { print $NF; exit }'
}

add_libs() { # program
    local lib path
    for lib in $(needed "$1"); do
        [ ! -e "$image/$libdir/$lib" ] || continue
        path=$(find_lib "$lib")
        [ -n "$path" ] || die "no $lib, which $1 needs"
        cp -L "$path" "$image/$libdir/$lib"
        add_libs "$path"
    done
}

# fio is linked against clients of Ceph, Gluster, NBD and RDMA, 70 MB that no job here calls. Empty
# libraries of those names stand in for them; the functions are in librados's, whose symbols carry
# no version.
stub_fio_libs() {
    local fio=$root/usr/bin/fio lib keep='^(libc|libm|libz|libaio|libnuma)\.so' c="$image/stub.c"
    command -v cc >/dev/null || return 0
    nm -D --undefined-only "$fio" | awk '$1 == "U" { print $2 }' |
        grep -E '^(glfs|ibv|rdma|nbd|pmem|pmemblk|rados|rbd)_' | sed 's/@.*//' | sort -u |
        sed 's/.*/void &(void); void &(void) {}/' >"$c"
    for lib in $(needed "$fio" | grep -vE "$keep"); do
        if [ "$lib" = librados.so.2 ]; then
            cc -shared -fPIC -w -Wl,-soname,"$lib" -o "$image/$libdir/$lib" "$c"
        else
            cc -shared -fPIC -w -Wl,-soname,"$lib" -o "$image/$libdir/$lib" -x c /dev/null
        fi
    done
    rm -f "$c"
}

add() { # source target
    mkdir -p "$image/$(dirname "$2")"
    cp -rL "$1" "$image/$2"
}

cd /
for dir in bin sbin lib lib64 usr/bin usr/sbin $libdir lib/modules proc sys dev run tmp mnt etc/xen \
    var/lib/xen var/lib/xenstored var/log/xen store; do
    mkdir -p "$image/$dir"
done
add "$root/bin/busybox" bin/busybox
add "$root/lib64/ld-linux-x86-64.so.2" lib64/ld-linux-x86-64.so.2
for item in "$@"; do
    from=${item#*:} to=${item##*=}
    from=${from%%=*}
    case $item in
    host:*) add "$from" "$to" && add_libs "$from" ;;
    file:*) add "$from" "$to" ;;
    mod:*)
        path=$(find "$root/lib/modules" -name "$from.ko" -print -quit)
        [ -n "$path" ] || die "no kernel module $from"
        add "$path" "lib/modules/$from.ko"
        echo "$from" >>"$image/lib/modules/order"
        ;;
    *)
        [ -e "$root/$item" ] || die "no $item in the packages"
        [ "$item" != usr/bin/fio ] || stub_fio_libs
        add "$root/$item" "$item" && add_libs "$root/$item"
        ;;
    esac
done
add "$init" init
chmod +x "$image/init"
# libpthread's cancellation loads it by name; without it xl aborts when a thread ends.
add "$(find_lib libgcc_s.so.1)" "$libdir/libgcc_s.so.1"
(cd "$image" && find . | cpio -o -H newc --quiet) >"$out"
