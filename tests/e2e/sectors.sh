#!/bin/sh
# SPDX-License-Identifier: MIT
# Storage whose sectors are 4096 bytes, through real processes: the guest sees sectors of 512.
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"

front() { "$FRONT" --hv "$HV" --disk xvda "$@"; }

stack_folder
truncate -s 32M "$STACK/disk.img"
if [ "$(id -u)" -ne 0 ] || ! DEV=$(losetup -f --show -b 4096 "$STACK/disk.img" 2>"$STACK/out"); then
    skip "512e over 4096-byte sectors" "needs root and a loop device"
    done_testing
    exit
fi
check "the stack comes up" stack_up
check "a guest domain is made" stack_domain
check "a device of 4096-byte sectors is attached" stack_attach xvda "$DEV"
check "the frontend connects" front info
says "it sees sectors of 512 bytes over 4096" "512 bytes, physical 4096"
# From here on the device goes away with its last user, however this ends.
losetup -d "$DEV"

head -c 33554432 /dev/urandom >"$STACK/model.img"
check "the whole disk is written" front write --from "$STACK/model.img"
head -c 1000448 /dev/urandom >"$STACK/part.img"
for offset in 512 3584 1049088 16773632; do
    dd if="$STACK/part.img" of="$STACK/model.img" bs=512 seek=$((offset / 512)) conv=notrunc status=none
    check "part of it at $offset" front write --from "$STACK/part.img" --offset "$offset"
done
check "every byte is where it belongs, and the neighbours too" front verify --from "$STACK/model.img"
check "4 rings write single sectors at random" \
    front bench --queues 4 --rw randwrite --bs 512 --offset 16M --count 4000 --length 8M
says "without an error" " 0 errors"
head -c 16777216 "$STACK/model.img" >"$STACK/half.img"
check "what they did not touch is as it was" front verify --from "$STACK/half.img"
check "the disk is detached" stack_detach xvda
done_testing
