/* SPDX-License-Identifier: MIT
 *
 * From a mapped request to the storage engine. Most requests are one step; a flush or barrier that
 * carries data is several, one after the other. Thread: the ring's.
 */
#include "ring/internal.h"

/* What each kind of request asks of the storage, in order. FLUSH with data: flush, then write, as
 * Linux takes it. BARRIER: what came before is durable before its data is, and its data before it
 * is answered; ring->barrier keeps later requests out until then. */
static const struct plan {
    uint8_t nr_steps;
    enum engine_op steps[RING_STEPS_MAX];
} plans[][2] = {
    [KIND_READ] = {{0}, {1, {ENGINE_READ}}},
    [KIND_WRITE] = {{0}, {1, {ENGINE_WRITE}}},
    [KIND_FLUSH] = {{1, {ENGINE_FLUSH}}, {2, {ENGINE_FLUSH, ENGINE_WRITE}}},
    [KIND_BARRIER] = {{1, {ENGINE_FLUSH}}, {3, {ENGINE_FLUSH, ENGINE_WRITE, ENGINE_FLUSH}}},
    [KIND_DISCARD] = {{1, {ENGINE_DISCARD}}, {1, {ENGINE_DISCARD}}},
};

void ring_plan(struct ring_request *req)
{
    const struct blkif_checked *c = &req->checked;
    const struct plan *plan = &plans[c->kind][c->nr_segments > 0];

    req->nr_steps = plan->nr_steps;
    req->step = 0;
    for (unsigned i = 0; i < plan->nr_steps; i++)
        req->steps[i] = plan->steps[i];
    if (c->kind == KIND_DISCARD && c->sectors == 0)
        req->nr_steps = 0; /* nothing asked, nothing done: OKAY */
}

static void fill_io(struct ring_request *req)
{
    const struct blkif_checked *c = &req->checked;
    struct engine_io *io = &req->io;

    io->op = req->steps[req->step];
    io->flags = 0;
    io->offset = c->sector * BLKIF_SECTOR;
    io->length = c->sectors * BLKIF_SECTOR;
    io->iov = req->iov;
    io->iovcnt = req->iovcnt;
    io->done = ring_complete;
    if (io->op == ENGINE_FLUSH) {
        io->offset = io->length = 0;
        io->iovcnt = 0;
    } else if (io->op == ENGINE_DISCARD) {
        io->iovcnt = 0;
        io->flags = c->secure ? ENGINE_IO_SECURE : 0;
    }
}

void ring_submit(struct ring *ring, struct ring_request *req)
{
    if (req->checked.kind == KIND_BARRIER && req->step == 0 &&
        (ring->inflight > 1 || !ring_gate_claim(ring->config.gate, ring->config.index))) {
        ring->parked = req; /* until what came before it, on every ring, has been answered */
        return;
    }
    if (req->status != BLKIF_RSP_OKAY || req->step == req->nr_steps) {
        request_list_add(&ring->done, req);
        return;
    }
    fill_io(req);
    int err = ring->config.engine
                  ? engine_ops_of(ring->config.engine)->submit(ring->channel, &req->io)
                  : -ENODEV;
    if (err)
        ring_complete(&req->io, err);
}
