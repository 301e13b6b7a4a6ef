#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs everybody knows, run against the ring path through `blkfront nbd`: nbdinfo, qemu-io,
# qemu-img, nbdcopy, fio with verification.
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || {
            echo "1..0 # SKIP $program is not installed"
            exit 0
        }
    done
}
case ${3:-none} in
none) ;;
*)
    echo "1..0 # SKIP nbdkit is built without the sanitizer that its plugin needs"
    exit 0
    ;;
esac
need nbdkit nbdinfo nbdcopy qemu-io qemu-img fio

stack_folder
truncate -s 128M "$STACK/disk.img"
head -c 134217728 /dev/urandom >"$STACK/source.img"
stack_up || exit 1
stack_domain
stack_attach xvda "$STACK/disk.img"
SOCK=$STACK/nbd.sock
URI=nbd+unix:///?socket=$SOCK
"$FRONT" --hv "$HV" --disk xvda nbd --socket "$SOCK" >"$STACK/nbd.log" 2>&1 &
NBD=$!
STACK_KILL=$NBD
stack_wait 10 nbdinfo --size "$URI" || cat "$STACK/nbd.log" >&2

check "nbdinfo sees the disk's size" nbdinfo --size "$URI"
says "in bytes" 134217728
check "qemu-io writes, flushes, reads back patterns, also not aligned to pages" qemu-io -f raw \
    -c "write -P 0x11 0 64k" -c "write -P 0x22 512 1536" -c "flush" -c "read -P 0x22 512 1536" \
    -c "read -P 0x11 2048 60k" -c "write -P 0x33 1048064 1024" -c "read -P 0x33 1048064 1024" \
    -c "discard 65536 65536" -c "write -z 131072 65536" -c "read -P 0 131072 65536" "$URI"
check "qemu-io again, a mebibyte at once" qemu-io -f raw -c "write -P 0x55 8M 1M" \
    -c "read -P 0x55 8M 1M" "$URI"
check "nbdcopy copies an image in" nbdcopy "$STACK/source.img" "$URI"
check "the image on the host equals it" cmp "$STACK/source.img" "$STACK/disk.img"
check "nbdcopy copies it out" nbdcopy "$URI" "$STACK/back.img"
check "bit for bit" cmp "$STACK/source.img" "$STACK/back.img"
check "qemu-img compare agrees" qemu-img compare -f raw -F raw "$STACK/source.img" "$URI"
check "qemu-img convert copies it out as well" qemu-img convert -f raw -O raw "$URI" "$STACK/conv.img"
check "bit for bit again" cmp "$STACK/source.img" "$STACK/conv.img"
for job in "randwrite 4k 32" "write 128k 8" "randwrite 512-64k 16"; do
    # shellcheck disable=SC2086
    set -- $job
    bs="--bs=$2"
    [ "$2" = 512-64k ] && bs="--bsrange=512-64k --blockalign=512"
    # shellcheck disable=SC2086
    check "fio $1 of $2 at depth $3, verified: no error" fio --name=v --ioengine=nbd --uri="$URI" \
        --rw="$1" $bs --iodepth="$3" --size=64M --io_size=64M --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
        --do_verify=1 --output="$STACK/fio.out"
done
gone() { ! kill -0 $NBD; }
kill $NBD
check "the export ends when told to" stack_wait 10 gone
check "the disk is detached" stack_detach xvda
check "nothing is mapped or bound any more" "$LOOPCTL" --dir "$STACK/loop" report
done_testing
