/* SPDX-License-Identifier: MIT
 *
 * Several queues, rings of several pages. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

/* Fills every ring, so that every slot of every page is used, and looks at the data. */
static void all_rings(struct ctx *c, const void *arg)
{
    enum { PAGES = 512 };
    uint32_t gref[PAGES];
    uint8_t *pages = pages_new(c, PAGES, true, gref);

    (void)arg;
    for (unsigned pass = 0; pass < 4; pass++) {
        uint8_t op = pass % 2 == 0 ? BLKIF_OP_WRITE : BLKIF_OP_READ;

        if (op == BLKIF_OP_WRITE)
            fill(pages, SCRATCH, PAGES * PAGE_SECTORS, pass);
        else
            memset(pages, 0, PAGES * HV_PAGE);
        for (uint32_t q = 0; q < c->nr_queues; q++)
            for (uint32_t i = 0; i < c->q[q].raw.entries; i++) {
                uint32_t at = (i + q * 37) % PAGES;
                struct rq rq = rq_rw(op, SCRATCH + (uint64_t)at * PAGE_SECTORS, &gref[at], 1);

                rq_put(c, q, &rq);
            }
        for (uint32_t q = 0; q < c->nr_queues; q++)
            rq_push(c, q);
        for (uint32_t q = 0; q < c->nr_queues; q++)
            require(c, rq_answers(c, q, BLKIF_RSP_OKAY) == 0,
                    "a request of queue %" PRIu32 " fails", q);
        if (op == BLKIF_OP_READ) {
            uint32_t n = c->q[0].raw.entries < PAGES ? c->q[0].raw.entries : PAGES;

            require(c, filled(pages, SCRATCH, n * PAGE_SECTORS, pass - 1),
                    "what the rings wrote is not what they read");
        }
    }
}

static void every_queue(struct ctx *c, const void *arg)
{
    struct connect how = c->how;

    link_close(c);
    how.queues = c->offer->max_queues;
    how.order = c->offer->max_order;
    link_open(c, &how);
    all_rings(c, arg);
}

/* One queue's words are seen by the others. */
static void across(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);

    (void)arg;
    for (unsigned n = 0; n < 50; n++) {
        struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH, &gref, 1);

        fill(page, SCRATCH, PAGE_SECTORS, n);
        rq_want(c, n % 2, &rq, BLKIF_RSP_OKAY);
        memset(page, 0, HV_PAGE);
        rq.op = BLKIF_OP_READ;
        rq_want(c, (n + 1) % 2, &rq, BLKIF_RSP_OKAY);
        require(c, filled(page, SCRATCH, PAGE_SECTORS, n), "queue %u reads something old",
                (n + 1) % 2);
    }
}

/* What all queues have put on their rings before a barrier is on the disk when it is answered: read
 * through the barrier's queue, last write first. */
static void barrier_over_all(struct ctx *c, const void *arg)
{
    enum { SEGS = BLKIF_SEGS_PER_REQUEST, WRITES = 32 };
    uint32_t gref[SEGS], into;
    uint8_t *pages = pages_new(c, SEGS, true, gref), *page = pages_new(c, 1, true, &into);

    (void)arg;
    for (unsigned n = times(c, 60, 5000); n != 0; n--) {
        struct rq barrier = {.op = BLKIF_OP_WRITE_BARRIER}, read;

        for (unsigned i = 0; i < SEGS; i++)
            fill(pages + i * HV_PAGE, 0, PAGE_SECTORS, n);
        for (uint32_t i = 0; i < WRITES; i++) {
            struct rq write = rq_rw(BLKIF_OP_WRITE, SCRATCH + SEGS * PAGE_SECTORS * i, gref, SEGS);

            rq_put(c, 0, &write);
        }
        rq_push(c, 0);
        rq_want(c, 1, &barrier, BLKIF_RSP_OKAY);
        read =
            rq_rw(BLKIF_OP_READ, SCRATCH + SEGS * PAGE_SECTORS * WRITES - PAGE_SECTORS, &into, 1);
        rq_want(c, 1, &read, BLKIF_RSP_OKAY);
        require(c, filled(page, 0, PAGE_SECTORS, n),
                "after a barrier on queue 1 a write of queue 0 is not there yet");
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a write fails");
    }
}

