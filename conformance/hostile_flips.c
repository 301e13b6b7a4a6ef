/* SPDX-License-Identifier: MIT
 *
 * A second thread changes a request while the backend reads it (XSA-155): the answer and the data
 * are those of one moment. Threads: main, and one that flips.
 */
#include <string.h>

#include "conform.h"

/* Two values of one field, in turn; a turn lasts a while so that each is really seen. */
struct flip {
    volatile uint8_t *at;
    unsigned bytes;
    uint8_t a[8], b[8];
};

static void flip_turn(void *arg, unsigned n)
{
    struct flip *f = arg;
    const uint8_t *from = n % 2 == 0 ? f->a : f->b;

    if (f->bytes == 8)
        __atomic_store_n((volatile uint64_t *)f->at, *(const uint64_t *)(const void *)from,
                         __ATOMIC_RELAXED);
    else if (f->bytes == 4)
        __atomic_store_n((volatile uint32_t *)f->at, *(const uint32_t *)(const void *)from,
                         __ATOMIC_RELAXED);
    else
        __atomic_store_n(f->at, *from, __ATOMIC_RELAXED);
}

struct field {
    unsigned at64, at32; /* bytes into the slot */
    unsigned bytes;
    uint64_t a, b; /* a is legal */
    bool b_legal;  /* b too: SCRATCH + 8 instead of SCRATCH */
};

/* The slot is flipped from before it is visible until it is answered; then the answer lies there,
 * so the flipper is stopped first and the answer is read from the ring's words. */
static int flipped(struct ctx *c, const struct field *f, const struct rq *rq)
{
    struct flip flip = {.bytes = f->bytes};
    struct queue *q = &c->q[0];
    uint64_t start = now_ms();
    uint8_t *slot = rq_put(c, 0, rq);
    int16_t status;

    flip.at = slot + (is_32(c) ? f->at32 : f->at64);
    memcpy(flip.a, &f->a, sizeof(f->a));
    memcpy(flip.b, &f->b, sizeof(f->b));
    twist_start(c, flip_turn, &flip, sizeof(flip));
    rq_push(c, 0);
    while (load_acquire(&q->raw.shared->rsp_prod) == q->rsp_cons)
        wait_a_little(c, start, "no answer to a request that changes");
    twists_stop(c);
    memcpy(&status, slot + 10, sizeof(status));
    q->rsp_cons++;
    q->in_flight = 0;
    memset(q->asked, 0, q->raw.entries * sizeof(*q->asked));
    return status;
}

static void read_flips(struct ctx *c, const void *arg)
{
    const struct field *f = arg;
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);

    disk_fill(c, SCRATCH, 2 * PAGE_SECTORS, 7);
    for (unsigned n = times(c, 60, 100000); n != 0; n--) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
        int status;
        bool a, b;

        memset(page, 0xee, HV_PAGE);
        status = flipped(c, f, &rq);
        a = filled(page, SCRATCH, PAGE_SECTORS, 7);
        b = f->b_legal && filled(page, SCRATCH + 8, PAGE_SECTORS, 7);
        require(c, status == BLKIF_RSP_OKAY || !f->b_legal, "two legal requests fail: %d", status);
        require(c, status != BLKIF_RSP_OKAY || a || b, "OKAY, and the data is neither one's");
        for (unsigned i = 0; status != BLKIF_RSP_OKAY && i < HV_PAGE; i++)
            require(c, page[i] == 0xee, "a failed read left data");
    }
}

