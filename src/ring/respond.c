/* SPDX-License-Identifier: MIT
 *
 * Answers: exactly one for each request, in the order of completion; one publish and at most one
 * notify for a whole pass. Thread: the ring's.
 */
#include "ring/internal.h"

#include "base/barrier.h"

static void answer(struct ring *ring, struct ring_request *req)
{
    blkif_ring_respond(&ring->back, req->raw.id, blkif_request_echo_op(&req->raw), req->status);
    ring->unpublished++;
    ring->inflight--;
    if (req->checked.kind == KIND_BARRIER) {
        ring->barrier = false;
        ring_gate_release(ring->config.gate, ring->config.index);
    }
    pool_give(ring, req);
}

void ring_refuse(struct ring *ring, struct ring_request *req, enum blkif_refusal why)
{
    counter_add(&ring->config.stats->refused, 1);
    if (log_limit_ok(&ring->config.stats->log_limit))
        log_warn("ring %u: request refused: %s (operation %u, sector %llu, %u segments)",
                 ring->config.index, blkif_refusal_name(why), req->raw.operation,
                 (unsigned long long)req->raw.sector, req->raw.nr_segments);
    req->status = blkif_refusal_status(why);
    req->checked.kind = KIND_READ; /* not a barrier that others wait for */
    answer(ring, req);
}

static void answer_list(struct ring *ring)
{
    grants_copy_out(ring);
    struct ring_request *req = request_list_take_all(&ring->done);
    while (req) {
        struct ring_request *next = req->next;
        grants_release(ring, req);
        answer(ring, req);
        req = next;
    }
}

void ring_answer_done(struct ring *ring)
{
    answer_list(ring);
    if (ring->parked && ring->inflight == 1) {
        struct ring_request *req = ring->parked;
        ring->parked = NULL;
        ring_submit(ring, req);
        answer_list(ring); /* if its data could not be fetched, it is answered already */
    }
}

void ring_publish(struct ring *ring)
{
    struct stats_ring *st = ring->config.stats;

    if (!ring->unpublished)
        return;
    WRITE_ONCE(st->inflight, ring->inflight);
    counter_add(&st->responses, ring->unpublished);
    ring->unpublished = 0;
    if (!blkif_ring_publish(&ring->back))
        return;
    counter_add(&st->notifies, 1);
    hv_evtchn_notify(ring->evtchn);
}
