/* SPDX-License-Identifier: MIT
 *
 * Requests with a field that must not be. Each is sent in both layouts; the disk's first sectors
 * and the page keep what they hold. Thread: main.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

struct bad {
    uint8_t op;
    uint16_t nr;
    uint8_t first, last; /* of every segment; last 0 and first 0: whole pages */
    uint64_t sector;
    uint64_t from_end; /* not 0: sector = size - this */
    int status;
};

/* good: so many segments that are as they should be come first. */
static void refused(struct ctx *c, const struct bad *b, unsigned good)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct rq rq = {.op = b->op, .nr = b->nr, .sector = b->sector};

    for (unsigned i = 0; i < good; i++)
        rq.seg[i] = (struct blkif_segment){.gref = gref, .last_sect = PAGE_SECTORS - 1};
    if (b->from_end != 0)
        rq.sector = disk_sectors(c) - b->from_end;
    for (unsigned i = good; i < BLKIF_SEGS_PER_REQUEST; i++)
        rq.seg[i] = (struct blkif_segment){
            .gref = gref,
            .first_sect = b->first,
            .last_sect = b->first == 0 && b->last == 0 ? PAGE_SECTORS - 1 : b->last};
    disk_fill(c, SCRATCH, 88, 5);
    disk_fill(c, disk_sectors(c) - 8, 8, 6);
    memset(page, 0xd2, HV_PAGE);
    rq_want(c, 0, &rq, b->status);
    for (unsigned i = 0; i < HV_PAGE; i++)
        require(c, page[i] == 0xd2, "a refused request changed the guest's page");
    disk_want(c, SCRATCH, 88, 5);
    disk_want(c, disk_sectors(c) - 8, 8, 6);
}

static void one(struct ctx *c, const void *arg)
{
    refused(c, arg, 0);
}

static void second(struct ctx *c, const void *arg)
{
    refused(c, arg, 1);
}

static void unknown_operations(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned op = 0; op < 256; op++) {
        struct rq rq = {.op = (uint8_t)op, .nr = 1, .sector = SCRATCH};

        if (op != BLKIF_OP_RESERVED_1 && op < 7)
            continue;
        rq.seg[0].last_sect = 7;
        rq_want(c, 0, &rq, BLKIF_RSP_EOPNOTSUPP);
    }
}

/* Nothing that changes a read-only disk is done. */
static void read_only(struct ctx *c, const void *arg)
{
    static const uint8_t ops[] = {BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_FLUSH,
                                  BLKIF_OP_DISCARD};
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref), before[HV_PAGE];
    struct rq read = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

    (void)arg;
    rq_want(c, 0, &read, BLKIF_RSP_OKAY);
    memcpy(before, page, HV_PAGE);
    for (size_t i = 0; i < sizeof(ops); i++) {
        struct rq rq = ops[i] == BLKIF_OP_DISCARD ? rq_discard(SCRATCH, 8, 0)
                                                  : rq_rw(ops[i], SCRATCH, &gref, 1);
        int status;

        memset(page, 0x11, HV_PAGE);
        status = rq_do(c, 0, &rq);
        require(c,
                status == BLKIF_RSP_ERROR ||
                    (status == BLKIF_RSP_EOPNOTSUPP && ops[i] != BLKIF_OP_WRITE),
                "operation %u on a read-only disk: status %d", ops[i], status);
        rq_want(c, 0, &read, BLKIF_RSP_OKAY);
        require(c, memcmp(before, page, HV_PAGE) == 0, "operation %u changed a read-only disk",
                ops[i]);
    }
}

/* Rings full of garbage: each is answered, the log stays small, a good request still works. */
static void malformed(struct ctx *c, const void *arg)
{
    char text[32];
    long long before, after;
    bool logged = c->set->host != NULL;
    unsigned rounds = times(c, 300, 300000);

    (void)arg;
    if (logged)
        host(c, "log", text, sizeof(text));
    before = logged ? atoll(text) : 0;
    for (unsigned n = 0; n < rounds; n++) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = {.op = (uint8_t)(i % 8 == 4   ? 4
                                            : i % 4 == 3 ? 0
                                                         : i % 4),
                            .nr = (uint16_t)(12 + i),
                            .sector = ~(uint64_t)i};

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == c->q[0].raw.entries, "garbage is accepted");
    }
    if (!logged)
        return;
    host(c, "log", text, sizeof(text));
    after = atoll(text);
    require(c, after - before < 16384, "%u bad requests wrote %lld bytes to the log",
            rounds * c->q[0].raw.entries, after - before);
}

/* Random bytes in every slot but for the id: an answer to each, whatever it says. */
static void random_slots(struct ctx *c, const void *arg)
{
    uint64_t state = 0x1234567;
    unsigned offset = is_32(c) ? 12 : 16;

    (void)arg;
    for (unsigned n = times(c, 100, 100000); n != 0; n--) {
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = {.op = BLKIF_OP_READ};
            uint8_t *slot = rq_put(c, 0, &rq);

            slot[1] = (uint8_t)(state >> 20);
            for (unsigned b = offset; b < c->q[0].raw.slot_bytes; b++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                slot[b] = (uint8_t)(state >> 56);
            }
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == c->q[0].raw.entries,
                "a request of random bytes is done");
    }
}

