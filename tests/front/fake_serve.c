/* SPDX-License-Identifier: MIT
 *
 * One ring, served with Xen's own macros. Compiled twice: with FAKE_ABI_32 the structures of
 * xen/io/blkif.h are laid out as a 32-bit x86 compiler would, with 64-bit fields on 4 bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_backend.h"
#include "fake_hv.h"

#define __XEN_INTERFACE_VERSION__ 0x00040d00 /* barriers are called xen_mb() */
#ifdef FAKE_TSAN
/* Xen's macros use plain loads and stores with fences, which the thread sanitizer cannot follow:
 * this file is not instrumented, and tells it what the fences order. */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static uint32_t *serving; /* the ring's four indices: req_prod first, rsp_prod third */
#define xen_mb()  __sync_synchronize()
#define xen_rmb() (__sync_synchronize(), __tsan_acquire(&serving[0]))
#define xen_wmb() (__tsan_release(&serving[2]), __sync_synchronize())
#else
#define xen_mb()  __sync_synchronize()
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif
#include <xen/grant_table.h>
#ifdef FAKE_ABI_32
#pragma pack(push, 4)
#include <xen/io/blkif.h>
#pragma pack(pop)
#define NAME(x) x##_32
_Static_assert(sizeof(struct blkif_request) == 108, "a 32-bit guest's request");
_Static_assert(offsetof(struct blkif_request, sector_number) == 12, "a 32-bit guest's request");
#else
#include <xen/io/blkif.h>
#define NAME(x) x##_64
_Static_assert(sizeof(struct blkif_request) == 112, "a 64-bit guest's request");
#endif

void *NAME(fake_attach)(void *pages, unsigned bytes)
{
    struct blkif_back_ring *ring = calloc(1, sizeof(*ring));
    struct blkif_sring *sring = pages;

    BACK_RING_ATTACH(ring, sring, sring->rsp_prod, bytes);
    return ring;
}

static int move(struct fake_backend *be, int op, uint64_t sector,
                const struct blkif_request_segment *seg, unsigned n)
{
    if (n > be->max_segments)
        be->max_segments = n;
    for (unsigned i = 0; i < n; i++) {
        unsigned sectors = seg[i].last_sect - seg[i].first_sect + 1u;
        char *page = fake_grant_page(seg[i].gref, be->persistent || op == BLKIF_OP_READ);
        uint8_t *disk = be->disk + sector * 512;

        if (seg[i].first_sect > seg[i].last_sect || seg[i].last_sect > 7 || page == NULL) {
            be->complaints++;
            return BLKIF_RSP_ERROR;
        }
        if (sector + sectors > be->opt.sectors)
            return BLKIF_RSP_ERROR;
        page += seg[i].first_sect * 512;
        if (op == BLKIF_OP_READ)
            memcpy(page, disk, sectors * 512u);
        else
            memcpy(disk, page, sectors * 512u);
        if (be->opt.sin == SIN_KEEP_MAPPED)
            fake_grant_hold(seg[i].gref);
        sector += sectors;
    }
    return BLKIF_RSP_OKAY;
}

static int indirect(struct fake_backend *be, const struct blkif_request_indirect *req)
{
    static struct blkif_request_segment seg[4096];
    unsigned n = req->nr_segments;

    be->indirect++;
    if (n > be->opt.max_indirect || req->handle != FAKE_DEVID ||
        (req->indirect_op != BLKIF_OP_READ && req->indirect_op != BLKIF_OP_WRITE)) {
        be->complaints++;
        return BLKIF_RSP_ERROR;
    }
    if (n > 512)
        be->multi_page++;
    for (unsigned i = 0; i < (n + 511) / 512; i++) {
        void *page = fake_grant_page(req->indirect_grefs[i], be->persistent);

        if (page == NULL) {
            be->complaints++;
            return BLKIF_RSP_ERROR;
        }
        memcpy(&seg[i * 512], page, 4096);
    }
    return move(be, req->indirect_op, req->sector_number, seg, n);
}

static int discard(struct fake_backend *be, const struct blkif_request_discard *req)
{
    be->discards++;
    if (be->opt.no_flush)
        return BLKIF_RSP_EOPNOTSUPP;
    if (req->flag & BLKIF_DISCARD_SECURE)
        be->secure++;
    if (req->sector_number > be->opt.sectors ||
        req->nr_sectors > be->opt.sectors - req->sector_number)
        return BLKIF_RSP_ERROR;
    memset(be->disk + req->sector_number * 512, 0, req->nr_sectors * 512);
    return BLKIF_RSP_OKAY;
}

