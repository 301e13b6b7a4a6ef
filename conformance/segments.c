/* SPDX-License-Identifier: MIT
 *
 * Segments: parts of pages, gaps between them, the same page more than once. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

#define SEGS BLKIF_SEGS_PER_REQUEST

static unsigned seg_sectors(const struct blkif_segment *s)
{
    return s->last_sect - s->first_sect + 1u;
}

/* Every legal (first, last): read puts exactly these sectors there and touches no other byte. */
static void every_part(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref), want[HV_PAGE];

    (void)arg;
    disk_fill(c, SCRATCH, PAGE_SECTORS, 3);
    for (unsigned first = 0; first < PAGE_SECTORS; first++)
        for (unsigned last = first; last < PAGE_SECTORS; last++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

            rq.seg[0].first_sect = (uint8_t)first;
            rq.seg[0].last_sect = (uint8_t)last;
            memset(page, 0xa5, HV_PAGE);
            memset(want, 0xa5, HV_PAGE);
            fill(want + first * BLKIF_SECTOR, SCRATCH, last - first + 1, 3);
            rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
            require(c, memcmp(page, want, HV_PAGE) == 0,
                    "a read into sectors %u to %u of a page leaves something else there", first,
                    last);
        }
}

static void every_part_written(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);

    (void)arg;
    for (unsigned first = 0; first < PAGE_SECTORS; first++)
        for (unsigned last = first; last < PAGE_SECTORS; last++) {
            struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH + 1, &gref, 1);
            unsigned n = last - first + 1;
            uint32_t seed = first * 8 + last;

            disk_fill(c, SCRATCH, 2 * PAGE_SECTORS, 99);
            rq.seg[0].first_sect = (uint8_t)first;
            rq.seg[0].last_sect = (uint8_t)last;
            memset(page, 0x5a, HV_PAGE);
            fill(page + first * BLKIF_SECTOR, SCRATCH + 1, n, seed);
            rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
            disk_want(c, SCRATCH, 1, 99);
            disk_want(c, SCRATCH + 1, n, seed);
            disk_want(c, SCRATCH + 1 + n, 2 * PAGE_SECTORS - 1 - n, 99);
        }
}

/* Different parts of 11 pages in one request: written, read back into other parts. */
static void patchwork(struct ctx *c, const void *arg)
{
    uint32_t gref[SEGS];
    uint8_t *pages = pages_new(c, SEGS, true, gref);
    struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH, gref, SEGS);
    unsigned at = 0;

    (void)arg;
    for (unsigned i = 0; i < SEGS; i++) {
        rq.seg[i].first_sect = (uint8_t)(i % 8);
        rq.seg[i].last_sect = (uint8_t)(i % 8 + (8 - i % 8) / 2);
        if (rq.seg[i].last_sect > 7)
            rq.seg[i].last_sect = 7;
        fill(pages + i * HV_PAGE + rq.seg[i].first_sect * BLKIF_SECTOR, SCRATCH + at,
             seg_sectors(&rq.seg[i]), 5);
        at += seg_sectors(&rq.seg[i]);
    }
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    disk_want(c, SCRATCH, at, 5);
    memset(pages, 0, SEGS * HV_PAGE);
    rq.op = BLKIF_OP_READ;
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    at = 0;
    for (unsigned i = 0; i < SEGS; i++) {
        require(c,
                filled(pages + i * HV_PAGE + rq.seg[i].first_sect * BLKIF_SECTOR, SCRATCH + at,
                       seg_sectors(&rq.seg[i]), 5),
                "segment %u of a patchwork reads as something else", i);
        at += seg_sectors(&rq.seg[i]);
    }
}

/* One page written eleven times over, and the same in several requests at once. */
static void same_page_written(struct ctx *c, const void *arg)
{
    uint32_t gref, same[SEGS];
    uint8_t *page = pages_new(c, 1, true, &gref);

    (void)arg;
    for (unsigned i = 0; i < SEGS; i++)
        same[i] = gref;
    fill(page, SCRATCH, PAGE_SECTORS, 6);
    for (unsigned r = 0; r < 4; r++) {
        struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH + r * SEGS * PAGE_SECTORS, same, SEGS);

        rq_put(c, 0, &rq);
    }
    rq_push(c, 0);
    require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a write with one page in it often fails");
    for (unsigned i = 0; i < 4 * SEGS; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH + i * PAGE_SECTORS, &gref, 1);

        memset(page, 0, HV_PAGE);
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        require(c, filled(page, SCRATCH, PAGE_SECTORS, 6), "copy %u of the page differs", i);
    }
}

