/* SPDX-License-Identifier: MIT
 *
 * Ends of a connection and new beginnings. Thread: main.
 */
#include <string.h>

#include "conform.h"

static const struct connect plain;

static void works(struct ctx *c)
{
    disk_fill(c, SCRATCH, 8, 1);
    disk_want(c, SCRATCH, 8, 1);
}

static void again(struct ctx *c)
{
    link_open(c, &plain);
    works(c);
}

/* Leaves the ring full of requests that have been pushed. */
static void fill_ring(struct ctx *c)
{
    uint32_t gref[BLKIF_SEGS_PER_REQUEST];

    pages_new(c, BLKIF_SEGS_PER_REQUEST, true, gref);
    for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
        struct rq rq = rq_rw(i % 2 == 0 ? BLKIF_OP_READ : BLKIF_OP_WRITE, SCRATCH + 88 * i, gref,
                             BLKIF_SEGS_PER_REQUEST);

        rq_put(c, 0, &rq);
    }
    rq_push(c, 0);
}

/* The steps of a kernel that is replaced: ours 5, 6, 1 and theirs 5 or 6, 6, 2. */
static void kexec(struct ctx *c, const void *arg)
{
    (void)arg;
    works(c);
    for (unsigned n = 0; n < 3; n++) {
        state_write(c, XS_CLOSING);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "after our Closing");
        state_write(c, XS_CLOSED);
        backend_wait(c, BIT(XS_CLOSED), "after our Closed");
        state_write(c, XS_INITIALISING);
        backend_wait(c, BIT(XS_INITWAIT), "after our Initialising");
        link_drop(c);
        again(c);
    }
}

/* From Connected to this state at once; then a legal way on. */
static void jumps(struct ctx *c, const void *arg)
{
    const unsigned *state = arg;

    works(c);
    state_write(c, *state);
    if (*state == XS_INITIALISING)
        backend_wait(c, BIT(XS_INITWAIT), "after Connected, Initialising");
    else
        backend_wait(c, BIT(XS_CLOSED), "after Connected, Closed");
    require(c, pages_end_all(c) == 0, "pages are still mapped");
    link_drop(c);
    again(c);
}

/* Says Closing with a full ring: what was taken is answered, nothing stays mapped. */
static void closing_mid_io(struct ctx *c, const void *arg)
{
    const struct front_raw_queue *raw = &c->q[0].raw;
    uint32_t answered;

    (void)arg;
    for (unsigned n = times(c, 20, 5000); n != 0; n--) {
        raw = &c->q[0].raw;
        fill_ring(c);
        state_write(c, XS_CLOSING);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "closing a busy ring");
        state_write(c, XS_CLOSED);
        backend_wait(c, BIT(XS_CLOSED), "closing a busy ring");
        answered = READ_ONCE(raw->shared->rsp_prod) - c->q[0].rsp_cons;
        require(c, answered <= raw->entries, "more answers than requests");
        for (; answered != 0; answered--)
            rq_answer(c, 0); /* each is one to a request in flight */
        link_close(c);       /* and every page is free */
        link_open(c, &plain);
    }
}

/* The guest dies and a new kernel starts in its place, without a word. */
static void crashes(struct ctx *c, const void *arg)
{
    const bool *busy = arg;

    for (unsigned n = times(c, 8, 500); n != 0; n--) {
        if (*busy)
            fill_ring(c);
        link_drop(c);
        again(c);
    }
}

static void half_way(struct ctx *c, const void *arg)
{
    const struct connect prepared = {.prepared = true};

    (void)arg;
    for (unsigned n = times(c, 8, 500); n != 0; n--) {
        link_drop(c);
        link_open(c, &prepared);
        state_write(c, XS_INITIALISED); /* and nobody waits for Connected */
        if (!c->set->thorough)
            backend_wait(c, ~BIT(XS_INITWAIT), "connecting");
    }
    link_drop(c);
    again(c);
}

static void closes_often(struct ctx *c, const void *arg)
{
    struct connect how = c->how;

    (void)arg;
    for (unsigned n = times(c, 20, 2000); n != 0; n--) {
        how.no_persistent = n % 2 == 0;
        how.protocol = n % 3 == 0 ? "x86_32-abi" : NULL;
        link_close(c);
        link_open(c, &how);
        works(c);
    }
}

static void answers_then_closes(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = 0; n < 8; n++) {
        fill_ring(c);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a request fails");
        link_close(c);
        link_open(c, &plain);
    }
}

/* The toolstack takes the disk away and brings it back. */
static void reattached(struct ctx *c, const void *arg)
{
    const bool *closed = arg;

    works(c);
    if (*closed)
        link_close(c);
    host(c, "reattach", NULL, 0);
    if (!*closed) {
        require(c, pages_end_all(c) == 0, "pages of a disk that was taken away are still mapped");
        link_drop(c);
    }
    again(c);
}

#define EDGES "PROTOCOL §2 states"
#define RW    NEED_WRITE

// clang-format off
static const struct conform_case cases[] = {
    {"teardown.kexec", EDGES, MUST, "5, 6, 1 leads back to InitWait", RW, {0}, kexec, NULL},
    {"teardown.kexec-reconnects", "HOSTILE §2 kexec", MUST, "many legal ends and beginnings", RW,
     {0}, closes_often, NULL},
    {"teardown.closed-at-once", EDGES, MUST, "Connected to Closed without Closing", RW, {0}, jumps,
     &(const unsigned){XS_CLOSED}},
    {"teardown.initialising-at-once", EDGES, MUST, "Connected to Initialising at once", RW, {0},
     jumps, &(const unsigned){XS_INITIALISING}},
    {"teardown.mid-io", "HOSTILE §3 close: Closing", MUST,
     "Closing with a full ring: answered or left, nothing mapped", RW, {0}, closing_mid_io, NULL},
    {"teardown.answered", "PROTOCOL §3.15", MUST, "every grant is unmapped before Closed", RW, {0},
     answers_then_closes, NULL},
    {"teardown.crash", "HOSTILE §3 close: death", MUST, "a frontend that vanished can come back",
     RW, {0}, crashes, &(const bool){false}},
    {"teardown.crash-mid-io", "HOSTILE §3 close: death", MUST, "the same with a full ring", RW,
     {0}, crashes, &(const bool){true}},
    {"teardown.half-connected", "HOSTILE §1 CVE-2010-3699", MUST,
     "connections left half made leave nothing", RW, {0}, half_way, NULL},
    {"teardown.detach", "PROTOCOL §2 toolstack", MUST, "detached when closed, attached again", RW |
     NEED_HOST, {0}, reattached, &(const bool){true}},
    {"teardown.detach-in-use", "PROTOCOL §2 gone", MUST,
     "taken away by force while connected, attached again", RW | NEED_HOST, {0}, reattached,
     &(const bool){false}},
};
// clang-format on
SUITE(teardown);