static int execute(struct fake_backend *be, const struct blkif_request *req)
{
    be->requests++;
    switch (req->operation) {
    case BLKIF_OP_INDIRECT:
        return indirect(be, (const struct blkif_request_indirect *)req);
    case BLKIF_OP_DISCARD:
        return discard(be, (const struct blkif_request_discard *)req);
    case BLKIF_OP_FLUSH_DISKCACHE:
        be->flushes++;
        if (be->opt.no_flush)
            return BLKIF_RSP_EOPNOTSUPP;
        break;
    case BLKIF_OP_WRITE_BARRIER:
        be->barriers++;
        if (be->opt.no_flush)
            return BLKIF_RSP_EOPNOTSUPP;
        break;
    default:
        if (req->nr_segments == 0)
            be->complaints++;
    }
    if (req->handle != FAKE_DEVID || req->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
        be->complaints++;
        return BLKIF_RSP_ERROR;
    }
    return move(be, req->operation, req->sector_number, req->seg, req->nr_segments);
}

static void answer(struct fake_backend *be, struct blkif_back_ring *ring, uint64_t id, uint8_t op,
                   int status)
{
    struct blkif_response *rsp = RING_GET_RESPONSE(ring, ring->rsp_prod_pvt);

    ring->rsp_prod_pvt++;
    rsp->id = be->opt.sin == SIN_WRONG_ID        ? id + (1ull << 32)
              : be->opt.sin == SIN_ID_NEVER_USED ? 0xffffffffffull
                                                 : id;
    rsp->operation = be->opt.sin == SIN_WRONG_OPERATION ? op ^ 1 : op;
    rsp->status = be->opt.sin == SIN_UNKNOWN_STATUS ? -77 : (int16_t)status;
}

struct done {
    uint64_t id;
    uint8_t op;
    int status;
};

/* Takes what there is, answers it, publishes once. */
static unsigned pass(struct fake_backend *be, struct blkif_back_ring *ring, unsigned index)
{
    static struct done done[4096];
    struct blkif_request req;
    RING_IDX prod = ring->sring->req_prod;
    unsigned n = 0;
    int notify;

#ifdef FAKE_TSAN
    serving = &ring->sring->req_prod;
#endif
    xen_rmb();
    if (RING_REQUEST_PROD_OVERFLOW(ring, prod))
        abort();
    if (be->requests == 0)
        be->lowest_prod = prod;
    while (ring->req_cons != prod) {
        RING_COPY_REQUEST(ring, ring->req_cons, &req);
        ring->req_cons++;
        done[n].id = req.id;
        done[n].op = req.operation == BLKIF_OP_INDIRECT
                         ? ((struct blkif_request_indirect *)&req)->indirect_op
                         : req.operation;
        done[n++].status = execute(be, &req);
    }
    if (be->opt.sin == SIN_NEVER_ANSWER || n == 0)
        return n;
    for (unsigned i = 0; i < n; i++) {
        const struct done *d = &done[be->opt.reverse              ? n - 1 - i
                                     : be->opt.sin == SIN_SAME_ID ? 0
                                                                  : i];

        answer(be, ring, d->id, d->op, d->status);
        if (be->opt.sin == SIN_ANSWER_TWICE)
            answer(be, ring, d->id, d->op, d->status);
    }
    if (be->opt.sin == SIN_TOO_MANY_RESPONSES)
        ring->rsp_prod_pvt += 5;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(ring, notify);
    if (notify) {
        be->events++;
        fake_port_notify(be->port[index]);
    }
    return n;
}

void NAME(fake_serve)(struct fake_backend *be, unsigned index)
{
    struct blkif_back_ring *ring = be->ring[index];
    int more;

    do {
        pass(be, ring, index);
        RING_FINAL_CHECK_FOR_REQUESTS(ring, more);
        if (be->opt.sin == SIN_NEVER_ANSWER || be->opt.sin >= SIN_ANSWER_TWICE)
            more = more && ring->rsp_prod_pvt == ring->req_cons;
    } while (more);
}
