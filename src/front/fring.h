/* SPDX-License-Identifier: MIT
 *
 * The frontend's end of a shared ring: indices, publishing, sleeping. A reading of xen/io/ring.h of
 * its own.
 *
 * Indices run freely through 32 bits; only their differences mean anything, and the low bits choose
 * the slot. Written by us: req_prod, rsp_event, request slots. Written by the backend: rsp_prod,
 * req_event, response slots; each of those is read once and checked before it is used.
 *
 * Threads: one at a time.
 */
#ifndef FRONT_FRING_H
#define FRONT_FRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/barrier.h"
#include "blkif/layout.h"

struct fring {
    struct blkif_sring *shared;
    uint32_t entries; /* a power of two */
    uint32_t slot_bytes;
    uint32_t req_prod_pvt;  /* filled, perhaps not yet published */
    uint32_t req_published; /* what the backend may have seen: our own copy of shared req_prod */
    uint32_t rsp_cons;      /* responses taken */
};

/* The largest power of two of slots that fit. */
static inline uint32_t fring_entries(uint32_t bytes, uint32_t slot_bytes)
{
    uint32_t fit = (bytes - BLKIF_RING_HEADER_BYTES) / slot_bytes;
    uint32_t n = 1;

    while (n * 2 <= fit)
        n *= 2;
    return n;
}

/* first: where both directions start; 0 but in tests. quiet: leave rsp_event behind, so that the
 * backend sends no event. */
void fring_init(struct fring *r, void *pages, uint32_t bytes, uint32_t slot_bytes, uint32_t first,
                bool quiet);

static inline void *fring_slot(const struct fring *r, uint32_t idx)
{
    return (uint8_t *)r->shared + BLKIF_RING_HEADER_BYTES +
           (size_t)(idx & (r->entries - 1)) * r->slot_bytes;
}

/* Requests that may still be put on the ring: a slot is ours again when its response was taken. */
static inline uint32_t fring_free(const struct fring *r)
{
    return r->entries - (r->req_prod_pvt - r->rsp_cons);
}

/* Publishes what was filled. True: the backend asked to be notified of one of these. */
bool fring_push(struct fring *r);

/* How many responses wait to be taken; -1 when the backend claims more than it was asked for. */
int fring_responses(const struct fring *r);

/* Asks for an event at the next response. True: one has come in the meantime, do not sleep. */
bool fring_arm(struct fring *r);

#endif
