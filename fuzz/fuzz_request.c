/* SPDX-License-Identifier: MIT
 *
 * A slot of any bytes in either layout, against any disk: what src/blkif makes of it must be what
 * the second reading makes of it.
 *
 * Input: layout, limits, the slot, then the segments of its indirect pages. Threads: one.
 */
#include "blkif/request.h"
#include "input.h"
#include "oracle.h"

static struct blkif_limits take_limits(struct input *in)
{
    static const uint32_t blocks[] = {1, 8, 0, 1};
    static const uint16_t indirect[] = {0, 1, 11, 32, 256, 4096, 65535, 513};
    uint8_t can = take8(in), more = take8(in);
    uint64_t sectors = take64(in);

    return (struct blkif_limits){
        .nr_sectors = can & 0x80 ? sectors : sectors & 0xffff,
        .block_sectors = blocks[more & 3],
        .max_indirect = indirect[more >> 2 & 7],
        .read_only = can & 1,
        .can_flush = can & 2,
        .can_barrier = can & 4,
        .can_discard = can & 8,
        .can_discard_secure = can & 16,
    };
}

static void check_fields(const struct wish *w, const struct blkif_request *req)
{
    CHECK(req->operation == w->op && req->id == w->id && req->sector == w->sector);
    CHECK(blkif_request_echo_op(req) == w->echo);
    if (w->op == BLKIF_OP_DISCARD) {
        CHECK(req->flag == w->flag && req->nr_sectors == w->nr_sectors);
        return;
    }
    CHECK(req->nr_segments == w->n);
    if (w->indirect) {
        CHECK(!memcmp(req->indirect_grefs, w->grefs, sizeof(w->grefs)));
        return;
    }
    for (unsigned i = 0; i < BLKIF_SEGS_PER_REQUEST; i++)
        CHECK(req->seg[i].gref == w->seg[i].gref &&
              req->seg[i].first_sect == w->seg[i].first_sect &&
              req->seg[i].last_sect == w->seg[i].last_sect);
}

static void check_accepted(const struct wish *w, const struct blkif_limits *l,
                           const struct blkif_checked *c)
{
    static const enum blkif_kind kinds[] = {KIND_READ,  KIND_WRITE, KIND_BARRIER,
                                            KIND_FLUSH, KIND_READ,  KIND_DISCARD};
    unsigned __int128 end = (unsigned __int128)c->sector + c->sectors;
    uint64_t sum = 0;

    CHECK(c->kind == (w->indirect ? kinds[w->echo] : kinds[w->op]));
    CHECK(c->indirect == w->indirect);
    CHECK(end <= l->nr_sectors || !c->sectors);
    CHECK(!c->secure || (w->op == BLKIF_OP_DISCARD && l->can_discard_secure && (w->flag & 1)));
    if (w->op == BLKIF_OP_DISCARD) {
        CHECK(c->sectors == w->nr_sectors && (!c->sectors || c->sector == w->sector));
        return;
    }
    CHECK(c->nr_segments == w->n);
    CHECK(!w->n || c->sector == w->sector);
    if (w->indirect) {
        CHECK(w->n >= 1 && w->n <= l->max_indirect && w->n <= BLKIF_SEGS_INDIRECT_MAX);
    } else if (w->n) {
        CHECK(oracle_segments(w->seg, w->n, w->sector, l, &sum) == MAY_OKAY && c->sectors == sum);
    } else {
        CHECK(c->sectors == 0);
    }
}

static void check_pages(struct input *in, const struct wish *w, const struct blkif_limits *l)
{
    struct blkif_segment *seg = calloc(w->n, sizeof(*seg));
    uint64_t ours = 0, theirs = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        take(in, &seg[i], sizeof(seg[i]));
        if (!in->left) /* few bytes should make many good segments */
            seg[i] = (struct blkif_segment){.last_sect = (uint8_t)(i & 7)};
    }
    enum blkif_refusal r = blkif_check_segments(seg, w->n, w->sector, l, &theirs);
    unsigned may = oracle_segments(seg, w->n, w->sector, l, &ours);
    CHECK(oracle_status(blkif_refusal_status(r)) & may);
    CHECK(r || ours == theirs);
    free(seg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    enum blkif_abi abi = take8(&in) & 1 ? BLKIF_ABI_X86_32 : BLKIF_ABI_X86_64;
    struct blkif_limits limits = take_limits(&in);
    unsigned char slot[BLKIF_SLOT_BYTES_X86_64];
    struct blkif_request req;
    struct blkif_checked checked;
    struct wish w;

    take(&in, slot, sizeof(slot));
    blkif_request_decode(abi, slot, &req);
    oracle_decode(abi, slot, &w);
    check_fields(&w, &req);
    enum blkif_refusal r = blkif_check_request(&req, &limits, &checked);
    CHECK((unsigned)r < REFUSE_COUNT && blkif_refusal_name(r)[0]);
    CHECK(oracle_status(blkif_refusal_status(r)) & oracle_slot(&w, &limits));
    CHECK(!r == (blkif_refusal_status(r) == BLKIF_RSP_OKAY));
    if (!r) {
        check_accepted(&w, &limits, &checked);
        if (w.indirect)
            check_pages(&in, &w, &limits);
    }
    return 0;
}
