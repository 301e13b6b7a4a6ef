/* SPDX-License-Identifier: MIT
 *
 * See guest.h.
 */
#include "guest.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"

#define DOMID 7u
#define PORT  3u

struct gnttab {
    struct hv_gnttab base;
    struct guest *g;
};

struct evtchn {
    struct hv_evtchn base;
    struct guest *g;
};

/* ---- the hypervisor's tables */

static bool usable(const struct guest *g, uint32_t gref, bool write)
{
    if (gref >= GUEST_PAGES)
        return false;
    return g->grant[gref] == GRANT_RW || (g->grant[gref] == GRANT_RO && !write);
}

static void gnttab_close(struct hv_gnttab *gt)
{
    free(gt);
}

static int gnttab_map(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr)
{
    struct guest *g = ((struct gnttab *)gt)->g;
    int err = 0;

    pthread_mutex_lock(&g->lock);
    g->map_calls++;
    for (uint32_t i = 0; i < n && !err; i++)
        if (!usable(g, refs[i], prot & PROT_WRITE) || refs[i] != refs[0] + i)
            err = -EINVAL;
    if (g->fail_map)
        err = g->fail_map;
    for (uint32_t i = 0; i < n && !err; i++)
        g->mapped[refs[i]]++;
    g->maps += err ? 0 : n;
    pthread_mutex_unlock(&g->lock);
    if (!err)
        *addr = guest_page(g, refs[0]);
    return err;
}

static int gnttab_unmap(struct hv_gnttab *gt, void *addr, uint32_t n)
{
    struct guest *g = ((struct gnttab *)gt)->g;

    size_t first = (size_t)((unsigned char *)addr - g->memory) / 4096;

    pthread_mutex_lock(&g->lock);
    g->maps -= n;
    for (uint32_t i = 0; i < n; i++)
        g->mapped[first + i]--;
    pthread_mutex_unlock(&g->lock);
    return 0;
}

static int gnttab_copy(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n)
{
    struct guest *g = ((struct gnttab *)gt)->g;

    pthread_mutex_lock(&g->lock);
    g->copy_calls++;
    int err = g->fail_copy;
    pthread_mutex_unlock(&g->lock);
    for (uint32_t i = 0; i < n; i++) {
        ops[i].status =
            err ? 0 : -3; /* a call that fails may leave any status: say okay on purpose */
        if (err || !usable(g, ops[i].ref, ops[i].to_guest) || ops[i].offset + ops[i].len > 4096)
            continue;
        unsigned char *page = guest_page(g, ops[i].ref) + ops[i].offset;
        if (ops[i].to_guest)
            memcpy(page, ops[i].local, ops[i].len);
        else
            memcpy(ops[i].local, page, ops[i].len);
        ops[i].status = 0;
    }
    return err;
}

static const struct hv_gnttab_ops gnttab_ops = {gnttab_close, gnttab_map, gnttab_unmap,
                                                gnttab_copy};

static int gnttab_open(struct hv *hv, uint32_t peer, uint32_t max, struct hv_gnttab **out)
{
    struct gnttab *gt = calloc(1, sizeof(*gt));

    (void)max;
    assert_int_equal(peer, DOMID);
    gt->base.ops = &gnttab_ops;
    gt->base.pins_slowly = ((struct guest *)hv)->pins_slowly;
    gt->g = (struct guest *)hv;
    *out = &gt->base;
    return 0;
}

