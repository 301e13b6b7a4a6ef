/* SPDX-License-Identifier: MIT
 *
 * Flush and barrier: with data, without, in order. That they are durable cannot be seen from a
 * guest. Thread: main.
 */
#include <string.h>

#include "conform.h"

static void without_data(struct ctx *c, const void *arg)
{
    const uint8_t *op = arg;
    static const uint64_t sectors[] = {0, 1, UINT64_MAX, 1ull << 55};

    for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
        struct rq rq = {.op = *op, .sector = sectors[i]};

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    }
}

/* Linux hands a flush without data the sector -1 or whatever else; many of them leak nothing. */
static void many_empty(struct ctx *c, const void *arg)
{
    const uint8_t *op = arg;

    for (unsigned n = times(c, 20, 2000); n != 0; n--) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = {.op = *op};

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "one of a ring full of them fails");
    }
}

static void with_data(struct ctx *c, const void *arg)
{
    const uint8_t *op = arg;
    uint32_t gref[3];
    uint8_t *pages = pages_new(c, 3, true, gref);
    struct rq rq = rq_rw(*op, SCRATCH, gref, 3);

    fill(pages, SCRATCH, 3 * PAGE_SECTORS, 17);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    disk_want(c, SCRATCH, 3 * PAGE_SECTORS, 17);
}

/* Data with a flush or a barrier is checked as a write's. */
static void bad_data(struct ctx *c, const void *arg)
{
    const uint8_t *op = arg;
    uint32_t gref;
    struct rq rq;

    pages_new(c, 1, true, &gref);
    rq = rq_rw(*op, disk_sectors(c), &gref, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    rq = rq_rw(*op, SCRATCH, &gref, 1);
    rq.seg[0].first_sect = 5;
    rq.seg[0].last_sect = 4;
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    rq = rq_rw(*op, SCRATCH, &gref, 1);
    rq.nr = 12;
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    rq = rq_rw(*op, SCRATCH, (const uint32_t[]){GREF_NEVER}, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
}

/* Writes, a barrier, writes: every answer in front of the barrier's was asked for before it. */
static void barrier_between(struct ctx *c, const void *arg)
{
    const bool *data = arg;
    uint32_t entries = c->q[0].raw.entries, half = entries / 2;
    uint32_t gref;

    pages_new(c, 1, true, &gref);
    for (unsigned n = times(c, 30, 3000); n != 0; n--) {
        uint64_t first = c->next_id + 1;

        for (uint32_t i = 0; i < entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH + 8 * i, &gref, 1);

            if (i == half) {
                rq.op = BLKIF_OP_WRITE_BARRIER;
                rq.nr = *data;
            }
            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        for (uint32_t i = 0; i < entries; i++) {
            struct answer a = rq_answer(c, 0);

            require(c, a.status == BLKIF_RSP_OKAY, "a request fails with %d", a.status);
            require(c, a.id == first + half ? i == half : (a.id < first + half) == (i < half),
                    "an answer crossed a barrier");
        }
    }
}

/* The same sector before, in and after a barrier: the last one stands. */
static void barrier_overwrites(struct ctx *c, const void *arg)
{
    uint32_t gref[3];
    uint8_t *pages = pages_new(c, 3, true, gref);

    (void)arg;
    for (uint32_t n = 0, end = times(c, 60, 5000); n < end; n++) {
        unsigned last = 1 + n % 2; /* the barrier itself, or a write after it */

        for (unsigned i = 0; i <= last; i++) {
            struct rq rq =
                rq_rw(i == 1 ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_WRITE, SCRATCH, &gref[i], 1);

            fill(pages + i * HV_PAGE, SCRATCH, PAGE_SECTORS, 3 * n + i);
            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a request fails");
        disk_want(c, SCRATCH, PAGE_SECTORS, 3 * n + last);
    }
}

static void barriers_only(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_WRITE_BARRIER, SCRATCH + 8 * i, &gref, i % 3 != 0);

        rq_put(c, 0, &rq);
    }
    rq_push(c, 0);
    require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a barrier fails");
}

static void not_offered(struct ctx *c, const void *arg)
{
    struct rq rq = {.op = *(const uint8_t *)arg};

    rq_want(c, 0, &rq, BLKIF_RSP_EOPNOTSUPP);
}

#define OP(x)   (&(const uint8_t){BLKIF_OP_##x})
#define RULE    "PROTOCOL §3.13"
#define FLUSH   (NEED_WRITE | NEED_FLUSH)
#define BARRIER (NEED_WRITE | NEED_BARRIER)
#define BOTH(name, clause, what, fn)                                                               \
    {"flush_barrier." name "-flush", clause, MUST, "a flush " what, FLUSH, {0}, fn, OP(FLUSH)},    \
    {                                                                                              \
        "flush_barrier." name "-barrier", clause, MUST, "a barrier " what, BARRIER, {0}, fn,       \
            OP(WRITE_BARRIER)                                                                      \
    }

// clang-format off
static const struct conform_case cases[] = {
    BOTH("empty", "HOSTILE §3 fields: empty flush", "without data is done, whatever its sector",
     without_data),
    BOTH("many-empty", "HOSTILE §2 empty barrier", "without data leaks nothing", many_empty),
    BOTH("data", RULE, "with data writes it", with_data),
    BOTH("bad-data", "HOSTILE §3 fields: flush with data", "with data is checked as a write",
     bad_data),
    {"flush_barrier.between", RULE, MUST, "nothing crosses a barrier", BARRIER, {0},
     barrier_between, &(const bool){false}},
    {"flush_barrier.between-data", RULE, MUST, "nothing crosses a barrier with data", BARRIER, {0},
     barrier_between, &(const bool){true}},
    {"flush_barrier.overwrites", RULE, MUST, "the same sector before, in and after a barrier",
     BARRIER, {0}, barrier_overwrites, NULL},
    {"flush_barrier.barriers-only", RULE, MUST, "a ring full of barriers", BARRIER, {0},
     barriers_only, NULL},
    {"flush_barrier.no-flush", RULE, MUST, "a flush that was not offered is unsupported",
     NEED_NO_FLUSH, {0}, not_offered, OP(FLUSH)},
    {"flush_barrier.no-barrier", RULE, MUST, "a barrier that was not offered is unsupported",
     NEED_NO_BARRIER | NEED_WRITE, {0}, not_offered, OP(WRITE_BARRIER)},
};
// clang-format on
SUITE(flush_barrier);
