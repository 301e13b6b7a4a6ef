/* SPDX-License-Identifier: MIT
 *
 * Indirect requests: segments in pages of their own. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

#define MAX_PAGES 256u /* of data in one request here; more segments share them */

struct big {
    struct rq rq;
    struct blkif_segment *seg; /* where the backend reads them */
    uint8_t *pages;
    uint32_t gref[MAX_PAGES];
    uint32_t n, pages_n;
};

static uint32_t advertised(const struct ctx *c)
{
    return c->offer->info.max_indirect;
}

/* A request of n whole pages; no more than MAX_PAGES of them differ. */
static struct big big_new(struct ctx *c, uint8_t op, uint64_t sector, uint32_t n, bool writable)
{
    struct big b = {.n = n, .pages_n = n < MAX_PAGES ? n : MAX_PAGES};
    uint32_t segs_pages = (n + BLKIF_SEGS_PER_INDIRECT_PAGE - 1) / BLKIF_SEGS_PER_INDIRECT_PAGE;

    b.rq = (struct rq){.op = BLKIF_OP_INDIRECT, .inner = op, .nr = (uint16_t)n, .sector = sector};
    b.pages = pages_new(c, b.pages_n, true, b.gref);
    b.seg = (void *)pages_new(c, segs_pages, writable, b.rq.gref);
    for (uint32_t i = 0; i < n; i++)
        b.seg[i] = (struct blkif_segment){.gref = b.gref[i % b.pages_n], .last_sect = 7};
    return b;
}

static void moves(struct ctx *c, uint32_t n, bool writable)
{
    struct big b = big_new(c, BLKIF_OP_WRITE, SCRATCH, n, writable);
    uint32_t sectors = b.pages_n * PAGE_SECTORS;

    if (disk_sectors(c) < SCRATCH + (uint64_t)n * PAGE_SECTORS)
        skip(c, "the disk is too small");
    fill(b.pages, SCRATCH, sectors, n);
    rq_want(c, 0, &b.rq, BLKIF_RSP_OKAY);
    disk_want(c, SCRATCH, sectors < 64 ? sectors : 64, n);
    memset(b.pages, 0, (size_t)sectors * BLKIF_SECTOR);
    b.rq.inner = BLKIF_OP_READ;
    rq_want(c, 0, &b.rq, BLKIF_RSP_OKAY);
    if (n == b.pages_n)
        require(c, filled(b.pages, SCRATCH, sectors, n), "%" PRIu32 " pages read back differ", n);
}

static void of_size(struct ctx *c, const void *arg)
{
    const uint32_t *n = arg;
    uint32_t want = *n != 0 ? *n : advertised(c);

    if (want > advertised(c))
        skip(c, "the backend offers %" PRIu32 " segments", advertised(c));
    moves(c, want, true);
}

static void read_only_page(struct ctx *c, const void *arg)
{
    (void)arg;
    moves(c, 11, false);
}

static void patchwork(struct ctx *c, const void *arg)
{
    uint32_t n = advertised(c) < 40 ? advertised(c) : 40;
    struct big b = big_new(c, BLKIF_OP_READ, SCRATCH, n, true);
    uint32_t at = 0;

    (void)arg;
    disk_fill(c, SCRATCH, n * PAGE_SECTORS, 8);
    for (uint32_t i = 0; i < n; i++) {
        b.seg[i].first_sect = (uint8_t)(i % 8);
        b.seg[i].last_sect = (uint8_t)(7 - i % 4 > i % 8 ? 7 - i % 4 : 7);
    }
    rq_want(c, 0, &b.rq, BLKIF_RSP_OKAY);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = b.seg[i].last_sect - b.seg[i].first_sect + 1u;

        require(c,
                filled(b.pages + (size_t)i * HV_PAGE + b.seg[i].first_sect * BLKIF_SECTOR,
                       SCRATCH + at, len, 8),
                "segment %" PRIu32 " holds something else", i);
        at += len;
    }
}

static void full_ring(struct ctx *c, const void *arg)
{
    uint32_t n = advertised(c) < 64 ? advertised(c) : 64;
    struct big b = big_new(c, BLKIF_OP_READ, SCRATCH, n, true);

    (void)arg;
    for (unsigned round = times(c, 4, 1000); round != 0; round--) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            b.rq.inner = i % 2 == 0 || c->offer->info.read_only ? BLKIF_OP_READ : BLKIF_OP_WRITE;
            rq_put(c, 0, &b.rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "one of a ring full fails");
    }
}

/* A field that must not be: error, before anything is read or mapped. */
struct wrong {
    int32_t nr;          /* segments; -1: one more than advertised; 0 with keep: as it is */
    bool keep;           /* nr stays */
    uint8_t inner;       /* 0: stays READ */
    bool no_page;        /* the page of segments is not there */
    bool no_data;        /* a segment's page is not there */
    uint8_t first, last; /* of segment 3, if last or first is not 0 */
    uint64_t sector;
};

static void wrong(struct ctx *c, const void *arg)
{
    const struct wrong *w = arg;
    struct big b = big_new(c, w->inner != 0 ? w->inner : BLKIF_OP_READ, SCRATCH,
                           advertised(c) < 20 ? advertised(c) : 20, true);

    if (!w->keep)
        b.rq.nr = (uint16_t)(w->nr < 0 ? advertised(c) + 1 : (uint32_t)w->nr);
    if (w->no_page)
        b.rq.gref[0] = GREF_NEVER;
    if (w->no_data)
        b.seg[7].gref = GREF_NEVER;
    if (w->first != 0 || w->last != 0) {
        b.seg[3].first_sect = w->first;
        b.seg[3].last_sect = w->last;
    }
    if (w->sector != 0)
        b.rq.sector = w->sector;
    rq_want(c, 0, &b.rq, BLKIF_RSP_ERROR);
    if (c->how.no_persistent) {
        pages_want_end(c, b.pages, "after an error");
        pages_want_end(c, b.seg, "after an error");
    }
}

