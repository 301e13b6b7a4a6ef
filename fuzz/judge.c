/* SPDX-License-Identifier: MIT
 *
 * The judge at the shared ring: what is consumed, what is answered, what is published. Its
 * functions stand around those of src/blkif and src/ring by the linker's --wrap. Threads: one.
 */
#include <errno.h>

#include "rig.h"

/* Its own type for each, so that a change of one is noticed. */
__typeof__(blkif_request_decode) __real_blkif_request_decode, __wrap_blkif_request_decode;
__typeof__(blkif_check_segments) __real_blkif_check_segments, __wrap_blkif_check_segments;
__typeof__(blkif_ring_pending) __real_blkif_ring_pending, __wrap_blkif_ring_pending;
__typeof__(blkif_ring_respond) __real_blkif_ring_respond, __wrap_blkif_ring_respond;
__typeof__(blkif_ring_publish) __real_blkif_ring_publish, __wrap_blkif_ring_publish;
__typeof__(blkif_ring_arm) __real_blkif_ring_arm, __wrap_blkif_ring_arm;
__typeof__(pool_give) __real_pool_give, __wrap_pool_give;

#define HEADER(rr, field)                                                                          \
    (guest_ring((unsigned)((rr)-rig.rings)) + offsetof(struct blkif_sring, field))

static uint32_t word(const unsigned char *memory, size_t at)
{
    uint32_t v;

    memcpy(&v, memory + at, sizeof(v));
    return v;
}

struct rig_ring *judge_ring(const struct ring *ring)
{
    struct rig_ring *rr = &rig.rings[ring->config.index];

    CHECK(ring->config.index < rig.nr_rings && rr->ring == ring);
    return rr;
}

static struct rig_ring *ring_of(const struct blkif_ring *back)
{
    return judge_ring((const struct ring *)((const char *)back - offsetof(struct ring, back)));
}

static size_t slot_at(const struct rig_ring *rr, uint32_t index)
{
    return guest_ring((unsigned)(rr - rig.rings)) + 64 +
           (size_t)(index % rr->entries) * rr->slot_bytes;
}

struct rig_live *judge_find(const struct ring_request *req)
{
    for (unsigned i = 0, seen = 0; seen < rig.nr_live; i++) {
        CHECK(i < RIG_LIVE_MAX);
        if (rig.live[i].req == req)
            return &rig.live[i];
        seen += rig.live[i].req != NULL;
    }
    return NULL;
}

void judge_accept(struct rig_live *l, const struct blkif_segment *seg, uint32_t n)
{
    uint32_t at = 0;

    l->n = n;
    l->seg = calloc(n ? n : 1, sizeof(*l->seg));
    for (uint32_t i = 0; i < n; i++) {
        l->seg[i] = (struct rig_seg){.gref = seg[i].gref,
                                     .offset = seg[i].first_sect * 512u,
                                     .len = (seg[i].last_sect - seg[i].first_sect + 1u) * 512u,
                                     .at = at};
        at += l->seg[i].len;
    }
    l->sectors = at / 512;
}

void __wrap_blkif_request_decode(enum blkif_abi abi, const void *slot, struct blkif_request *out)
{
    struct ring_request *req =
        (struct ring_request *)((char *)out - offsetof(struct ring_request, raw));
    struct rig_ring *rr = judge_ring(req->ring);
    struct rig_live *l = rig.live;

    __real_blkif_request_decode(abi, slot, out);
    rig.progress++;
    rig.struck = false;
    CHECK(!judge_find(req) && rig.nr_live < RIG_LIVE_MAX && !rr->stats.halted);
    CHECK(rr->known-- > 0 && !rr->paused);
    CHECK(!memcmp(slot, rig.memory + slot_at(rr, rr->req_cons), rr->slot_bytes));
    rr->req_cons++;
    while (l->req)
        l++;
    *l = (struct rig_live){.req = req, .ring = (unsigned)(rr - rig.rings)};
    rig.nr_live++;
    for (unsigned i = 0; i < rig.nr_rings; i++)
        l->due[i] = word(rig.memory, HEADER(&rig.rings[i], req_prod));
    oracle_decode(abi, slot, &l->wish);
    l->may = oracle_slot(&l->wish, &rr->config.limits);
    if (l->may == MAY_OKAY && !l->wish.indirect)
        judge_accept(l, l->wish.seg, l->wish.op == BLKIF_OP_DISCARD ? 0 : l->wish.n);
}

/* What was copied out of the indirect pages is what lies there, unless the guest changed it. */
static void check_snapshot(const struct rig_live *l, const struct blkif_segment *seg)
{
    for (uint32_t i = 0; i < l->wish.n && !rig.struck; i++) {
        uint32_t gref = l->wish.grefs[i / 512];
        CHECK(gref < RIG_PAGES);
        CHECK(!memcmp(&seg[i], rig.memory + (size_t)gref * HV_PAGE + i % 512 * 8, 8));
    }
}

