/* SPDX-License-Identifier: MIT
 *
 * From the shared ring to private, checked requests. Each slot is copied once; nothing here looks
 * at guest memory again (XSA-155). Thread: the ring's.
 */
#include "ring/internal.h"

#include "base/barrier.h"

static void count_accepted(struct stats_ring *st, const struct blkif_checked *c)
{
    switch (c->kind) {
    case KIND_READ:
        counter_add(&st->rd_req, 1);
        counter_add(&st->rd_sect, c->sectors);
        break;
    case KIND_WRITE:
        counter_add(&st->wr_req, 1);
        counter_add(&st->wr_sect, c->sectors);
        break;
    case KIND_FLUSH:
    case KIND_BARRIER:
        counter_add(&st->f_req, 1);
        counter_add(&st->wr_sect, c->sectors);
        break;
    case KIND_DISCARD:
        counter_add(&st->ds_req, 1);
        break;
    }
}

/* The second half of the check of an indirect request: its segments, once they are ours. */
static enum blkif_refusal check_indirect(struct ring *ring, struct ring_request *req)
{
    struct blkif_checked *c = &req->checked;

    if (!grants_fetch_segments(ring, req))
        return REFUSE_GRANT;
    return blkif_check_segments(req->segments, c->nr_segments, c->sector, &ring->config.limits,
                                &c->sectors);
}

/* A request whose bounce pages cannot be had yet waits, and everything behind it in the ring: what
 * a guest can make resident here is bounded (XSA-300). */
static void map_or_starve(struct ring *ring, struct ring_request *req)
{
    if (!pool_reserve(ring, req)) {
        ring->starved = req;
        counter_add(&ring->config.stats->oo_req, 1);
        return;
    }
    grants_map(req);
    ring_plan(req);
    request_list_add(&ring->mapped, req);
}

static void take_one(struct ring *ring, struct ring_request *req)
{
    unsigned char slot[BLKIF_SLOT_BYTES_X86_64];

    blkif_ring_consume(&ring->back, slot);
    blkif_request_decode(ring->config.abi, slot, &req->raw);
    ring->inflight++;
    req->status = BLKIF_RSP_OKAY;
    req->segments = req->raw.seg;
    req->copies = 0;
    req->iovcnt = 0;
    enum blkif_refusal why = blkif_check_request(&req->raw, &ring->config.limits, &req->checked);
    if (!why && req->checked.indirect)
        why = check_indirect(ring, req);
    if (why) {
        ring_refuse(ring, req, why);
        return;
    }
    count_accepted(ring->config.stats, &req->checked);
    if (req->checked.kind == KIND_BARRIER)
        ring->barrier = true;
    grants_take(ring, req);
    map_or_starve(ring, req);
}

static void take_new(struct ring *ring)
{
    struct stats_ring *st = ring->config.stats;
    int pending = blkif_ring_pending(&ring->back);

    if (pending < 0) {
        ring_halt(ring, RING_HALT_OVERFLOW);
        return;
    }
    /* One size for each request, whatever happens meanwhile. */
    ring->config.limits.nr_sectors = READ_ONCE(ring->sectors);
    ring->left_some = false;
    for (int taken = 0; taken < pending && !ring->barrier; taken++) {
        if (ring->starved) {
            ring->left_some = true;
            break;
        }
        struct ring_request *req = pool_take(ring);
        if (!req) {
            /* No event will come for what stays in the ring: the next completion looks again. */
            counter_add(&st->oo_req, 1);
            ring->left_some = true;
            break;
        }
        take_one(ring, req);
        ring->busy_ms = ring->now_ms;
    }
    WRITE_ONCE(st->inflight, ring->inflight);
}

void ring_consume(struct ring *ring, bool take)
{
    struct ring_request *req = ring->starved;

    if (req) {
        ring->starved = NULL;
        map_or_starve(ring, req);
    }
    if (take && !ring->starved)
        take_new(ring);
    grants_copy_in(ring);
    req = request_list_take_all(&ring->mapped);
    while (req) {
        struct ring_request *next = req->next;
        ring_submit(ring, req);
        req = next;
    }
}
