/* SPDX-License-Identifier: MIT
 *
 * The rig's hypervisor: grants and event channels of the guest in this process. Threads: one.
 */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "rig.h"

__typeof__(clock_gettime) __real_clock_gettime, __wrap_clock_gettime;

/* Time is the guest's to pass. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, ts);
    *ts = (struct timespec){(time_t)(rig.now_ms / 1000), (long)(rig.now_ms % 1000) * 1000000};
    return 0;
}

void rig_call(void)
{
    rig.progress++;
    if (rig.strike_in && --rig.strike_in == 0) {
        rig.struck = true;
        rig.strike();
    }
}

static bool usable(uint32_t gref, bool write)
{
    return gref < RIG_PAGES &&
           (rig.grant[gref] == GRANT_RW || (rig.grant[gref] == GRANT_RO && !write));
}

static void gnttab_close(struct hv_gnttab *gt)
{
    CHECK(rig.handles-- > 0);
    free(gt);
}

static int gnttab_map(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr)
{
    (void)gt;
    rig_call();
    CHECK(n >= 1 && n <= RIG_RING_PAGES);
    if (rig.fail_map)
        return rig.fail_map;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(refs[i] == refs[0] + i); /* only rings map several pages, and theirs are in a row */
        if (!usable(refs[i], prot & PROT_WRITE))
            return -EINVAL;
    }
    for (uint32_t i = 0; i < n; i++)
        rig.mapped[refs[i]]++;
    *addr = rig.memory + (size_t)refs[0] * HV_PAGE;
    return 0;
}

static int gnttab_unmap(struct hv_gnttab *gt, void *addr, uint32_t n)
{
    size_t at = (size_t)((unsigned char *)addr - rig.memory);

    (void)gt;
    rig_call();
    if (sabotaged("unmap"))
        return 0;
    CHECK(at % HV_PAGE == 0 && at / HV_PAGE + n <= RIG_PAGES);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(rig.mapped[at / HV_PAGE + i] > 0);
        rig.mapped[at / HV_PAGE + i]--;
        unsigned busy = rig.direct[0][at / HV_PAGE + i] + rig.direct[1][at / HV_PAGE + i];
        CHECK(rig.mapped[at / HV_PAGE + i] >= busy); /* else an I/O still goes there */
    }
    return 0;
}

static void copy_one(struct hv_copy *op)
{
    size_t at = (size_t)op->ref * HV_PAGE + op->offset;

    if (op->to_guest) {
        memcpy(rig.memory + at, op->local, op->len);
        memcpy(rig.shadow + at, op->local, op->len);
        guest_changed(at, op->len);
    } else {
        memcpy(op->local, rig.memory + at, op->len);
    }
}

static int gnttab_copy(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n)
{
    int err = rig.fail_copy;

    (void)gt;
    rig_call();
    CHECK(n >= 1);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(ops[i].offset + ops[i].len <= HV_PAGE && ops[i].len > 0);
        bool good = !err && usable(ops[i].ref, ops[i].to_guest);
        judge_copy(&ops[i], !good);
        if (good)
            copy_one(&ops[i]);
        /* A call that fails may leave any status. */
        ops[i].status = good || err ? 0 : -3;
    }
    return err;
}

static const struct hv_gnttab_ops gnttab_ops = {gnttab_close, gnttab_map, gnttab_unmap,
                                                gnttab_copy};

static int gnttab_open(struct hv *hv, uint32_t peer, uint32_t max, struct hv_gnttab **out)
{
    CHECK(hv == &rig.hv && peer == RIG_DOMID && max > 0);
    struct hv_gnttab *gt = calloc(1, sizeof(*gt));
    gt->ops = &gnttab_ops;
    rig.handles++;
    *out = gt;
    return 0;
}

static struct rig_ring *ring_of(struct hv_evtchn *ev)
{
    return (struct rig_ring *)((char *)ev - offsetof(struct rig_ring, evtchn));
}

static void evtchn_close(struct hv_evtchn *ev)
{
    CHECK(ring_of(ev)->bound);
    ring_of(ev)->bound = false;
}

static int evtchn_pending(struct hv_evtchn *ev)
{
    struct rig_ring *rr = ring_of(ev);
    bool was = rr->pending && !rr->masked;

    rig_call();
    if (was) {
        rr->pending = false;
        rr->masked = true;
    }
    return was;
}

static int evtchn_unmask(struct hv_evtchn *ev)
{
    rig_call();
    CHECK(ring_of(ev)->masked);
    ring_of(ev)->masked = false;
    return 0;
}

static int evtchn_notify(struct hv_evtchn *ev)
{
    struct rig_ring *rr = ring_of(ev);

    rig_call();
    /* A frontend kills its disk when it is notified of nothing. */
    CHECK(++rr->notifies <= rr->wanted);
    return 0;
}

static const struct hv_evtchn_ops evtchn_ops = {evtchn_close, evtchn_pending, evtchn_unmask,
                                                evtchn_notify};

static int evtchn_bind(struct hv *hv, uint32_t peer, uint32_t port, struct hv_evtchn **out)
{
    struct rig_ring *rr = &rig.rings[port - RIG_PORT];

    CHECK(hv == &rig.hv && peer == RIG_DOMID && port - RIG_PORT < rig.nr_rings && !rr->bound);
    if (rig.fail_bind)
        return rig.fail_bind;
    rr->evtchn.ops = &evtchn_ops;
    rr->evtchn.fd = -1;
    rr->bound = rr->pending = true; /* binding raises the port once */
    rr->masked = false;
    *out = &rr->evtchn;
    return 0;
}

const struct hv_ops rig_hv_ops = {
    .name = "rig", .gnttab_open = gnttab_open, .evtchn_bind = evtchn_bind};