enum blkif_refusal __wrap_blkif_check_segments(const struct blkif_segment *seg, uint32_t n,
                                               uint64_t sector, const struct blkif_limits *limits,
                                               uint64_t *sectors)
{
    enum blkif_refusal r = __real_blkif_check_segments(seg, n, sector, limits, sectors);
    struct rig_live *l = NULL;
    uint64_t sum;

    for (unsigned i = 0; i < RIG_LIVE_MAX && !l; i++)
        if (rig.live[i].req && rig.live[i].req->indirect == seg)
            l = &rig.live[i];
    CHECK(l && l->wish.indirect && l->wish.n == n && l->wish.sector == sector && !l->excused);
    check_snapshot(l, seg);
    l->may = oracle_segments(seg, n, sector, &rig.rings[l->ring].config.limits, &sum);
    CHECK(!r == (l->may == MAY_OKAY));
    if (!r) {
        CHECK(sum == *sectors);
        judge_accept(l, seg, n);
    }
    return r;
}

int judge_pending(const struct rig_ring *rr)
{
    uint32_t ahead = word(rig.memory, HEADER(rr, req_prod)) - rr->rsp_pvt;
    uint32_t taken = rr->req_cons - rr->rsp_pvt;

    return ahead > rr->entries || ahead < taken ? -EPROTO : (int)(ahead - taken);
}

int __wrap_blkif_ring_pending(const struct blkif_ring *back)
{
    struct rig_ring *rr = ring_of(back);
    int n = __real_blkif_ring_pending(back);

    CHECK(n == judge_pending(rr));
    rr->impossible |= n < 0;
    rr->known = n;
    return n;
}

void __wrap_blkif_ring_respond(struct blkif_ring *back, uint64_t id, uint8_t op, int16_t status)
{
    struct rig_ring *rr = ring_of(back);
    unsigned char *slot = rig.shadow + slot_at(rr, rr->rsp_pvt);

    if (sabotaged("okay") && status == BLKIF_RSP_ERROR)
        status = BLKIF_RSP_OKAY;
    CHECK(!rr->answering && rr->rsp_pvt != rr->req_cons);
    __real_blkif_ring_respond(back, id, op, status);
    if (sabotaged("twice"))
        __real_blkif_ring_respond(back, id, op, status);
    memcpy(slot, &id, 8);
    slot[8] = op;
    memcpy(slot + 10, &status, 2);
    rr->rsp_pvt++;
    rr->answering = true;
    rr->rsp_id = id;
    rr->rsp_op = op;
    rr->rsp_status = status;
    rig.progress++;
}

static unsigned steps_of(const struct rig_live *l)
{
    if (l->wish.op == BLKIF_OP_DISCARD)
        return l->wish.nr_sectors != 0;
    if (l->wish.echo == BLKIF_OP_WRITE_BARRIER && l->n)
        return 3;
    return l->wish.echo == BLKIF_OP_FLUSH && l->n ? 2 : 1;
}

static void check_answer(const struct rig_live *l, const struct rig_ring *rr)
{
    unsigned status = oracle_status(rr->rsp_status);

    CHECK(rr->answering && rr->rsp_id == l->wish.id && rr->rsp_op == l->wish.echo);
    CHECK(!l->running);
    if (l->may != MAY_OKAY)
        CHECK((status & l->may) && l->steps == 0);
    else if (status == MAY_OKAY)
        CHECK(!l->excused && !l->excused2 && l->steps == steps_of(l));
    else if (status == MAY_ERROR)
        CHECK(l->excused);
    else
        CHECK(status == MAY_UNSUPPORTED && l->excused2);
}

void __wrap_pool_give(struct ring *ring, struct ring_request *req)
{
    struct rig_ring *rr = judge_ring(ring);
    struct rig_live *l = judge_find(req);

    CHECK(l);
    check_answer(l, rr);
    CHECK(rig.barrier != l);
    rr->answering = false;
    free(l->seg);
    *l = (struct rig_live){0};
    rig.nr_live--;
    __real_pool_give(ring, req);
}

bool __wrap_blkif_ring_publish(struct blkif_ring *back)
{
    struct rig_ring *rr = ring_of(back);
    uint32_t old = rr->rsp_pub, new = rr->rsp_pvt;
    uint32_t event = word(rig.memory, HEADER(rr, rsp_event));

    CHECK(!rr->answering && !rr->stats.halted);
    bool notify = __real_blkif_ring_publish(back);
    /* One of the responses old + 1 .. new is the one the guest waits for. */
    bool wanted = false;
    for (uint32_t i = old; i != new; i++)
        wanted |= i + 1 == event;
    CHECK(notify == wanted);
    memcpy(rig.shadow + HEADER(rr, rsp_prod), &new, sizeof(new));
    rr->rsp_pub = new;
    rr->wanted += notify;
    return notify;
}

bool __wrap_blkif_ring_arm(struct blkif_ring *back)
{
    struct rig_ring *rr = ring_of(back);
    bool more = sabotaged("deaf") ? false : __real_blkif_ring_arm(back);
    uint32_t event = word(rig.memory, HEADER(rr, req_event));

    if (event != word(rig.shadow, HEADER(rr, req_event))) {
        CHECK(event == rr->req_cons + 1);
        memcpy(rig.shadow + HEADER(rr, req_event), &event, sizeof(event));
    }
    CHECK(more == (judge_pending(rr) != 0));
    CHECK(more || event == rr->req_cons + 1);
    return more;
}
