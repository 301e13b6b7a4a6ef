/* SPDX-License-Identifier: MIT
 *
 * Grants of another domain over /dev/xen/gntdev.
 *
 * A mapping outlives the descriptor it was made with, so every mapping is remembered
 * (open-addressed table by address) and undone at close; one that stays would keep a dead guest as
 * a zombie.
 *
 * gntdev answers -EINVAL for each map that Xen refused, whatever the reason. libxengnttab waits and
 * tries again, up to half a minute, while a granted page is paged out.
 *
 * Threads: one for each handle.
 */
#include "hv/xen/xen.h"

#include <stdlib.h>
#include <xengnttab.h>

#define COPY_BATCH     128u       /* segments in one ioctl; the kernel takes any number */
#define MAX_GRANTS_CAP (1u << 24) /* keeps the arithmetic below in 32 bits */

struct mapping {
    void *addr; /* NULL: free slot */
    uint32_t pages;
};

struct xen_gnttab {
    struct hv_gnttab base;
    xengnttab_handle *handle;
    uint32_t peer;
    uint32_t max_grants;
    uint32_t mapped; /* pages */
    uint32_t mask;   /* slots - 1 */
    struct mapping *table;
    xengnttab_grant_copy_segment_t batch[COPY_BATCH];
};

static struct xen_gnttab *of(struct hv_gnttab *gt)
{
    return (struct xen_gnttab *)gt;
}

static uint32_t slot_of(const struct xen_gnttab *x, const void *addr)
{
    uint64_t page = (uintptr_t)addr / HV_PAGE;
    return (uint32_t)((page * 0x9e3779b97f4a7c15u) >> 32) & x->mask;
}

/* The table has twice as many slots as mappings can exist, so there is always a free one. */
static struct mapping *find(struct xen_gnttab *x, const void *addr)
{
    uint32_t i = slot_of(x, addr);
    while (x->table[i].addr && x->table[i].addr != addr)
        i = (i + 1) & x->mask;
    return &x->table[i];
}

/* Empties a slot and moves back those behind it that would no longer be found. */
static void forget(struct xen_gnttab *x, struct mapping *m)
{
    uint32_t hole = (uint32_t)(m - x->table);
    for (uint32_t i = (hole + 1) & x->mask; x->table[i].addr; i = (i + 1) & x->mask) {
        uint32_t home = slot_of(x, x->table[i].addr);
        if (((i - home) & x->mask) >= ((i - hole) & x->mask)) {
            x->table[hole] = x->table[i];
            hole = i;
        }
    }
    x->table[hole].addr = NULL;
}

static int gnttab_map(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr)
{
    struct xen_gnttab *x = of(gt);
    if (n == 0)
        return -EINVAL;
    if (n > x->max_grants - x->mapped)
        return -ENOSPC;
    /* The library's prototype lacks the const; it only reads them. */
    void *p =
        xengnttab_map_domain_grant_refs(x->handle, n, x->peer, (uint32_t *)(uintptr_t)refs, prot);
    if (!p)
        return errno ? -errno : -EINVAL;
    *find(x, p) = (struct mapping){.addr = p, .pages = n};
    x->mapped += n;
    *addr = p;
    return 0;
}

static int gnttab_unmap(struct hv_gnttab *gt, void *addr, uint32_t n)
{
    struct xen_gnttab *x = of(gt);
    struct mapping *m = find(x, addr);
    if (!addr || !m->addr || m->pages != n)
        return -EINVAL;
    if (xengnttab_unmap(x->handle, addr, n) < 0)
        return -errno;
    x->mapped -= n;
    forget(x, m);
    return 0;
}

static xengnttab_grant_copy_segment_t segment(const struct xen_gnttab *x, const struct hv_copy *op)
{
    xengnttab_grant_copy_segment_t s = {.len = op->len};
    union xengnttab_copy_ptr *local = op->to_guest ? &s.source : &s.dest;
    union xengnttab_copy_ptr *foreign = op->to_guest ? &s.dest : &s.source;
    local->virt = op->local;
    foreign->foreign.ref = op->ref;
    foreign->foreign.offset = op->offset;
    foreign->foreign.domid = (uint16_t)x->peer;
    s.flags = op->to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    /* An entry that the kernel never reached must not read as done. */
    s.status = GNTST_general_error;
    return s;
}

static int gnttab_copy(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n)
{
    struct xen_gnttab *x = of(gt);
    for (uint32_t done = 0; done < n;) {
        uint32_t k = n - done < COPY_BATCH ? n - done : COPY_BATCH;
        for (uint32_t i = 0; i < k; i++)
            x->batch[i] = segment(x, &ops[done + i]);
        if (xengnttab_grant_copy(x->handle, k, x->batch) < 0)
            return -errno;
        for (uint32_t i = 0; i < k; i++)
            ops[done + i].status = x->batch[i].status;
        done += k;
    }
    return 0;
}

static void gnttab_close(struct hv_gnttab *gt)
{
    struct xen_gnttab *x = of(gt);
    for (uint32_t i = 0; x->mapped && i <= x->mask; i++) {
        struct mapping *m = &x->table[i];
        if (m->addr)
            xengnttab_unmap(x->handle, m->addr, m->pages);
    }
    xengnttab_close(x->handle);
    free(x->table);
    free(x);
}

static const struct hv_gnttab_ops gnttab_ops = {
    .close = gnttab_close,
    .map = gnttab_map,
    .unmap = gnttab_unmap,
    .copy = gnttab_copy,
};

int xen_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out)
{
    if (max_grants > MAX_GRANTS_CAP)
        return -EINVAL;
    struct xen_gnttab *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    uint32_t slots = 8;
    while (slots < 2 * max_grants)
        slots *= 2;
    x->base.ops = &gnttab_ops;
    x->base.pins_slowly = hv->pins_slowly;
    x->peer = peer;
    x->max_grants = max_grants;
    x->mask = slots - 1;
    x->table = calloc(slots, sizeof(*x->table));
    x->handle = x->table ? xengnttab_open(&xen_quiet_logger, 0) : NULL;
    if (!x->handle) {
        int r = x->table ? -errno : -ENOMEM;
        free(x->table);
        free(x);
        return r;
    }
    *out = &x->base;
    return 0;
}
