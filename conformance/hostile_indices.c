/* SPDX-License-Identifier: MIT
 *
 * Indices that cannot be, and words of the ring that the frontend has no business to write.
 * Thread: main.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conform.h"

#define LOOKS 60 /* of 2 ms each: how long a stopped ring is given to show that it is not */

static void pause_ms(unsigned ms)
{
    struct timespec ts = {.tv_nsec = (long)ms * 1000000};

    nanosleep(&ts, NULL);
}

static void stays_stopped(struct ctx *c, uint32_t rsp_prod)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        require(c, READ_ONCE(c->q[0].raw.shared->rsp_prod) == rsp_prod,
                "a ring whose index is impossible is answered");
        require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
        hv_evtchn_notify(c->q[0].raw.ev);
        pause_ms(2);
    }
}

/* req_prod jumps by this from where it is. Good requests lie in all slots. */
static void jumps(struct ctx *c, const void *arg)
{
    const uint32_t *by = arg;
    struct queue *q = &c->q[0];
    uint32_t gref, target, rsp_prod;

    pages_new(c, 1, true, &gref);
    for (uint32_t i = 0; i < q->raw.entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

        rq_put(c, 0, &rq);
    }
    rq_push(c, 0);
    rq_answers(c, 0, BLKIF_RSP_OKAY);
    rsp_prod = READ_ONCE(q->raw.shared->rsp_prod);
    target = *by == UINT32_MAX ? q->req_prod - 1 : q->req_prod + *by;
    if (*by == 0)
        target = q->req_prod + q->raw.entries + 1;
    store_release(&q->raw.shared->req_prod, target);
    hv_evtchn_notify(q->raw.ev);
    stays_stopped(c, rsp_prod);
    state_write(c, XS_CLOSING);
    backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "closing a stopped ring");
    state_write(c, XS_CLOSED);
    backend_wait(c, BIT(XS_CLOSED), "closing a stopped ring");
    require(c, READ_ONCE(q->raw.shared->rsp_prod) == rsp_prod, "it is answered at its end");
}

static long cpu_ticks(struct ctx *c)
{
    char text[32];

    host(c, "cpu", text, sizeof(text));
    return atol(text);
}

/* A ring that spins takes processor time in every window, one that sleeps at most now and then. */
static void idles(struct ctx *c, const void *arg)
{
    enum { WINDOWS = 10, WINDOW_MS = 300, IDLE_TICKS = 2 };

    (void)arg;
    store_release(&c->q[0].raw.shared->req_prod, c->q[0].req_prod + 0x80000000u);
    hv_evtchn_notify(c->q[0].raw.ev);
    pause_ms(50);
    for (unsigned n = 0; n < WINDOWS; n++) {
        long before = cpu_ticks(c);

        pause_ms(WINDOW_MS);
        if (cpu_ticks(c) - before <= IDLE_TICKS)
            return;
    }
    fail(c, "a stopped ring takes processor time all the time");
}

