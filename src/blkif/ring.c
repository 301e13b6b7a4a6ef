/* SPDX-License-Identifier: MIT
 *
 * The backend's end of a shared ring. Only this file and the copying of segments touch the shared
 * page; each access is a single load or store of its own word.
 *
 * Threads: the ring's own.
 */
#include "blkif/ring.h"

#include <errno.h>
#include <string.h>

#include "base/barrier.h"
#include "blkif/features.h"

static unsigned char *slot_at(const struct blkif_ring *ring, uint32_t index)
{
    unsigned char *slots = (unsigned char *)ring->shared + BLKIF_RING_HEADER_BYTES;

    return slots + (size_t)(index & (ring->entries - 1)) * ring->slot_bytes;
}

void blkif_ring_attach(struct blkif_ring *ring, void *shared, enum blkif_abi abi, uint32_t pages)
{
    ring->shared = shared;
    ring->abi = abi;
    ring->entries = blkif_ring_entries(abi, pages);
    ring->slot_bytes = blkif_slot_bytes(abi);

    uint32_t start = READ_ONCE(ring->shared->rsp_prod);

    ring->req_cons = start;
    ring->rsp_prod_pvt = start;
    ring->rsp_published = start;
}

int blkif_ring_pending(const struct blkif_ring *ring)
{
    /* Orders this load of req_prod before our later loads of the slots; pairs with the frontend's
     * write barrier between its stores to the slots and its store to req_prod. */
    uint32_t req_prod = load_acquire(&ring->shared->req_prod);
    uint32_t produced = req_prod - ring->rsp_prod_pvt;
    uint32_t consumed = ring->req_cons - ring->rsp_prod_pvt;

    /* Distances from the last response, so that an index crossing 2^32 makes no difference. */
    if (produced > ring->entries || produced < consumed)
        return -EPROTO;
    return (int)(produced - consumed);
}

void blkif_ring_consume(struct blkif_ring *ring, void *slot_copy)
{
    const uint32_t *from = (const uint32_t *)(const void *)slot_at(ring, ring->req_cons);
    unsigned char *to = slot_copy;

    /* Word by word, so that the compiler can neither read a byte twice nor later (XSA-155). */
    for (uint32_t i = 0; i < ring->slot_bytes / sizeof(uint32_t); i++) {
        uint32_t word = READ_ONCE(from[i]);

        memcpy(to + i * sizeof(word), &word, sizeof(word));
    }
    /* The copy is whole before req_cons moves: it may be a journal entry that a later life of this
     * process reads (same machine, so the order of the stores as compiled is what counts). */
    compiler_barrier();
    ring->req_cons++;
}

void blkif_ring_respond(struct blkif_ring *ring, uint64_t id, uint8_t operation, int16_t status)
{
    struct blkif_response *rsp = (void *)slot_at(ring, ring->rsp_prod_pvt);

    /* Field by field: a whole struct would carry our stack's padding to the guest (XSA-216). */
    rsp->id = id;
    rsp->operation = operation;
    rsp->status = status;
    ring->rsp_prod_pvt++;
}

bool blkif_ring_publish(struct blkif_ring *ring)
{
    uint32_t old = ring->rsp_published;
    uint32_t new = ring->rsp_prod_pvt;

    if (new == old)
        return false;
    ring->rsp_published = new;

    /* Orders our stores to the response slots before the store to rsp_prod; pairs with the
     * frontend's read barrier between its load of rsp_prod and its loads of the slots. */
    store_release(&ring->shared->rsp_prod, new);

    /* Orders our store to rsp_prod before our load of rsp_event; pairs with the frontend's barrier
     * between its store to rsp_event and its last look at rsp_prod. Without it both sides could
     * miss each other, and the guest would sleep on an answered request. */
    full_barrier();
    uint32_t rsp_event = READ_ONCE(ring->shared->rsp_event);

    return new - rsp_event < new - old;
}

bool blkif_ring_arm(struct blkif_ring *ring)
{
    if (blkif_ring_pending(ring) != 0)
        return true;
    WRITE_ONCE(ring->shared->req_event, ring->req_cons + 1);

    /* Orders our store to req_event before our load of req_prod; pairs with the frontend's barrier
     * between its store to req_prod and its load of req_event. Either it sees that we want the
     * event, or we see its request. */
    full_barrier();
    return blkif_ring_pending(ring) != 0;
}
