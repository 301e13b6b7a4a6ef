/* SPDX-License-Identifier: MIT
 *
 * The rig's guest: it may write any byte of its memory, at any time. Threads: one.
 */
#include "rig.h"

static void store(size_t at, const void *bytes, size_t n)
{
    CHECK(at + n <= (size_t)RIG_PAGES * HV_PAGE);
    memcpy(rig.memory + at, bytes, n);
    memcpy(rig.shadow + at, bytes, n);
}

void guest_changed(size_t at, size_t n)
{
    for (unsigned i = 0; i < rig.nr_rings; i++)
        if (at < guest_ring(i) + BLKIF_RING_HEADER_BYTES && at + n > guest_ring(i))
            rig.rings[i].tidy = false; /* by whatever way it was written */
}

void guest_store(size_t at, const void *bytes, size_t n)
{
    store(at, bytes, n);
    guest_changed(at, n);
}

size_t guest_ring(unsigned ring)
{
    return (size_t)(RIG_RING_REF + ring * RIG_RING_PAGES) * HV_PAGE;
}

void guest_put(unsigned ring, const void *slot)
{
    struct rig_ring *rr = &rig.rings[ring];
    size_t at = (rr->req_prod++ & (rr->entries - 1)) * (size_t)rr->slot_bytes;

    guest_store(guest_ring(ring) + BLKIF_RING_HEADER_BYTES + at, slot, rr->slot_bytes);
}

static uint32_t load(unsigned ring, size_t field)
{
    uint32_t v;

    memcpy(&v, rig.memory + guest_ring(ring) + field, sizeof(v));
    return v;
}

void guest_push(unsigned ring, bool notify)
{
    struct rig_ring *rr = &rig.rings[ring];
    uint32_t new = rr->req_prod, old = load(ring, offsetof(struct blkif_sring, req_prod));

    store(guest_ring(ring) + offsetof(struct blkif_sring, req_prod), &new, sizeof(new));
    if (!notify)
        rr->tidy = false;
    else if (new - load(ring, offsetof(struct blkif_sring, req_event)) < new - old)
        guest_notify(ring);
}

void guest_notify(unsigned ring)
{
    if (rig.rings[ring].bound)
        rig.rings[ring].pending = true;
}

void guest_consume(unsigned ring)
{
    uint32_t event = load(ring, offsetof(struct blkif_sring, rsp_prod)) + 1;

    store(guest_ring(ring) + offsetof(struct blkif_sring, rsp_event), &event, sizeof(event));
}

void guest_release(unsigned which)
{
    struct engine_io *io = rig.held[which];

    rig.nr_held--;
    memmove(rig.held + which, rig.held + which + 1, (rig.nr_held - which) * sizeof(io));
    ioctx_later((struct ioctx *)io->priv.channel, &io->priv.op, rig.result);
}