static void crosses(struct ctx *c, const void *arg)
{
    uint32_t gref, entries = c->q[0].raw.entries;
    uint8_t *page;

    (void)arg;
    page = pages_new(c, 1, true, &gref);
    disk_fill(c, SCRATCH, PAGE_SECTORS, 2);
    for (uint32_t n = 0; n < 8; n++) {
        for (uint32_t i = 0; i < entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a read fails");
        require(c, filled(page, SCRATCH, PAGE_SECTORS, 2), "the data is something else");
    }
}

/* The backend believes its own copy of what is its own. */
static void overwritten(struct ctx *c, const void *arg)
{
    const uint32_t *value = arg;
    struct blkif_sring *s = c->q[0].raw.shared;
    uint32_t gref;

    pages_new(c, 1, true, &gref);
    for (unsigned n = 0; n < 3 * c->q[0].raw.entries; n++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
        uint64_t start = now_ms();

        rq_put(c, 0, &rq);
        WRITE_ONCE(s->rsp_prod, c->q[0].rsp_cons + *value);
        WRITE_ONCE(s->req_event, c->q[0].req_prod); /* so that rq_push() notifies */
        rq_push(c, 0);
        while (READ_ONCE(s->rsp_prod) != c->q[0].rsp_cons + 1)
            wait_a_little(c, start, "rsp_prod written by the guest is not put right");
        require(c, rq_answer(c, 0).status == BLKIF_RSP_OKAY, "a read fails");
    }
}

/* rsp_event anywhere: at most an event too many or too few, never a wrong answer. */
static void event_words(struct ctx *c, const void *arg)
{
    static const uint32_t odd[] = {0, 1, 0x7fffffff, 0x80000000u, UINT32_MAX};
    struct blkif_sring *s = c->q[0].raw.shared;
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        for (unsigned n = 0; n < 20; n++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
            uint64_t start = now_ms();

            WRITE_ONCE(s->rsp_event, c->q[0].rsp_cons + odd[i]);
            WRITE_ONCE(s->req_event, c->q[0].req_prod + 1 + odd[i]);
            rq_put(c, 0, &rq);
            rq_push(c, 0);
            hv_evtchn_notify(c->q[0].raw.ev);
            while (load_acquire(&s->rsp_prod) == c->q[0].rsp_cons)
                wait_a_little(c, start, "no answer");
            require(c, rq_answer(c, 0).status == BLKIF_RSP_OKAY, "a read fails");
        }
}

/* The answers of a full ring come while its header is being overwritten. */
static void scribble_turn(void *arg, unsigned n)
{
    struct blkif_sring *s = arg;

    WRITE_ONCE(s->req_event, n * 2654435761u);
    WRITE_ONCE(s->rsp_event, n * 40503u);
}

static void scribbled(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    twist_start(c, scribble_turn, c->q[0].raw.shared, 0);
    for (unsigned n = times(c, 100, 100000); n != 0; n--) {
        uint64_t start = now_ms();

        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        hv_evtchn_notify(c->q[0].raw.ev);
        while (c->q[0].in_flight != 0)
            if (load_acquire(&c->q[0].raw.shared->rsp_prod) != c->q[0].rsp_cons)
                rq_answer(c, 0);
            else
                wait_a_little(c, start, "no answer");
    }
}

#define HALT  "HOSTILE §3 indices: overflow"
#define BY(n) (&(const uint32_t){n})

// clang-format off
static const struct conform_case cases[] = {
    {"hostile_indices.one-too-many", HALT, MUST, "one request more than the ring holds stops it",
     0, {0}, jumps, BY(0)},
    {"hostile_indices.huge", "HOSTILE §1 CVE-2010-4247", MUST,
     "req_prod 2^31 ahead stops the ring", 0, {0}, jumps, BY(0x80000000u)},
    {"hostile_indices.backwards", HALT, MUST, "req_prod one back stops the ring", 0, {0}, jumps,
     BY(UINT32_MAX)},
    {"hostile_indices.far-back", HALT, MUST, "req_prod far back stops the ring", 0, {0}, jumps,
     BY(0xffff0000u)},
    {"hostile_indices.huge-32", HALT, MUST, "the same with the 32-bit layout", 0, {.protocol =
     "x86_32-abi"}, jumps, BY(0x80000000u)},
    {"hostile_indices.one-too-many-at-wrap", HALT, MUST, "the same where indices cross 2^32", 0,
     {.first_index = 0xffffffe0u}, jumps, BY(0)},
    {"hostile_indices.stopped-is-idle", "HOSTILE §1 CVE-2010-4247", MUST,
     "a stopped ring takes no processor time", NEED_HOST, {0}, idles, NULL},
    {"hostile_indices.wrap", "HOSTILE §3 indices: wrap", MUST, "indices cross 2^32", NEED_WRITE,
     {.first_index = 0xffffff80u}, crosses, NULL},
    {"hostile_indices.wrap-32", "HOSTILE §3 indices: wrap", MUST, "the same, 32-bit", NEED_WRITE,
     {.first_index = 0xffffffc1u, .protocol = "x86_32-abi"}, crosses, NULL},
    {"hostile_indices.wrap-sign", "HOSTILE §3 indices: wrap", MUST, "indices cross 2^31",
     NEED_WRITE, {.first_index = 0x7fffffc0u}, crosses, NULL},
    {"hostile_indices.rsp-prod-ahead", "HOSTILE §3 indices: private copies", MUST,
     "rsp_prod written by the guest is not believed", 0, {0}, overwritten, BY(5)},
    {"hostile_indices.rsp-prod-behind", "HOSTILE §3 indices: private copies", MUST,
     "nor one that is behind", 0, {0}, overwritten, BY(0xfffffff0u)},
    {"hostile_indices.event-words", "HOSTILE §3 indices: private copies", MUST,
     "req_event and rsp_event written by the guest break nothing", 0, {0}, event_words, NULL},
    {"hostile_indices.scribbled", "HOSTILE §3 indices: private copies", MUST,
     "the same all the time during I/O", 0, {0}, scribbled, NULL},
};
// clang-format on
SUITE(hostile_indices);