/* The segments of an indirect request, in a page that the thread writes to. */
static void indirect_flips(struct ctx *c, const void *arg)
{
    const struct field *f = arg;
    uint32_t gref, segs;
    struct blkif_segment *seg = (void *)pages_new(c, 1, true, &segs);
    struct flip flip = {.at = (uint8_t *)seg + f->at64, .bytes = f->bytes};
    uint32_t guard;
    uint8_t *other = pages_new(c, 1, true, &guard);

    pages_new(c, 1, true, &gref);
    memcpy(flip.a, &f->a, sizeof(f->a));
    memcpy(flip.b, &f->b, sizeof(f->b));
    memset(other, 0x5c, HV_PAGE);
    for (unsigned i = 0; i < 2; i++)
        seg[i] = (struct blkif_segment){.gref = gref, .last_sect = 7};
    twist_start(c, flip_turn, &flip, sizeof(flip));
    for (unsigned n = times(c, 300, 100000); n != 0; n--) {
        struct rq rq = {
            .op = BLKIF_OP_INDIRECT, .inner = BLKIF_OP_READ, .nr = 2, .sector = SCRATCH};

        rq.gref[0] = segs;
        rq_do(c, 0, &rq);
    }
    for (unsigned i = 0; i < HV_PAGE; i++)
        require(c, other[i] == 0x5c, "a page that no segment named was written to");
}

/* What is written changes under the backend: one value or the other ends up on the disk. */
static void data_flips(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct flip flip = {.at = page, .bytes = 1, .a = {0xaa}, .b = {0x55}};

    (void)arg;
    twist_start(c, flip_turn, &flip, sizeof(flip));
    for (unsigned n = times(c, 200, 100000); n != 0; n--) {
        struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH, &gref, 1);

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    }
    twists_stop(c);
    memset(page, 0, HV_PAGE);
    rq_want(c, 0,
            &(struct rq){.op = BLKIF_OP_READ,
                         .nr = 1,
                         .sector = SCRATCH,
                         .seg = {{.gref = gref, .last_sect = 7}}},
            BLKIF_RSP_OKAY);
    require(c, page[0] == 0xaa || page[0] == 0x55, "byte 0x%02x was never written", page[0]);
}

#define RULE   "HOSTILE §1 XSA-155"
#define F(...) (&(const struct field){__VA_ARGS__})
#define ABI32                                                                                      \
    {                                                                                              \
        .protocol = "x86_32-abi"                                                                   \
    }
#define BOTH(name, what, ...)                                                                      \
    {"hostile_requests.flip-" name,                                                                \
     RULE,                                                                                         \
     MUST,                                                                                         \
     what " changes while it is read",                                                             \
     NEED_WRITE,                                                                                   \
     {0},                                                                                          \
     read_flips,                                                                                   \
     F(__VA_ARGS__)},                                                                              \
    {                                                                                              \
        "hostile_requests.flip-" name "-32", RULE, MUST, what " changes, 32-bit", NEED_WRITE,      \
            ABI32, read_flips, F(__VA_ARGS__)                                                      \
    }
#define INDIRECT(name, what, ...)                                                                  \
    {                                                                                              \
        "indirect.flip-" name, RULE, MUST, what " of an indirect page changes",                    \
            NEED_WRITE | NEED_INDIRECT, {0}, indirect_flips, F(__VA_ARGS__)                        \
    }

// clang-format off
static const struct conform_case cases[] = {
    BOTH("sector", "the sector", 16, 12, 4, SCRATCH, SCRATCH + 8, true),
    BOTH("segments", "the number of segments", 1, 1, 1, 1, 255, false),
    BOTH("gref", "a grant reference", 24, 20, 4, 0, GREF_NEVER, false),
    BOTH("last", "a segment's last sector", 29, 25, 1, 7, 200, false),
    BOTH("operation", "the operation", 0, 0, 1, BLKIF_OP_READ, 99, false),
    INDIRECT("gref", "a grant reference", 8, 0, 4, GREF_NEVER, GREF_NEVER + 1, false),
    INDIRECT("first", "a segment's first sector", 12, 0, 1, 0, 255, false),
    INDIRECT("last", "a segment's last sector", 13, 0, 1, 7, 255, false),
    {"hostile_requests.flip-data", "HOSTILE §3 grants: content", MUST,
     "data changes while it is written", NEED_WRITE, {0}, data_flips, NULL},
};
// clang-format on
SUITE(hostile_flips);
