/* SPDX-License-Identifier: MIT
 *
 * Pages of this domain granted to another, over /dev/xen/gntalloc.
 *
 * Not as hv.h says in one point: gntalloc takes a page back at once whatever the peer does, keeps
 * it aside in the kernel while the peer has it mapped, and tells nobody; so -EBUSY never comes.
 *
 * Threads: one for each handle.
 */
#include "hv/xen/xen.h"

#include <limits.h>
#include <stdlib.h>
#include <xengnttab.h>

struct area {
    struct area *next;
    void *addr;
    uint32_t pages;
};

struct xen_share {
    struct hv_share base;
    xengntshr_handle *handle;
    struct area *areas; /* what is shared now */
};

static struct xen_share *of(struct hv_share *sh)
{
    return (struct xen_share *)sh;
}

static int share_pages(struct hv_share *sh, uint32_t peer, uint32_t n, bool writable,
                       uint32_t *refs, void **addr)
{
    if (n == 0 || n > INT_MAX / HV_PAGE)
        return -EINVAL;
    struct area *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->addr = xengntshr_share_pages(of(sh)->handle, peer, (int)n, refs, writable);
    if (!a->addr) {
        int r = -errno;
        free(a);
        return r;
    }
    a->pages = n;
    a->next = of(sh)->areas;
    of(sh)->areas = a;
    *addr = a->addr;
    return 0;
}

static int share_end(struct hv_share *sh, void *addr, uint32_t n)
{
    for (struct area **p = &of(sh)->areas; *p; p = &(*p)->next) {
        struct area *a = *p;
        if (a->addr != addr || a->pages != n)
            continue;
        if (xengntshr_unshare(of(sh)->handle, addr, n) < 0)
            return -errno;
        *p = a->next;
        free(a);
        return 0;
    }
    return -EINVAL;
}

static void share_close(struct hv_share *sh)
{
    struct xen_share *xs = of(sh);
    while (xs->areas) {
        struct area *a = xs->areas;
        xengntshr_unshare(xs->handle, a->addr, a->pages);
        xs->areas = a->next;
        free(a);
    }
    xengntshr_close(xs->handle);
    free(xs);
}

static const struct hv_share_ops share_ops = {
    .close = share_close,
    .pages = share_pages,
    .end = share_end,
};

int xen_share_open(struct hv *hv, struct hv_share **out)
{
    struct xen_share *xs = calloc(1, sizeof(*xs));
    if (!xs)
        return -ENOMEM;
    xs->base.ops = &share_ops;
    xs->handle = xengntshr_open(&xen_quiet_logger, 0);
    if (!xs->handle) {
        int r = -errno;
        free(xs);
        return r;
    }
    *out = &xs->base;
    return 0;
}
