/* SPDX-License-Identifier: MIT
 *
 * Discard: what may be discarded, and that nothing else is. Thread: main.
 */
#include <inttypes.h>

#include "conform.h"

#define AREA 4096u /* sectors around what is discarded */

static void kept_around(struct ctx *c, uint64_t sector, uint64_t n)
{
    struct rq rq = rq_discard(sector, n, 0);

    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    disk_want(c, sector - 64, 64, 9);
    disk_want(c, sector + n, 64, 9);
}

static void aligned(struct ctx *c, const void *arg)
{
    uint64_t g = c->offer->info.discard_granularity / BLKIF_SECTOR;
    uint64_t n = g < 8 ? 8 : g, at;

    (void)arg;
    at = (SCRATCH + 64 + n - 1) / n * n + c->offer->info.discard_alignment / BLKIF_SECTOR;
    if (at + n + 64 > SCRATCH_END)
        skip(c, "granules of %" PRIu64 " sectors are too large for this disk", n);
    disk_fill(c, at - 64, (unsigned)n + 128, 9);
    kept_around(c, at, n);
}

/* Parts of a granule: legal, and never more than what was asked. */
static void unaligned(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned shift = 1; shift < 8; shift += 2)
        for (unsigned n = 1; n < 20; n += 6) {
            uint64_t at = SCRATCH + 64 + shift;

            disk_fill(c, at - 64, n + 128, 9);
            kept_around(c, at, n);
        }
}

struct range {
    uint64_t from_end; /* sector = the disk's size - this, or ... */
    uint64_t sector;   /* ... this, if not 0 */
    uint64_t n;
    int status;
};

static void range(struct ctx *c, const void *arg)
{
    const struct range *r = arg;
    uint64_t sector = r->sector != 0 ? r->sector : disk_sectors(c) - r->from_end;
    struct rq rq = rq_discard(sector, r->n, 0);

    disk_fill(c, disk_sectors(c) - 8, 8, 2);
    disk_fill(c, SCRATCH, 16, 3);
    rq_want(c, 0, &rq, r->status);
    if (r->status == BLKIF_RSP_ERROR || r->n == 0)
        disk_want(c, disk_sectors(c) - 8, 8, 2);
    disk_want(c, SCRATCH, 16, 3);
}

/* The length's upper half counts. */
static void truncated(struct ctx *c, const void *arg)
{
    static const uint64_t high[] = {1ull << 32, 1ull << 41, 1ull << 55, 1ull << 63};

    (void)arg;
    disk_fill(c, SCRATCH, 16, 4);
    for (size_t i = 0; i < sizeof(high) / sizeof(high[0]); i++) {
        struct rq rq = rq_discard(SCRATCH, high[i] | 8, 0);

        if (disk_sectors(c) - SCRATCH < (high[i] | 8))
            rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    }
    disk_want(c, SCRATCH, 16, 4);
}

static void above_4_gib(struct ctx *c, const void *arg)
{
    uint64_t n = (4ull << 30) / BLKIF_SECTOR + 2 * AREA;
    struct rq rq = rq_discard(SCRATCH_END, n, 0);

    (void)arg;
    if (disk_sectors(c) < SCRATCH_END + n + 64)
        skip(c, "the disk is not larger than 4 GiB");
    disk_fill(c, SCRATCH_END - 64, 64, 5);
    disk_fill(c, SCRATCH_END + n, 64, 5);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    disk_want(c, SCRATCH_END - 64, 64, 5);
    disk_want(c, SCRATCH_END + n, 64, 5);
}

static void flagged(struct ctx *c, const void *arg)
{
    struct rq rq = rq_discard(SCRATCH, 8, *(const uint8_t *)arg);

    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
}

/* Discards among reads and writes, the ring full of them. */
static void among_others(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (unsigned n = times(c, 10, 1000); n != 0; n--) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = i % 4 == 0 ? rq_discard(SCRATCH + 64 * i, 64, 0)
                                      : rq_rw(i % 4 == 1 ? BLKIF_OP_WRITE : BLKIF_OP_READ,
                                              SCRATCH + 64 * i, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a request fails");
    }
}