#define FIELDS "HOSTILE §3 fields: segments"
#define SEGR   "HOSTILE §3 fields: segment range"
#define RANGE  "HOSTILE §3 fields: sector range"
#define E      BLKIF_RSP_ERROR
#define ABI32                                                                                      \
    {                                                                                              \
        .protocol = "x86_32-abi"                                                                   \
    }
#define B(...) (&(const struct bad){__VA_ARGS__})
#define BOTH(name, clause, what, ...)                                                              \
    {"hostile_requests." name, clause, MUST, what, NEED_WRITE, {0}, one, B(__VA_ARGS__)},          \
    {                                                                                              \
        "hostile_requests." name "-32", clause, MUST, what ", 32-bit", NEED_WRITE, ABI32, one,     \
            B(__VA_ARGS__)                                                                         \
    }
#define READ  BLKIF_OP_READ
#define WRITE BLKIF_OP_WRITE

// clang-format off
static const struct conform_case cases[] = {
    BOTH("read-0", FIELDS, "a read of 0 segments", READ, 0, 0, 0, SCRATCH, 0, E),
    BOTH("write-0", "HOSTILE §2 nr_segments 0", "a write of 0 segments", WRITE, 0, 0, 0, SCRATCH,
     0, E),
    BOTH("read-12", FIELDS, "a read of 12 segments", READ, 12, 0, 0, SCRATCH, 0, E),
    BOTH("write-12", "HOSTILE §1 CVE-2007-5498", "a write of 12 segments", WRITE, 12, 0, 0,
     SCRATCH, 0, E),
    BOTH("read-255", FIELDS, "a read of 255 segments", READ, 255, 0, 0, SCRATCH, 0, E),
    BOTH("write-255", "HOSTILE §1 CVE-2007-5498", "a write of 255 segments", WRITE, 255, 0, 0,
     SCRATCH, 0, E),
    BOTH("first-above-last", SEGR, "first 4, last 3", WRITE, 1, 4, 3, SCRATCH, 0, E),
    BOTH("first-7-last-0", SEGR, "first 7, last 0", READ, 2, 7, 0, SCRATCH, 0, E),
    BOTH("last-8", SEGR, "last 8", READ, 1, 0, 8, SCRATCH, 0, E),
    BOTH("last-255", SEGR, "last 255", WRITE, 1, 0, 255, SCRATCH, 0, E),
    BOTH("first-8-last-8", SEGR, "first and last 8", READ, 11, 8, 8, SCRATCH, 0, E),
    BOTH("first-255-last-255", SEGR, "first and last 255", WRITE, 11, 255, 255, SCRATCH, 0, E),
    BOTH("past-the-end", RANGE, "one sector past the end", WRITE, 1, 0, 0, 0, 7, E),
    BOTH("end-of-many", RANGE, "the eleventh segment past the end", WRITE, 11, 0, 0, 0, 80, E),
    BOTH("sector-max", RANGE, "sector 2^64 - 1", READ, 1, 0, 0, UINT64_MAX, 0, E),
    BOTH("sector-wraps", RANGE, "a sum that wraps to the beginning", WRITE, 2, 0, 0, UINT64_MAX -
     7, 0, E),
    BOTH("bytes-wrap", RANGE, "a sector that wraps in bytes", WRITE, 1, 0, 0, (1ull << 55) +
     SCRATCH, 0, E),
    BOTH("bytes-negative", RANGE, "a sector that is negative in bytes", READ, 1, 0, 0, 1ull << 54,
     0, E),
    BOTH("sector-2-32", RANGE, "a sector that wraps in 32 bits", WRITE, 1, 0, 0, (1ull << 32) +
     SCRATCH, 0, E),
    {"hostile_requests.first-above-last-later", SEGR, MUST,
     "first 4, last 3 in the second segment", NEED_WRITE, {0}, second, B(WRITE, 2, 4, 3, SCRATCH,
     0, E)},
    {"hostile_requests.last-8-later", SEGR, MUST, "last 8 in the second segment", NEED_WRITE, {0},
     second, B(READ, 2, 0, 8, SCRATCH, 0, E)},
    {"hostile_requests.unknown-operations", "HOSTILE §3 fields: operation", MUST,
     "operations nobody knows are unsupported", 0, {0}, unknown_operations, NULL},
    {"hostile_requests.unknown-operations-32", "HOSTILE §3 fields: operation", MUST,
     "the same with the 32-bit layout", 0, ABI32, unknown_operations, NULL},
    {"hostile_requests.read-only-disk", "HOSTILE §1 XSA-142", MUST,
     "nothing changes a read-only disk", NEED_READ_ONLY, {0}, read_only, NULL},
    {"hostile_requests.read-only-disk-32", "HOSTILE §1 XSA-142", MUST,
     "the same with the 32-bit layout", NEED_READ_ONLY, ABI32, read_only, NULL},
    {"hostile_requests.malformed", "HOSTILE §1 XSA-180", MUST,
     "floods of garbage are answered and not logged each", 0, {0}, malformed, NULL},
    {"hostile_requests.random", "HOSTILE §3 fields: whole ring", MUST,
     "random bytes in every field are answered", 0, {0}, random_slots, NULL},
    {"hostile_requests.random-32", "HOSTILE §3 fields: whole ring", MUST,
     "the same with the 32-bit layout", 0, ABI32, random_slots, NULL},
};
// clang-format on
SUITE(hostile_requests);