static void kick(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

static bool drain(int fd)
{
    uint64_t n;

    return read(fd, &n, sizeof(n)) == sizeof(n);
}

static void evtchn_close(struct hv_evtchn *ev)
{
    ((struct evtchn *)ev)->g->bound = false;
    free(ev);
}

static int evtchn_pending(struct hv_evtchn *ev)
{
    struct guest *g = ((struct evtchn *)ev)->g;

    pthread_mutex_lock(&g->lock);
    drain(g->to_backend);
    int was = g->pending && !g->masked;
    if (was) {
        g->pending = false;
        g->masked = true;
    }
    pthread_mutex_unlock(&g->lock);
    return was;
}

static int evtchn_unmask(struct hv_evtchn *ev)
{
    struct guest *g = ((struct evtchn *)ev)->g;

    pthread_mutex_lock(&g->lock);
    g->masked = false;
    if (g->pending)
        kick(g->to_backend);
    pthread_mutex_unlock(&g->lock);
    return 0;
}

static int evtchn_notify(struct hv_evtchn *ev)
{
    struct guest *g = ((struct evtchn *)ev)->g;

    pthread_mutex_lock(&g->lock);
    g->notifies++;
    pthread_mutex_unlock(&g->lock);
    kick(g->to_guest);
    return 0;
}

static const struct hv_evtchn_ops evtchn_ops = {evtchn_close, evtchn_pending, evtchn_unmask,
                                                evtchn_notify};

static int evtchn_bind(struct hv *hv, uint32_t peer, uint32_t port, struct hv_evtchn **out)
{
    struct guest *g = (struct guest *)hv;

    if (peer != DOMID || port != PORT)
        return -EINVAL;
    struct evtchn *ev = calloc(1, sizeof(*ev));
    ev->base.ops = &evtchn_ops;
    ev->base.fd = g->to_backend;
    ev->g = g;
    g->bound = true;
    g->masked = false;
    *out = &ev->base;
    guest_notify(g);
    return 0;
}

static const struct hv_ops guest_hv_ops = {
    .name = "guest", .gnttab_open = gnttab_open, .evtchn_bind = evtchn_bind};

/* ---- the guest */

static struct blkif_sring *sring(struct guest *g)
{
    return (struct blkif_sring *)guest_page(g, GUEST_RING_REF);
}

struct guest *guest_new(struct store *store, enum blkif_abi abi, uint32_t index)
{
    struct guest *g = calloc(1, sizeof(*g) + 64);

    g->hv.ops = &guest_hv_ops;
    g->memory = aligned_alloc(4096, GUEST_PAGES * 4096);
    memset(g->memory, 0, GUEST_PAGES * 4096);
    for (unsigned i = GUEST_DATA_REF; i < GUEST_PAGES; i++)
        g->grant[i] = GRANT_RW;
    for (unsigned i = 0; i < 16; i++)
        g->grant[GUEST_RING_REF + i] = GRANT_RW;
    pthread_mutex_init(&g->lock, NULL);
    g->to_backend = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g->to_guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g->abi = abi;
    g->store = store;
    g->req_prod = g->rsp_cons = index;
    struct blkif_sring *s = sring(g);
    s->req_prod = s->rsp_prod = index;
    s->req_event = s->rsp_event = index + 1;
    return g;
}

void guest_connect(struct guest *g, bool persistent, void (*edit)(struct ring_config *c))
{
    struct ring_config c = {
        .thread_name = "7.test-0",
        .domid = DOMID,
        .hv = &g->hv,
        .port = PORT,
        .nr_refs = 1,
        .refs = {GUEST_RING_REF},
        .abi = g->abi,
        .persistent = persistent,
        .persistent_max = 128,
        .limits = {.nr_sectors = g->store->size_bytes / 512,
                   .block_sectors = 1,
                   .can_flush = true,
                   .can_barrier = true,
                   .can_discard = true},
        .engine = (struct engine *)g->store,
        .stats = &g->stats,
        .event_fd = g->event_fd,
    };
    struct errmsg err = {""};

    if (!g->gate)
        assert_int_equal(ring_gate_create(1, &g->gate), 0);
    c.gate = g->gate;
    if (edit)
        edit(&c);
    if (ring_start(&c, &g->ring, &err))
        fail_msg("ring_start: %s", err.text);
}

void guest_disconnect(struct guest *g)
{
    ring_stop(g->ring);
    ring_destroy(g->ring);
    g->ring = NULL;
    assert_int_equal(g->maps, 0);
    assert_false(g->bound);
}

void guest_free(struct guest *g)
{
    if (g->ring)
        guest_disconnect(g);
    ring_gate_destroy(g->gate);
    close(g->to_backend);
    close(g->to_guest);
    close(g->event_fd);
    free(g->memory);
    free(g);
}

unsigned char *guest_page(struct guest *g, uint32_t gref)
{
    return g->memory + (size_t)gref * 4096;
}

struct blkif_segment guest_seg(uint32_t gref, unsigned first, unsigned last)
{
    return (struct blkif_segment){gref, (uint8_t)first, (uint8_t)last, 0};
}

static unsigned char *next_slot(struct guest *g)
{
    size_t bytes = g->abi == BLKIF_ABI_X86_32 ? BLKIF_SLOT_BYTES_X86_32 : BLKIF_SLOT_BYTES_X86_64;

    return (unsigned char *)sring(g) + 64 + (g->req_prod++ & 31) * bytes;
}

void guest_rw(struct guest *g, unsigned op, uint64_t id, uint64_t sector,
              const struct blkif_segment *seg, unsigned n)
{
    size_t copy = (n > BLKIF_SEGS_PER_REQUEST ? BLKIF_SEGS_PER_REQUEST : n) * sizeof(*seg);

    if (g->abi == BLKIF_ABI_X86_32) {
        struct blkif_rw_x86_32 r = {
            .operation = (uint8_t)op, .nr_segments = (uint8_t)n, .id = id, .sector_number = sector};
        if (n && seg)
            memcpy(r.seg, seg, copy);
        memcpy(next_slot(g), &r, sizeof(r));
    } else {
        struct blkif_rw_x86_64 r = {
            .operation = (uint8_t)op, .nr_segments = (uint8_t)n, .id = id, .sector_number = sector};
        if (n && seg)
            memcpy(r.seg, seg, copy);
        memcpy(next_slot(g), &r, sizeof(r));
    }
}

void guest_discard(struct guest *g, uint64_t id, uint64_t sector, uint64_t nr, unsigned flag)
{
    struct blkif_discard_x86_64 r = {.operation = BLKIF_OP_DISCARD,
                                     .flag = (uint8_t)flag,
                                     .id = id,
                                     .sector_number = sector,
                                     .nr_sectors = nr};

    memcpy(next_slot(g), &r, sizeof(r));
}

void guest_indirect(struct guest *g, unsigned inner, uint64_t id, uint64_t sector, uint32_t gref,
                    const struct blkif_segment *seg, unsigned n)
{
    if (seg && gref < GUEST_PAGES)
        memcpy(guest_page(g, gref), seg, (n < 512 ? n : 512) * sizeof(*seg));
    if (g->abi == BLKIF_ABI_X86_32) {
        struct blkif_indirect_x86_32 r = {.operation = BLKIF_OP_INDIRECT,
                                          .indirect_op = (uint8_t)inner,
                                          .nr_segments = (uint16_t)n,
                                          .id = id,
                                          .sector_number = sector,
                                          .indirect_grefs = {gref}};
        memcpy(next_slot(g), &r, sizeof(r));
    } else {
        struct blkif_indirect_x86_64 r = {.operation = BLKIF_OP_INDIRECT,
                                          .indirect_op = (uint8_t)inner,
                                          .nr_segments = (uint16_t)n,
                                          .id = id,
                                          .sector_number = sector,
                                          .indirect_grefs = {gref}};
        memcpy(next_slot(g), &r, sizeof(r));
    }
}

void guest_notify(struct guest *g)
{
    pthread_mutex_lock(&g->lock);
    bool raise = !g->pending && !g->masked;
    g->pending = true;
    if (raise)
        kick(g->to_backend);
    pthread_mutex_unlock(&g->lock);
}

void guest_push(struct guest *g)
{
    uint32_t old = sring(g)->req_prod;

    store_release(&sring(g)->req_prod, g->req_prod);
    full_barrier(); /* our store to req_prod before our load of req_event */
    if (g->req_prod - READ_ONCE(sring(g)->req_event) < g->req_prod - old)
        guest_notify(g);
}

static bool response_there(struct guest *g)
{
    return load_acquire(&sring(g)->rsp_prod) != g->rsp_cons;
}

struct blkif_response guest_response(struct guest *g)
{
    struct blkif_response rsp;

    while (!response_there(g)) {
        WRITE_ONCE(sring(g)->rsp_event, g->rsp_cons + 1);
        full_barrier(); /* our store to rsp_event before our load of rsp_prod */
        if (response_there(g))
            break;
        struct pollfd p = {.fd = g->to_guest, .events = POLLIN};
        if (poll(&p, 1, 10000) != 1)
            fail_msg("no response within 10 s");
        drain(g->to_guest);
    }
    size_t bytes = g->abi == BLKIF_ABI_X86_32 ? BLKIF_SLOT_BYTES_X86_32 : BLKIF_SLOT_BYTES_X86_64;
    memcpy(&rsp, (unsigned char *)sring(g) + 64 + (g->rsp_cons++ & 31) * bytes, sizeof(rsp));
    return rsp;
}

int guest_do_rw(struct guest *g, unsigned op, uint64_t sector, const struct blkif_segment *seg,
                unsigned n)
{
    uint64_t id = 0x1122334455667700u + g->req_prod;

    guest_rw(g, op, id, sector, seg, n);
    guest_push(g);
    struct blkif_response rsp = guest_response(g);
    assert_true(rsp.id == id);
    assert_int_equal(rsp.operation, op);
    return rsp.status;
}
