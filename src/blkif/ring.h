/* SPDX-License-Identifier: MIT
 *
 * The backend's view of a shared ring: indices, copies, publication. Pure but for the shared page
 * itself. Source: xen/include/public/io/ring.h; rules 1-7 of docs (PROTOCOL §3).
 *
 * The shared page is hostile memory: each field is read with a single load, and what this side has
 * written (rsp_prod, req_event) is never read back. Private indices rule.
 *
 * Threads: one, the ring's own.
 */
#ifndef BLKIF_RING_H
#define BLKIF_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "blkif/layout.h"

struct blkif_ring {
    struct blkif_sring *shared;
    enum blkif_abi abi;
    uint32_t entries; /* a power of two */
    uint32_t slot_bytes;
    uint32_t req_cons;      /* next request to consume; free-running */
    uint32_t rsp_prod_pvt;  /* next response to place; free-running */
    uint32_t rsp_published; /* what rsp_prod was last set to */
};

/* shared: pages (power of two, 1..16) mapped next to each other. Starts req_cons and rsp_prod_pvt
 * at the shared rsp_prod, so that it serves a new ring and a re-attached one. */
void blkif_ring_attach(struct blkif_ring *ring, void *shared, enum blkif_abi abi, uint32_t pages);

/* How many requests wait: 0..entries, or -EPROTO when the guest's req_prod is more than a ring
 * ahead of our responses or behind what was consumed: the ring must be stopped. One load of
 * req_prod. */
int blkif_ring_pending(const struct blkif_ring *ring);

/* Copies the request at req_cons to private memory (blkif_slot_bytes(abi) bytes) and advances
 * req_cons. Only after blkif_ring_pending() said it is there. */
void blkif_ring_consume(struct blkif_ring *ring, void *slot_copy);

/* Fills the next response slot; not visible to the guest until blkif_ring_publish(). */
void blkif_ring_respond(struct blkif_ring *ring, uint64_t id, uint8_t operation, int16_t status);

/* Makes the responses visible. True if the frontend asked to be notified for one of them. */
bool blkif_ring_publish(struct blkif_ring *ring);

/* Before sleeping: asks for a notification for the next request and looks once more. True if
 * requests are there after all (then do not sleep), or the index is broken. */
bool blkif_ring_arm(struct blkif_ring *ring);

#endif
