#!/bin/sh
# SPDX-License-Identifier: MIT
# A disk's whole life on the loopback, through real processes: daemon, worker, frontend.
BUILD=$1
SOURCE=$2
. "$SOURCE/tools/stack.sh"
. "$SOURCE/tests/e2e/tap.sh"

front() { "$FRONT" --hv "$HV" --disk xvda "$@"; }
workers() { pgrep -P "$DAEMON_PID" -f blkbackd-vbd | wc -l; }
no_workers() { [ "$(workers)" -eq 0 ]; }
node() { xenstore-read "/local/domain/0/backend/vbd/$DOM/51712/$1"; }
node_is() { [ "$(node "$1")" = "$2" ]; }

stack_folder
head -c 33554432 /dev/urandom >"$STACK/disk.img"
head -c 33554432 /dev/urandom >"$STACK/new.img"
cp "$STACK/disk.img" "$STACK/old.img"

check "the stack comes up" stack_up
check "a guest domain is made" stack_domain
check "a disk is attached" stack_attach xvda "$STACK/disk.img"
one_worker() { [ "$(workers)" -eq 1 ]; }
check "one worker process serves it" stack_wait 5 one_worker
check "the backend waits in InitWait for its frontend" node_is state 2

check "the frontend connects and tells what was negotiated" front info
says "it sees the size in sectors" 65536
check "what the image holds is read through the ring" front read --to "$STACK/read.img"
check "every byte of it" cmp "$STACK/old.img" "$STACK/read.img"
check "a new content is written through the ring" front write --from "$STACK/new.img"
check "the image on the host holds every byte of it" cmp "$STACK/new.img" "$STACK/disk.img"
check "the frontend's own verification agrees" front verify --from "$STACK/new.img"
refuse "and disagrees with the old content" front verify --from "$STACK/old.img"

check "the same over the 32-bit ABI" front --protocol x86_32-abi write --from "$STACK/old.img"
check "bit for bit" cmp "$STACK/old.img" "$STACK/disk.img"
check "the same without persistent grants" front --no-persistent write --from "$STACK/new.img"
check "bit for bit too" cmp "$STACK/new.img" "$STACK/disk.img"

check "the control tool lists it" stack_ctl list
says "by guest and name" "$DOM:xvda"
check "as JSON too" stack_ctl --json list
says "with the schema's number" '"schema": *1'
check "the control tool shows it" stack_ctl show "$DOM:xvda"
says "with the kernel driver's statistics" rd_req
"$FRONT" --hv "$HV" --disk xvda bench --rw randread --runtime 30 >/dev/null 2>&1 &
LOAD=$!
STACK_KILL=$LOAD
connected() { stack_ctl list | grep -q connected; }
check "under load it is listed as connected" stack_wait 10 connected
check "object caches are listed" stack_ctl caches
says "that of the disks is among them" vbd
says "and the worker's requests" request
says "and the worker's grants" grant
kill $LOAD
wait $LOAD 2>/dev/null
refuse "a disk that does not exist is not found" stack_ctl show 99:xvda

check "the disk is detached" stack_detach xvda
check "its worker process is gone" stack_wait 5 no_workers
check "nothing is mapped or bound any more" "$LOOPCTL" --dir "$STACK/loop" report
check "the list is empty" stack_ctl list
refuse "and says so without an error" grep -q xvda "$STACK/out"

chmod 0444 "$STACK/new.img"
check "a read-only disk is attached" stack_attach xvda "$STACK/new.img" --readonly
check "its content is read" front verify --from "$STACK/new.img"
refuse "writing it is refused" front write --from "$STACK/old.img"
check "its content has not changed" front verify --from "$STACK/disk.img"
check "it is detached" stack_detach xvda
check "still nothing is mapped or bound" "$LOOPCTL" --dir "$STACK/loop" report
done_testing
