/* SPDX-License-Identifier: MIT
 *
 * The judge under the ring: what is copied, and what the storage is asked for. Threads: one.
 */
#include <errno.h>

#include "rig.h"

__typeof__(ring_gate_claim) __real_ring_gate_claim, __wrap_ring_gate_claim;

bool __wrap_ring_gate_claim(struct ring_gate *gate, uint32_t index)
{
    return sabotaged("gate") || __real_ring_gate_claim(gate, index);
}

static struct rig_live *owner(const unsigned char *local, bool *indirect)
{
    for (unsigned i = 0; i < RIG_LIVE_MAX; i++) {
        struct rig_live *l = &rig.live[i];
        if (!l->req)
            continue;
        size_t segs = l->req->ring->max_segs;
        const unsigned char *table = (const unsigned char *)l->req->indirect;
        *indirect = local >= table && local < table + segs * sizeof(struct blkif_segment);
        if (*indirect || (local >= l->req->bounce && local < l->req->bounce + segs * HV_PAGE))
            return l;
    }
    return NULL;
}

/* The segment whose place in the bounce area is local. Called in their order, mostly. */
static struct rig_seg *segment_at(struct rig_live *l, const void *local)
{
    static uint32_t hint;

    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t j = (hint + i) % l->n;
        if (l->req->seg[j].addr == local && !l->req->seg[j].grant) {
            hint = j + 1;
            return &l->seg[j];
        }
    }
    return NULL;
}

static void copy_page(struct rig_live *l, const struct hv_copy *op, bool failed)
{
    size_t first = (size_t)((struct blkif_segment *)op->local - l->req->indirect);
    size_t left = l->wish.n - first;

    CHECK(l->wish.indirect && l->may == MAY_OKAY && !op->to_guest && !l->seg);
    CHECK(first % 512 == 0 && first < l->wish.n && op->offset == 0);
    CHECK(op->ref == l->wish.grefs[first / 512]);
    CHECK(op->len == (left < 512 ? left : 512) * 8);
    if (failed) {
        l->excused = true;
        l->may = MAY_ERROR;
    }
}

void judge_copy(const struct hv_copy *op, bool failed)
{
    bool indirect;
    struct rig_live *l = owner(op->local, &indirect);

    CHECK(l);
    if (indirect) {
        copy_page(l, op, failed);
        return;
    }
    struct rig_seg *seg = l->n ? segment_at(l, op->local) : NULL;
    CHECK(seg && l->may == MAY_OKAY && !l->running);
    CHECK(op->ref == seg->gref && op->offset == seg->offset && op->len == seg->len);
    l->excused |= failed;
    if (!op->to_guest) {
        CHECK(l->wish.echo != BLKIF_OP_READ && l->steps == 0);
        seg->copied = !failed;
        return;
    }
    CHECK(l->wish.echo == BLKIF_OP_READ && l->steps == 1);
    for (uint32_t i = 0; i < op->len; i++)
        CHECK(((unsigned char *)op->local)[i] == rig_disk_byte(l->wish.sector * 512 + seg->at + i));
}

static enum engine_op step_of(const struct rig_live *l)
{
    switch (l->wish.echo) {
    case BLKIF_OP_READ:
        return ENGINE_READ;
    case BLKIF_OP_WRITE:
        return ENGINE_WRITE;
    case BLKIF_OP_DISCARD:
        return ENGINE_DISCARD;
    default: /* flush, write, flush: as far as it goes */
        return l->steps == 1 ? ENGINE_WRITE : ENGINE_FLUSH;
    }
}

static void take_direct(struct rig_live *l, struct rig_seg *seg, unsigned char *addr)
{
    CHECK(seg->gref < RIG_PAGES && rig.mapped[seg->gref] > 0);
    CHECK(addr == rig.memory + (size_t)seg->gref * HV_PAGE + seg->offset);
    CHECK(rig.direct[l->ring][seg->gref]++ == 0); /* a page in use is not shared */
    seg->direct = addr;
}

static void check_memory(struct rig_live *l, const struct engine_io *io)
{
    unsigned v = 0;
    size_t used = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        struct rig_seg *seg = &l->seg[i];
        CHECK(v < io->iovcnt && io->iov[v].iov_len - used >= seg->len);
        unsigned char *addr = (unsigned char *)io->iov[v].iov_base + used;
        bool indirect;
        if (addr >= rig.memory && addr < rig.memory + (size_t)RIG_PAGES * HV_PAGE)
            take_direct(l, seg, addr);
        else
            CHECK(owner(addr, &indirect) == l && !indirect &&
                  (seg->copied || io->op == ENGINE_READ));
        used += seg->len;
        if (used == io->iov[v].iov_len) {
            used = 0;
            v++;
        }
    }
    CHECK(v == io->iovcnt && used == 0);
}

static bool has_barrier(unsigned ring)
{
    for (unsigned i = 0; i < RIG_LIVE_MAX; i++)
        if (rig.live[i].req && rig.live[i].ring == ring &&
            rig.live[i].wish.echo == BLKIF_OP_WRITE_BARRIER)
            return true;
    return false;
}

/* What was given to the other rings before it has been taken, and nothing is under way. */
static void check_alone(const struct rig_live *l)
{
    CHECK(rig.in_storage == 0);
    for (unsigned i = 0; i < rig.nr_rings && l->steps == 0; i++) {
        const struct rig_ring *rr = &rig.rings[i];
        if (i != l->ring && rr->tidy && rr->ring && !rr->paused && !rr->stats.halted &&
            !has_barrier(i))
            CHECK((int32_t)(rr->req_cons - l->due[i]) >= 0);
    }
}

void judge_submit(struct engine_io *io)
{
    struct rig_live *l = judge_find((struct ring_request *)io);
    bool data = io->op == ENGINE_READ || io->op == ENGINE_WRITE;

    if (sabotaged("offset"))
        io->offset += 512;
    CHECK(l && l->may == MAY_OKAY && !l->running && !l->excused);
    CHECK(io->op == step_of(l));
    CHECK(!rig.barrier || rig.barrier == l);
    if (l->wish.echo == BLKIF_OP_WRITE_BARRIER) { /* as if it had to be alone */
        check_alone(l);
        rig.barrier = l;
    }
    if (data || io->op == ENGINE_DISCARD) {
        CHECK(io->offset == l->wish.sector * 512);
        CHECK(io->length == (data ? l->sectors : l->wish.nr_sectors) * 512);
        CHECK(data || !(io->flags & ENGINE_IO_SECURE) ||
              rig.rings[l->ring].config.limits.can_discard_secure);
    }
    if (data)
        check_memory(l, io);
    l->running = true;
    rig.in_storage++;
}

static void end(struct rig_live *l, struct engine_io *io, int result)
{
    CHECK(l && l->running);
    l->running = false;
    l->steps++;
    rig.in_storage--;
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->seg[i].direct)
            continue;
        CHECK(rig.mapped[l->seg[i].gref] > 0);
        rig.direct[l->ring][l->seg[i].gref]--;
        l->seg[i].direct = NULL;
    }
    if (result == -EOPNOTSUPP && io->op != ENGINE_READ && io->op != ENGINE_WRITE)
        l->excused2 = true;
    else if (result)
        l->excused = true;
    bool last = l->n == 0 || l->steps == 3;
    if (rig.barrier == l && (result || last))
        rig.barrier = NULL;
}

void judge_submit_failed(struct engine_io *io, int err)
{
    end(judge_find((struct ring_request *)io), io, err);
}

void judge_done(struct engine_io *io, int result)
{
    end(judge_find((struct ring_request *)io), io, result);
}
