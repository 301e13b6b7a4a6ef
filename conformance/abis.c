/* SPDX-License-Identifier: MIT
 *
 * The layouts of a 32-bit and a 64-bit frontend, the ring's geometry, and which bytes of the ring
 * are the backend's to write. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

/* Written through one layout, read through the other. */
static void crossed(struct ctx *c, const void *arg)
{
    static const struct connect abis[] = {{.protocol = "x86_64-abi"}, {.protocol = "x86_32-abi"}};
    bool narrow = is_32(c);

    (void)arg;
    disk_fill(c, SCRATCH, 40, 1);
    link_close(c);
    link_open(c, &abis[!narrow]);
    disk_want(c, SCRATCH, 40, 1);
    disk_fill(c, SCRATCH, 40, 2);
    link_close(c);
    link_open(c, &abis[narrow]);
    disk_want(c, SCRATCH, 40, 2);
}

static void geometry(struct ctx *c, const void *arg)
{
    const struct front_raw_queue *raw = &c->q[0].raw;
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    require(c, raw->entries == 32u << c->how.order, "%" PRIu32 " entries", raw->entries);
    /* Twice round: a backend with another size or stride would look in the wrong slots. */
    for (uint32_t i = 0; i < 2 * raw->entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        require(c, READ_ONCE(raw->shared->rsp_prod) == c->q[0].rsp_cons,
                "rsp_prod is not at the number of answers");
    }
}

/* Bytes 9 and, in 64 bits, 12 to 15 of an answer are padding: as the frontend left them, or 0. */
static void padding(struct ctx *c, const void *arg)
{
    unsigned bytes = is_32(c) ? 12 : 16;
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (unsigned i = 0; i < 2 * c->q[0].raw.entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
        uint8_t before[16];
        void *slot;

        rq.id = 0xa1b2c3d4e5f60718u + i;
        slot = rq_put(c, 0, &rq);
        memcpy(before, slot, sizeof(before));
        rq_push(c, 0);
        rq_answer(c, 0);
        for (unsigned b = 9; b < bytes; b += b == 9 ? 3 : 1) {
            uint8_t now = ((uint8_t *)slot)[b];

            require(c, now == before[b] || now == 0, "byte %u of an answer holds 0x%02x", b, now);
        }
    }
}

/* Everything the backend has no business in is filled, and still there after a round of I/O. */
static void own_words(struct ctx *c, const void *arg)
{
    struct front_raw_queue *raw = &c->q[0].raw;
    unsigned rest = is_32(c) ? 12 : 16;
    uint32_t gref, event;
    uint8_t pad[48], slot[BLKIF_SLOT_BYTES_X86_64];

    (void)arg;
    pages_new(c, 1, true, &gref);
    memset(pad, 0xc3, sizeof(pad));
    memcpy(raw->shared->pad, pad, sizeof(pad));
    for (uint32_t i = 0; i < raw->entries; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
        uint8_t *at = rq_put(c, 0, &rq);

        memset(at + 40, 0x77, raw->slot_bytes - 40); /* segments that are not used */
        memcpy(slot, at, raw->slot_bytes);
        WRITE_ONCE(raw->shared->rsp_event, c->q[0].rsp_cons + 1);
        event = c->q[0].rsp_cons + 1;
        rq_push(c, 0);
        rq_answer(c, 0);
        require(c, memcmp(at + rest, slot + rest, raw->slot_bytes - rest) == 0,
                "the backend wrote into the slot behind its answer");
        require(c,
                READ_ONCE(raw->shared->req_prod) == c->q[0].req_prod &&
                    READ_ONCE(raw->shared->rsp_event) == event,
                "the backend wrote req_prod or rsp_event");
    }
    require(c, memcmp(raw->shared->pad, pad, sizeof(pad)) == 0,
            "the backend wrote into the header");
}

/* Every operation, so that each layout's own fields are used. */
static void every_operation(struct ctx *c, const void *arg)
{
    const struct blkfront_info *info = &c->offer->info;
    uint32_t gref;
    struct rq rq;

    (void)arg;
    disk_fill(c, SCRATCH, 32, 4);
    disk_want(c, SCRATCH, 32, 4);
    pages_new(c, 1, true, &gref);
    rq = (struct rq){.op = BLKIF_OP_FLUSH};
    rq_want(c, 0, &rq, info->flush ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
    rq = (struct rq){.op = BLKIF_OP_WRITE_BARRIER};
    rq_want(c, 0, &rq, info->barrier ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
    rq = rq_discard(SCRATCH, 8, 0);
    rq_want(c, 0, &rq, info->discard ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
    /* The length's upper half lies at 28 or 32: misread, this would be a discard of 8 sectors. */
    rq = rq_discard(SCRATCH, 1ull << 40 | 8, 0);
    rq_want(c, 0, &rq, info->discard ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
    rq = rq_rw(BLKIF_OP_READ, 1ull << 40 | SCRATCH, &gref, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    disk_want(c, SCRATCH + 8, 24, 4);
}

#define ABI64                                                                                      \
    {                                                                                              \
        .protocol = "x86_64-abi"                                                                   \
    }
#define ABI32                                                                                      \
    {                                                                                              \
        .protocol = "x86_32-abi"                                                                   \
    }
#define PAIR(name, clause, level, what, needs, fn)                                                 \
    {"abis." name "-64", clause, level, what ", 64-bit", needs, ABI64, fn, NULL},                  \
    {                                                                                              \
        "abis." name "-32", clause, level, what ", 32-bit", needs, ABI32, fn, NULL                 \
    }

// clang-format off
static const struct conform_case cases[] = {
    PAIR("crossed", "PROTOCOL §3.11", MUST, "what one layout writes the other reads", NEED_WRITE,
     crossed),
    PAIR("operations", "PROTOCOL §3.11", MUST, "every operation in its own layout", NEED_WRITE,
     every_operation),
    PAIR("geometry", "PROTOCOL §3.1", MUST, "32 entries a page, in the right places", 0, geometry),
    PAIR("padding", "HOSTILE §1 XSA-216", MUST, "an answer's padding carries nothing", 0, padding),
    PAIR("own-words", "PROTOCOL §3.1", MUST, "the backend writes its own words only", 0,
     own_words),
};
// clang-format on
SUITE(abis);
