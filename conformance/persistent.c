/* SPDX-License-Identifier: MIT
 *
 * Grants that stay mapped, and their end. That nothing stays mapped at Closed is wanted at the end
 * of every case (link.c). Thread: main.
 */
#include <stdio.h>
#include <string.h>

#include "conform.h"

/* One page for everything, in both directions: a mapping made for one must serve the other. */
static void both_ways(struct ctx *c, const void *arg)
{
    const uint8_t *first = arg;
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);

    disk_fill(c, SCRATCH, PAGE_SECTORS, 1);
    for (unsigned i = 0, n = times(c, 200, 100000); i < n; i++) {
        bool write = (i % 2 == 0) == (*first == BLKIF_OP_WRITE);
        struct rq rq = rq_rw(write ? BLKIF_OP_WRITE : BLKIF_OP_READ, SCRATCH, &gref, 1);

        if (write)
            fill(page, SCRATCH, PAGE_SECTORS, i);
        else
            memset(page, 0, HV_PAGE);
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        require(c, write || i == 0 || filled(page, SCRATCH, PAGE_SECTORS, i - 1),
                "a page used for writing reads what was not written");
    }
}

/* More pages than any backend keeps, twice over: none of it fails. */
static void over_the_cap(struct ctx *c, const void *arg)
{
    enum { CHUNK = 64 };
    unsigned chunks = times(c, 20, 60);
    uint32_t gref[60 * CHUNK];
    uint8_t *pages[60];

    (void)arg;
    for (unsigned i = 0; i < chunks; i++)
        pages[i] = pages_new(c, CHUNK, true, &gref[i * CHUNK]);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < chunks * CHUNK; i++) {
            uint8_t *page = pages[i / CHUNK] + (size_t)(i % CHUNK) * HV_PAGE;
            struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH + i % 64 * 8, &gref[i], 1);

            fill(page, rq.sector, PAGE_SECTORS, i);
            rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
            if (i % 61 != 0)
                continue;
            memset(page, 0, HV_PAGE);
            rq.op = BLKIF_OP_READ;
            rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
            require(c, filled(page, rq.sector, PAGE_SECTORS, i), "page %u reads differently", i);
        }
}

/* Not kept: the grant can be ended as soon as the answer is there. */
static void ends_at_once(struct ctx *c, const void *arg)
{
    const uint8_t *op = arg;

    for (unsigned i = 0, n = times(c, 50, 20000); i < n; i++) {
        uint32_t gref[4];
        uint8_t *pages = pages_new(c, 4, true, gref);
        struct rq rq = rq_rw(*op, SCRATCH, gref, 4);

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        pages_want_end(c, pages, "after the answer");
    }
}

/* The same after an error. */
static void ends_after_error(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        uint32_t gref[4];
        uint8_t *pages = pages_new(c, 4, true, gref);
        struct rq rq = rq_rw(BLKIF_OP_READ, i % 2 == 0 ? SCRATCH : disk_sectors(c) - 1, gref, 4);

        if (i % 2 == 0)
            rq.seg[i / 2].gref = GREF_NEVER;
        rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
        pages_want_end(c, pages, "after an error");
    }
}

/* What was said at connecting holds: changing the node later changes nothing. */
static void latched(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

    node_write(c, "feature-persistent", arg);
    state_write(c, XS_CONNECTED);
    for (unsigned i = 0; i < 100; i++)
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    if (c->how.no_persistent)
        pages_want_end(c, page, "without persistent grants");
}

/* A page in use by one request is asked for by others at the same time. */
static void shared_at_once(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    uint32_t entries = c->q[0].raw.entries;

    (void)arg;
    disk_fill(c, SCRATCH, PAGE_SECTORS, 3);
    for (unsigned n = times(c, 40, 20000); n != 0; n--) {
        memset(page, 0, HV_PAGE);
        for (uint32_t i = 0; i < entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "one of many readers of a page fails");
        require(c, filled(page, SCRATCH, PAGE_SECTORS, 3), "many readers of a page leave garbage");
    }
}

static void both_say_so(struct ctx *c, const void *arg)
{
    (void)arg;
    /* A backend that waits for the frontend's word before it offers would never offer. */
    require(c, node_number(c, "feature-persistent", 0) == 1, "feature-persistent is not offered");
}

#define RULE  "PROTOCOL §3.15"
#define UNMAP "HOSTILE §1 XSA-391"
#define OFF                                                                                        \
    {                                                                                              \
        .no_persistent = true                                                                      \
    }
#define OP(x) (&(const uint8_t){BLKIF_OP_##x})

// clang-format off
static const struct conform_case cases[] = {
    {"persistent.write-then-read", RULE, MUST, "a page first written from can be read into",
     NEED_WRITE, {0}, both_ways, OP(WRITE)},
    {"persistent.read-then-write", RULE, MUST, "a page first read into can be written from",
     NEED_WRITE, {0}, both_ways, OP(READ)},
    {"persistent.over-the-cap", "HOSTILE §3 grants: over the cap", MUST,
     "more pages than are kept: nothing fails", NEED_WRITE, {0}, over_the_cap, NULL},
    {"persistent.shared-at-once", RULE, MUST, "a page in use is asked for again", NEED_WRITE, {0},
     shared_at_once, NULL},
    {"persistent.shared-at-once-unkept", RULE, MUST, "the same without persistent grants",
     NEED_WRITE, OFF, shared_at_once, NULL},
    {"persistent.ends-after-read", UNMAP, MUST, "a read's grants are free when it is answered", 0,
     OFF, ends_at_once, OP(READ)},
    {"persistent.ends-after-write", UNMAP, MUST, "a write's grants are free when it is answered",
     NEED_WRITE, OFF, ends_at_once, OP(WRITE)},
    {"persistent.ends-after-barrier", UNMAP, MUST,
     "a barrier's grants are free when it is answered", NEED_WRITE | NEED_BARRIER, OFF,
     ends_at_once, OP(WRITE_BARRIER)},
    {"persistent.ends-after-error", UNMAP, MUST, "grants are free when an error is answered", 0,
     OFF, ends_after_error, NULL},
    {"persistent.latched-on", "HOSTILE §3 xenstore: feature-persistent", MUST,
     "switching it off while connected changes nothing", 0, {0}, latched, "0"},
    {"persistent.latched-off", "HOSTILE §3 xenstore: feature-persistent", MUST,
     "switching it on while connected changes nothing", 0, OFF, latched, "1"},
    {"persistent.offered", "HOSTILE §2 each end waits", SHOULD,
     "offered without waiting for the frontend to offer", 0, {0}, both_say_so, NULL},
};
// clang-format on
SUITE(persistent);