static void past_the_end(struct ctx *c, const void *arg)
{
    struct big b = big_new(c, BLKIF_OP_READ, disk_sectors(c) - 8 * 11 + 1, 11, true);

    (void)arg;
    rq_want(c, 0, &b.rq, BLKIF_RSP_ERROR);
}

/* Inner operation 6, so that whichever operation the answer echoes is the same. */
static void not_offered(struct ctx *c, const void *arg)
{
    uint32_t gref;
    struct rq rq = {.op = BLKIF_OP_INDIRECT, .inner = BLKIF_OP_INDIRECT, .nr = 1};

    (void)arg;
    pages_new(c, 1, true, &gref);
    rq.gref[0] = gref;
    rq_want(c, 0, &rq, BLKIF_RSP_EOPNOTSUPP);
}

static void read_only_disk(struct ctx *c, const void *arg)
{
    struct big b = big_new(c, BLKIF_OP_WRITE, SCRATCH, 11, true);

    (void)arg;
    rq_want(c, 0, &b.rq, BLKIF_RSP_ERROR);
    b.rq.inner = BLKIF_OP_READ;
    rq_want(c, 0, &b.rq, BLKIF_RSP_OKAY);
}

#define RULE    "PROTOCOL §3.12"
#define FIELDS  "HOSTILE §3 fields: indirect"
#define I       (NEED_WRITE | NEED_INDIRECT)
#define SEGS(n) (&(const uint32_t){n})
#define W(...)  (&(const struct wrong){__VA_ARGS__})
#define BAD(name, what, ...)                                                                       \
    {"indirect." name, FIELDS, MUST,  what " is an error",                                         \
     NEED_INDIRECT,    {0},    wrong, W(__VA_ARGS__)},                                             \
    {                                                                                              \
        "indirect." name "-32", FIELDS, MUST, what " is an error, 32-bit, nothing kept",           \
            NEED_INDIRECT, {.protocol = "x86_32-abi", .no_persistent = true}, wrong,               \
            W(__VA_ARGS__)                                                                         \
    }

// clang-format off
static const struct conform_case cases[] = {
    {"indirect.one", RULE, MUST, "1 segment is legal", I, {0}, of_size, SEGS(1)},
    {"indirect.eleven", RULE, MUST, "11 segments are legal", I, {0}, of_size, SEGS(11)},
    {"indirect.twelve", RULE, MUST, "12 segments", I, {0}, of_size, SEGS(12)},
    {"indirect.all", RULE, MUST, "as many as are offered", I, {0}, of_size, SEGS(0)},
    {"indirect.all-32", RULE, MUST, "the same with the 32-bit layout", I, {.protocol =
     "x86_32-abi"}, of_size, SEGS(0)},
    {"indirect.all-unkept", RULE, MUST, "the same without persistent grants", I, {.no_persistent =
     true}, of_size, SEGS(0)},
    {"indirect.second-page", RULE, MUST, "513 segments: one in the second page", I, {0}, of_size,
     SEGS(513)},
    {"indirect.read-only-page", FIELDS, MUST, "segments in a read-only page are fine", I,
     {.no_persistent = true}, read_only_page, NULL},
    {"indirect.patchwork", RULE, MUST, "parts of pages", I, {0}, patchwork, NULL},
    {"indirect.full-ring", RULE, MUST, "a ring full of them", NEED_INDIRECT, {0}, full_ring, NULL},
    {"indirect.offers-enough", RULE, SHOULD, "11 or fewer would be ignored by Linux",
     NEED_INDIRECT, {0}, of_size, SEGS(12)},
    BAD("no-segments", "0 segments", .nr = 0),
    BAD("one-too-many", "one more than offered", .nr = -1),
    BAD("most", "65535 segments", .nr = 65535),
    BAD("inner-flush", "a flush inside", .keep = true, .inner = BLKIF_OP_FLUSH),
    BAD("inner-discard", "a discard inside", .keep = true, .inner = BLKIF_OP_DISCARD),
    BAD("inner-indirect", "an indirect inside", .keep = true, .inner = BLKIF_OP_INDIRECT),
    BAD("inner-unknown", "operation 255 inside", .keep = true, .inner = 255),
    BAD("no-page", "a page of segments nobody granted", .keep = true, .no_page = true),
    BAD("no-data", "a segment nobody granted", .keep = true, .no_data = true),
    BAD("first-above-last", "first above last", .keep = true, .first = 4, .last = 3),
    BAD("last-above-7", "last 8", .keep = true, .first = 0, .last = 8),
    BAD("sector-wraps", "a sector that wraps", .keep = true, .sector = UINT64_MAX - 3),
    {"indirect.past-the-end", FIELDS, MUST, "one sector past the end is an error", NEED_INDIRECT,
     {0}, past_the_end, NULL},
    {"indirect.not-offered", RULE, MUST, "unsupported when not offered", NEED_NO_INDIRECT, {0},
     not_offered, NULL},
    {"indirect.read-only-disk", "HOSTILE §1 XSA-142", MUST, "a write to a read-only disk",
     NEED_READ_ONLY | NEED_INDIRECT, {0}, read_only_disk, NULL},
};
// clang-format on
SUITE(indirect);
