/* SPDX-License-Identifier: MIT
 *
 * Writes requests into ring slots in the layout of the negotiated ABI. A request is described once,
 * in struct front_request; each layout has one function that turns it into bytes.
 *
 * Threads: none of its own.
 */
#ifndef FRONT_ABI_H
#define FRONT_ABI_H

#include <stdint.h>

#include "blkif/layout.h"

struct front_request {
    uint8_t operation;     /* BLKIF_OP_*; never BLKIF_OP_INDIRECT */
    uint16_t nr_segments;  /* of data; 0 for a flush, a barrier without data, a discard */
    uint16_t handle;       /* the virtual device, as Linux fills it: the low 16 bits */
    uint8_t discard_flag;  /* 0 or BLKIF_DISCARD_SECURE */
    uint64_t id;           /* comes back in the response */
    uint64_t sector;       /* 512 bytes each */
    uint64_t nr_sectors;   /* discard only */
    const uint32_t *grefs; /* NULL: direct; else the pages that hold the segments */
};

struct front_abi {
    const char *name; /* what the `protocol` node says */
    uint32_t slot_bytes;
    /* Writes every byte of the request into the slot (zeroing the rest of it), except the segments
     * of a direct request: returns where those nr_segments go, or NULL when there are none. */
    struct blkif_segment *(*put)(void *slot, const struct front_request *req);
};

/* NULL for a name that is not known. */
const struct front_abi *front_abi_find(const char *name);

#endif