static void not_offered(struct ctx *c, const void *arg)
{
    struct rq rq = rq_discard(SCRATCH, 8, 0);

    (void)arg;
    rq_want(c, 0, &rq, BLKIF_RSP_EOPNOTSUPP);
}

#define RULE    "PROTOCOL §3.13"
#define FIELDS  "HOSTILE §3 fields: discard"
#define END     "HOSTILE §1 CVE-2013-2140"
#define D       (NEED_WRITE | NEED_DISCARD)
#define R(...)  (&(const struct range){__VA_ARGS__})
#define FLAG(n) (&(const uint8_t){n})

// clang-format off
static const struct conform_case cases[] = {
    {"discard.aligned", RULE, MUST, "a granule is discarded, its neighbours stay", D, {0}, aligned,
     NULL},
    {"discard.unaligned", FIELDS, MUST, "never a sector outside the range asked", D, {0},
     unaligned, NULL},
    {"discard.nothing", FIELDS, MUST, "0 sectors: done, nothing happens", D, {0}, range, R(.sector
     = SCRATCH, .n = 0, .status = BLKIF_RSP_OKAY)},
    {"discard.to-the-end", RULE, MUST, "up to the last sector is legal", D, {0}, range, R(.from_end
     = 64, .n = 64, .status = BLKIF_RSP_OKAY)},
    {"discard.past-the-end", END, MUST, "one sector past the end is an error", D, {0}, range,
     R(.from_end = 8, .n = 9, .status = BLKIF_RSP_ERROR)},
    {"discard.at-the-end", END, MUST, "a range that begins at the end is an error", D, {0}, range,
     R(.from_end = 0, .n = 1, .status = BLKIF_RSP_ERROR)},
    {"discard.wraps", FIELDS, MUST, "a range that wraps 2^64 is an error", D, {0}, range, R(.sector
     = UINT64_MAX - 7, .n = 512, .status = BLKIF_RSP_ERROR)},
    {"discard.wraps-to-itself", FIELDS, MUST, "a length of 2^64 - 1 is an error", D, {0}, range,
     R(.sector = SCRATCH, .n = UINT64_MAX, .status = BLKIF_RSP_ERROR)},
    {"discard.wraps-in-bytes", FIELDS, MUST, "a sector that wraps in bytes is an error", D, {0},
     range, R(.sector = (1ull << 55) + SCRATCH, .n = 8, .status = BLKIF_RSP_ERROR)},
    {"discard.truncated", "HOSTILE §2 discard length", MUST,
     "the length is not cut to 32 bits, in sectors or bytes", D, {0}, truncated, NULL},
    {"discard.truncated-32", "HOSTILE §2 discard length", MUST, "nor in the 32-bit layout", D,
     {.protocol = "x86_32-abi"}, truncated, NULL},
    {"discard.above-4-gib", FIELDS, MUST, "more than 4 GiB at once is legal", D, {0}, above_4_gib,
     NULL},
    {"discard.secure-ignored", FIELDS, MUST, "the secure flag is ignored when not offered", D |
     NEED_NO_SECURE, {0}, flagged, FLAG(BLKIF_DISCARD_SECURE)},
    {"discard.secure", RULE, MUST, "a secure discard works when offered", D | NEED_SECURE, {0},
     flagged, FLAG(BLKIF_DISCARD_SECURE)},
    {"discard.other-flags", FIELDS, SHOULD, "flags nobody knows are ignored", D, {0}, flagged,
     FLAG(0xfe)},
    {"discard.among-others", RULE, MUST, "reads and writes go on beside discards", D, {0},
     among_others, NULL},
    {"discard.not-offered", RULE, MUST, "a discard that was not offered is unsupported", NEED_WRITE
     | NEED_NO_DISCARD, {0}, not_offered, NULL},
};
// clang-format on
SUITE(discard);
