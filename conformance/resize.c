/* SPDX-License-Identifier: MIT
 *
 * The disk changes its size while it is connected. Thread: main.
 */
#include <inttypes.h>
#include <stdio.h>

#include "conform.h"

static void resize_to(struct ctx *c, uint64_t sectors)
{
    char verb[64], line[120];
    uint64_t start = now_ms();

    snprintf(verb, sizeof(verb), "resize %" PRIu64, sectors);
    host(c, verb, NULL, 0);
    snprintf(line, sizeof(line), "sectors does not become %" PRIu64, sectors);
    while (node_number(c, "sectors", 0) != sectors)
        wait_a_little(c, start, line);
    require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
}

/* Larger or smaller and back: told in the store, and the ring's bounds follow. */
static void there_and_back(struct ctx *c, const void *arg)
{
    const bool *grow = arg;
    uint64_t old = disk_sectors(c), new = *grow ? old + 2048 : old - 2048;
    uint64_t low = *grow ? old : new, high = *grow ? new : old;
    uint32_t gref;
    struct rq rq;

    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, high - 8, &gref, 1);
    rq_want(c, 0, &rq, *grow ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
    resize_to(c, new);
    rq_want(c, 0, &rq, *grow ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
    rq.sector = low - 8;
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    resize_to(c, old);
    rq.sector = old - 8;
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
}

/* Reads go on all the time; none fails that lies within both sizes. */
static void under_load(struct ctx *c, const void *arg)
{
    uint64_t old = disk_sectors(c);
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (unsigned n = 0; n < 6; n++) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH + i, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        resize_to(c, n % 2 == 0 ? old + 2048 : old);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a read fails while the size changes");
    }
}

#define RULE "PROTOCOL §2 resize"

// clang-format off
static const struct conform_case cases[] = {
    {"resize.grow", RULE, MUST, "a larger disk is told and used", NEED_HOST | NEED_WRITE, {0},
     there_and_back, &(const bool){true}},
    {"resize.shrink", RULE, MUST, "a smaller disk is told and bounds requests", NEED_HOST |
     NEED_WRITE, {0}, there_and_back, &(const bool){false}},
    {"resize.under-load", "HOSTILE §3 close: resize", MUST, "one size for each request", NEED_HOST
     | NEED_WRITE, {0}, under_load, NULL},
};
// clang-format on
SUITE(resize);
