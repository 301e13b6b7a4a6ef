/* SPDX-License-Identifier: MIT
 *
 * A request as private data: one layout for all guests. Pure.
 */
#ifndef BLKIF_REQUEST_H
#define BLKIF_REQUEST_H

#include <stdint.h>

#include "blkif/layout.h"

/* The private copy of a slot, decoded from its ABI but not yet checked: every field is the guest's
 * word. Which fields mean something depends on operation. */
struct blkif_request {
    uint64_t id;
    uint64_t sector;      /* 512-byte sectors */
    uint64_t nr_sectors;  /* DISCARD */
    uint8_t operation;    /* as in the slot */
    uint8_t indirect_op;  /* INDIRECT: READ or WRITE if the guest is honest */
    uint8_t flag;         /* DISCARD */
    uint16_t nr_segments; /* rw: 0..255; INDIRECT: 0..65535 */
    union {
        struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];  /* READ, WRITE, BARRIER, FLUSH */
        uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES_MAX]; /* INDIRECT */
    };
};

/* slot: a private copy of blkif_slot_bytes(abi) bytes, any alignment. */
void blkif_request_decode(enum blkif_abi abi, const void *slot, struct blkif_request *out);

/* The operation a response to this request carries: the inner one for INDIRECT (rule 5). */
uint8_t blkif_request_echo_op(const struct blkif_request *req);

#endif
