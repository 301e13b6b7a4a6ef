/* SPDX-License-Identifier: MIT
 *
 * Requests and answers, read in xen/io/blkif.h and ring.h once more, with nothing kept from a case:
 * any bytes go out. What comes back must be right: an answer to a request in flight, its id, its
 * operation, once; and an event when one was asked for.
 *
 * Thread: main.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "conform.h"

bool is_32(const struct ctx *c)
{
    return c->how.protocol != NULL && strcmp(c->how.protocol, "x86_32-abi") == 0;
}

/* The same fields at other offsets. */
#define FILL(abi, slot, rq)                                                                        \
    do {                                                                                           \
        struct blkif_rw_##abi *rw = (slot);                                                        \
        struct blkif_discard_##abi *discard = (slot);                                              \
        struct blkif_indirect_##abi *indirect = (slot);                                            \
        memset(rw, 0, sizeof(*rw));                                                                \
        rw->operation = (rq)->op;                                                                  \
        rw->handle = (rq)->handle;                                                                 \
        rw->id = (rq)->id;                                                                         \
        rw->sector_number = (rq)->sector;                                                          \
        if ((rq)->op == BLKIF_OP_DISCARD) {                                                        \
            discard->flag = (rq)->inner;                                                           \
            discard->nr_sectors = (rq)->nr_sectors;                                                \
        } else if ((rq)->op == BLKIF_OP_INDIRECT) {                                                \
            indirect->indirect_op = (rq)->inner;                                                   \
            indirect->nr_segments = (rq)->nr;                                                      \
            indirect->handle = (rq)->handle;                                                       \
            memcpy(indirect->indirect_grefs, (rq)->gref, sizeof((rq)->gref));                      \
        } else {                                                                                   \
            rw->nr_segments = (uint8_t)(rq)->nr;                                                   \
            memcpy(rw->seg, (rq)->seg, sizeof((rq)->seg));                                         \
        }                                                                                          \
    } while (0)

static void remember(struct ctx *c, struct queue *q, const struct rq *rq)
{
    for (uint32_t i = 0; i < q->raw.entries; i++) {
        if (q->asked[i].used)
            continue;
        q->asked[i] = (struct asked){
            .id = rq->id, .op = rq->op == BLKIF_OP_INDIRECT ? rq->inner : rq->op, .used = true};
        q->in_flight++;
        return;
    }
    fail(c, "the case put more requests on the ring than fit");
}

void *rq_put(struct ctx *c, uint32_t qi, const struct rq *given)
{
    struct queue *q = &c->q[qi];
    struct rq rq = *given;
    void *slot = front_raw_slot(c->bf, qi, q->req_prod);

    if (rq.id == 0)
        rq.id = ++c->next_id;
    if (is_32(c))
        FILL(x86_32, slot, &rq);
    else
        FILL(x86_64, slot, &rq);
    remember(c, q, &rq);
    q->req_prod++;
    return slot;
}

void rq_push(struct ctx *c, uint32_t qi)
{
    struct queue *q = &c->q[qi];
    uint32_t old = q->pushed;

    q->pushed = q->req_prod;
    /* The slots before the index; pairs with the backend's barrier between the two reads. */
    store_release(&q->raw.shared->req_prod, q->req_prod);
    /* req_prod before the look at req_event; pairs with the backend's before it sleeps. */
    full_barrier();
    if (q->req_prod - READ_ONCE(q->raw.shared->req_event) < q->req_prod - old)
        hv_evtchn_notify(q->raw.ev);
}

/* True when there is an answer; asks for an event first if there is none. */
static bool answer_there(struct queue *q)
{
    if (load_acquire(&q->raw.shared->rsp_prod) != q->rsp_cons)
        return true;
    WRITE_ONCE(q->raw.shared->rsp_event, q->rsp_cons + 1);
    /* rsp_event before the last look at rsp_prod; pairs with the backend's after it publishes. */
    full_barrier();
    return load_acquire(&q->raw.shared->rsp_prod) != q->rsp_cons;
}

static void answer_wait(struct ctx *c, struct queue *q)
{
    uint64_t end = now_ms() + WAIT_MS;

    while (!answer_there(q)) {
        struct pollfd pfd = {.fd = hv_evtchn_fd(q->raw.ev), .events = POLLIN};
        uint64_t now = now_ms();

        if (now >= end || poll(&pfd, 1, (int)(end - now)) == 0) {
            require(c, READ_ONCE(q->raw.shared->rsp_prod) == q->rsp_cons,
                    "answered without the event that was asked for");
            fail(c, "no answer: %" PRIu32 " requests in flight", q->in_flight);
        }
        if (hv_evtchn_pending(q->raw.ev) == 1)
            hv_evtchn_unmask(q->raw.ev);
    }
}

static void forget(struct ctx *c, struct queue *q, const struct answer *a)
{
    for (uint32_t i = 0; i < q->raw.entries; i++)
        if (q->asked[i].used && q->asked[i].id == a->id && q->asked[i].op == a->op) {
            q->asked[i].used = false;
            q->in_flight--;
            return;
        }
    fail(c, "an answer that nobody waits for: id 0x%" PRIx64 ", operation %u, status %d", a->id,
         a->op, a->status);
}

struct answer rq_answer(struct ctx *c, uint32_t qi)
{
    struct queue *q = &c->q[qi];
    struct answer a;
    uint32_t there;

    require(c, q->in_flight != 0, "the case waits for an answer to nothing");
    answer_wait(c, q);
    there = load_acquire(&q->raw.shared->rsp_prod) - q->rsp_cons;
    require(c, there <= q->pushed - q->rsp_cons,
            "%" PRIu32 " answers are published to %" PRIu32 " requests", there,
            q->pushed - q->rsp_cons);
    a.slot = front_raw_slot(c->bf, qi, q->rsp_cons);
    memcpy(&a.id, a.slot, sizeof(a.id));
    a.op = a.slot[8];
    memcpy(&a.status, a.slot + 10, sizeof(a.status));
    require(c, a.status <= 0 && a.status >= BLKIF_RSP_EOPNOTSUPP, "status %d does not exist",
            a.status);
    q->rsp_cons++;
    forget(c, q, &a);
    return a;
}

unsigned rq_answers(struct ctx *c, uint32_t q, int status)
{
    unsigned others = 0;

    while (c->q[q].in_flight != 0)
        others += rq_answer(c, q).status != status;
    return others;
}

int rq_do(struct ctx *c, uint32_t q, const struct rq *rq)
{
    rq_put(c, q, rq);
    rq_push(c, q);
    return rq_answer(c, q).status;
}

void rq_want(struct ctx *c, uint32_t q, const struct rq *rq, int status)
{
    int got = rq_do(c, q, rq);

    require(c, got == status,
            "operation %u at sector %" PRIu64 " with %u segments: status %d instead of %d", rq->op,
            rq->sector, rq->nr, got, status);
}

struct rq rq_rw(uint8_t op, uint64_t sector, const uint32_t *gref, unsigned n)
{
    struct rq rq = {.op = op, .nr = (uint16_t)n, .sector = sector};

    for (unsigned i = 0; i < n && i < BLKIF_SEGS_PER_REQUEST; i++)
        rq.seg[i] = (struct blkif_segment){.gref = gref[i], .last_sect = PAGE_SECTORS - 1};
    return rq;
}

struct rq rq_discard(uint64_t sector, uint64_t nr_sectors, uint8_t flag)
{
    return (struct rq){
        .op = BLKIF_OP_DISCARD, .inner = flag, .sector = sector, .nr_sectors = nr_sectors};
}
