# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by run.sh, bench.sh and demo.sh: builds the two initramfs images. Needs here, top, RIG,
# BUILD.

make_images() { # folder
    local programs=() program source
    "$here/mkinit.sh" "$RIG" "$1/guest.img" "$here/guest/init" \
        usr/bin/fio sbin/mke2fs sbin/e2fsck usr/bin/xenstore-read usr/bin/xenstore-ls \
        mod:crc16 mod:mbcache mod:jbd2 mod:crc32c_generic mod:ext4 mod:xen-blkfront \
        "file:$here/guest=job" "file:$RIG/root/etc/mke2fs.conf=etc/mke2fs.conf" || return 1
    for program in daemon/blkbackd=usr/sbin/blkbackd worker/blkbackd-vbd=usr/lib/blkbackd/blkbackd-vbd \
        ctl/blkbackctl=usr/sbin/blkbackctl; do
        source=$BUILD/src/${program%=*}
        if [ -x "$source" ]; then
            programs+=("host:$source=${program#*=}")
        elif [ "$program" != "${program#ctl}" ]; then
            :
        elif [ "${NEED_BLKBACKD:-1}" = 1 ]; then
            echo "no $source: build first" >&2
            return 1
        fi
    done
    "$here/mkinit.sh" "$RIG" "$1/dom0.img" "$here/dom0/init" \
        usr/lib/xen-4.17/bin/{xl,xenstored,xenconsoled,xenconsole,xen-init-dom0,lsevtchn,xentop} \
        usr/lib/xen-4.17/bin/xenstore-control usr/lib/xen-4.17/bin/libxl-save-helper \
        usr/bin/xenstore-{read,write,ls,list,exists,rm,chmod,watch} \
        sbin/mke2fs sbin/e2fsck \
        mod:{xen-privcmd,xenfs,xen-evtchn,xen-gntdev,xen-gntalloc,crc16,mbcache,jbd2,crc32c_generic} \
        mod:{ext4,loop,brd,null_blk,configfs,xen-blkback} \
        "file:$here/dom0=test" "file:$RIG/root/etc/mke2fs.conf=etc/mke2fs.conf" \
        "file:$RIG/vmlinux=guest/vmlinux" "file:$1/guest.img=guest/initrd" \
        "file:$top/packaging/block-blkbackd=etc/xen/scripts/block-blkbackd" \
        "file:$here/dom0/block-loop=etc/xen/scripts/block-loop" "${programs[@]}" || return 1
}