static void one_halted(struct ctx *c, const void *arg)
{
    uint32_t gref;
    struct rq rq;

    (void)arg;
    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    WRITE_ONCE(c->q[0].raw.shared->req_prod, c->q[0].req_prod + 0x80000000u);
    hv_evtchn_notify(c->q[0].raw.ev);
    for (unsigned n = 0; n < 200; n++)
        rq_want(c, 1, &rq, BLKIF_RSP_OKAY);
    require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
}

/* One ring has work that is not answered yet while the frontend closes. */
static void one_busy(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (uint32_t i = 0; i < c->q[1].raw.entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

        rq_put(c, 1, &rq);
    }
    rq_push(c, 1);
    link_close(c);
}

/* Fewer queues after more: nothing of the former connection is used again. */
static void fewer_later(struct ctx *c, const void *arg)
{
    static const struct connect two = {.queues = 2}, one = {.queues = 1};

    (void)arg;
    for (unsigned n = 0; n < 6; n++) {
        link_close(c);
        link_open(c, n % 2 == 0 ? &one : &two);
        disk_fill(c, SCRATCH, 8, n);
        disk_want(c, SCRATCH, 8, n);
    }
}

#define RULE  "PROTOCOL §2 queues"
#define RINGS "PROTOCOL §3.1"
#define TWO                                                                                        \
    {                                                                                              \
        .queues = 2                                                                                \
    }
#define RW NEED_WRITE
#define RING(o)                                                                                    \
    {"multi_queue.ring-order-" #o,                                                                 \
     RINGS,                                                                                        \
     MUST,                                                                                         \
     "a ring of order " #o,                                                                        \
     RW | NEED_RINGS,                                                                              \
     {.order = o},                                                                                 \
     all_rings,                                                                                    \
     NULL},                                                                                        \
    {                                                                                              \
        "multi_queue.ring-order-" #o "-32", RINGS, MUST, "a ring of order " #o ", 32-bit",         \
            RW | NEED_RINGS, {.order = o, .protocol = "x86_32-abi"}, all_rings, NULL               \
    }

// clang-format off
static const struct conform_case cases[] = {
    RING(1),
    RING(2),
    RING(3),
    RING(4),
    {"multi_queue.two", RULE, MUST, "two queues", RW, TWO, all_rings, NULL},
    {"multi_queue.two-32", RULE, MUST, "two queues, 32-bit", RW, {.queues = 2, .protocol =
     "x86_32-abi"}, all_rings, NULL},
    {"multi_queue.two-unkept", RULE, MUST, "two queues without persistent grants", RW, {.queues =
     2, .no_persistent = true}, all_rings, NULL},
    {"multi_queue.two-of-order-2", RULE, MUST, "two queues of order 2", RW, {.queues = 2, .order =
     2}, all_rings, NULL},
    {"multi_queue.every-queue", RULE, MUST, "as many queues and pages as are offered", RW |
     NEED_QUEUES, {0}, every_queue, NULL},
    {"multi_queue.across", RULE, MUST, "one queue reads what another wrote", RW, TWO, across,
     NULL},
    {"multi_queue.wrap", RINGS, MUST, "the indices of both rings cross 2^32", RW, {.queues = 2,
     .first_index = 0xffffffe0u}, all_rings, NULL},
    {"multi_queue.barrier-over-all", "PROTOCOL §3.13", MUST,
     "a barrier waits for the writes of every queue", RW | NEED_BARRIER, TWO, barrier_over_all,
     NULL},
    {"multi_queue.one-halted", "HOSTILE §3 indices: overflow", MUST,
     "a ring that is stopped stops no other", 0, TWO, one_halted, NULL},
    {"multi_queue.one-busy", "HOSTILE §2 one busy ring", MUST, "closing with one ring busy", 0,
     TWO, one_busy, NULL},
    {"multi_queue.fewer-later", RULE, MUST, "fewer queues at the next connection", RW, TWO,
     fewer_later, NULL},
};
// clang-format on
SUITE(multi_queue);