/* Eight segments fill the eight sectors of one page. */
static void same_page_read(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct rq rq = {.op = BLKIF_OP_READ, .nr = PAGE_SECTORS, .sector = SCRATCH};

    (void)arg;
    disk_fill(c, SCRATCH, PAGE_SECTORS, 7);
    for (uint8_t i = 0; i < PAGE_SECTORS; i++)
        rq.seg[i] = (struct blkif_segment){
            .gref = gref, .first_sect = (uint8_t)(7 - i), .last_sect = (uint8_t)(7 - i)};
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    for (unsigned i = 0; i < PAGE_SECTORS; i++)
        require(c, filled(page + (7 - i) * BLKIF_SECTOR, SCRATCH + i, 1, 7),
                "sector %u of the page is not the disk's sector %u", 7 - i, i);
}

/* Pages next to each other in the guest, asked for in another order. */
static void neighbours(struct ctx *c, const void *arg)
{
    uint32_t gref[SEGS], mixed[SEGS];
    uint8_t *pages = pages_new(c, SEGS, true, gref);
    struct rq rq;

    (void)arg;
    disk_fill(c, SCRATCH, SEGS * PAGE_SECTORS, 8);
    for (unsigned i = 0; i < SEGS; i++)
        mixed[i] = gref[i * 3 % SEGS];
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, mixed, SEGS);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    for (unsigned i = 0; i < SEGS; i++)
        require(c,
                filled(pages + i * 3 % SEGS * HV_PAGE, SCRATCH + i * PAGE_SECTORS, PAGE_SECTORS, 8),
                "segment %u went to another page", i);
}

static void every_count(struct ctx *c, const void *arg)
{
    uint32_t gref[SEGS];

    (void)arg;
    pages_new(c, SEGS, true, gref);
    for (unsigned n = 1; n <= SEGS; n++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, gref, n);

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    }
}

#define RULE "PROTOCOL §3.10"
#define OFF                                                                                        \
    {                                                                                              \
        .no_persistent = true                                                                      \
    }
#define ABI32                                                                                      \
    {                                                                                              \
        .protocol = "x86_32-abi"                                                                   \
    }
#define REPEATED "HOSTILE §3 grants: same gref"

// clang-format off
static const struct conform_case cases[] = {
    {"segments.every-part", RULE, MUST, "a read fills the sectors asked for and no other byte",
     NEED_WRITE, {0}, every_part, NULL},
    {"segments.every-part-32", RULE, MUST, "the same with the 32-bit layout", NEED_WRITE, ABI32,
     every_part, NULL},
    {"segments.every-part-unkept", RULE, MUST, "the same without persistent grants", NEED_WRITE,
     OFF, every_part, NULL},
    {"segments.every-part-written", RULE, MUST, "a write takes the sectors it names and no other",
     NEED_WRITE, {0}, every_part_written, NULL},
    {"segments.patchwork", RULE, MUST, "parts of pages need not join", NEED_WRITE, {0}, patchwork,
     NULL},
    {"segments.patchwork-unkept", RULE, MUST, "the same without persistent grants", NEED_WRITE,
     OFF, patchwork, NULL},
    {"segments.every-count", RULE, MUST, "1 to 11 segments are legal", 0, {0}, every_count, NULL},
    {"segments.same-page-written", REPEATED, MUST,
     "one page in many segments and requests, written", NEED_WRITE, {0}, same_page_written, NULL},
    {"segments.same-page-written-unkept", REPEATED, MUST, "the same without persistent grants",
     NEED_WRITE, OFF, same_page_written, NULL},
    {"segments.same-page-read", REPEATED, MUST, "one page in eight segments, read", NEED_WRITE,
     {0}, same_page_read, NULL},
    {"segments.same-page-read-unkept", REPEATED, MUST, "the same without persistent grants",
     NEED_WRITE, OFF, same_page_read, NULL},
    {"segments.neighbours", "HOSTILE §1 XSA-229", MUST,
     "pages next to each other stay what they are", NEED_WRITE, {0}, neighbours, NULL},
    {"segments.neighbours-unkept", "HOSTILE §1 XSA-229", MUST,
     "the same without persistent grants", NEED_WRITE, OFF, neighbours, NULL},
};
// clang-format on
SUITE(segments);
