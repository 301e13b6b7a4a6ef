/* SPDX-License-Identifier: MIT
 *
 * The seam's functions: they pick the implementation by the spec's first word and forward to its
 * tables. Threads: as hv.h says.
 */
#include "hv/hv.h"

#include <string.h>

#include "hv/impl.h"

static const struct hv_ops *const impls[] = {&hv_xen_ops, &hv_loop_ops};

int hv_open(const char *spec, struct hv **out, struct errmsg *err)
{
    size_t word = strcspn(spec, ":");

    *out = NULL;
    for (size_t i = 0; i < sizeof(impls) / sizeof(impls[0]); i++) {
        const struct hv_ops *ops = impls[i];

        if (strlen(ops->name) == word && strncmp(ops->name, spec, word) == 0)
            return ops->open(spec + word + (spec[word] == ':'), out, err);
    }
    return errmsg_set(err, -EINVAL,
                      "unknown hypervisor \"%.60s\": use xen, loop:DIR or loop:DIR:DOMID", spec);
}

void hv_close(struct hv *hv)
{
    if (hv)
        hv->ops->close(hv);
}

int hv_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out)
{
    return hv->ops->gnttab_open(hv, peer, max_grants, out);
}

bool hv_gnttab_pins_slowly(const struct hv_gnttab *gt)
{
    return gt->pins_slowly;
}

void hv_gnttab_close(struct hv_gnttab *gt)
{
    if (gt)
        gt->ops->close(gt);
}

int hv_gnttab_map(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr)
{
    return gt->ops->map(gt, refs, n, prot, addr);
}

int hv_gnttab_unmap(struct hv_gnttab *gt, void *addr, uint32_t n)
{
    return gt->ops->unmap(gt, addr, n);
}

int hv_gnttab_copy(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n)
{
    return gt->ops->copy(gt, ops, n);
}

int hv_share_open(struct hv *hv, struct hv_share **out)
{
    return hv->ops->share_open(hv, out);
}

void hv_share_close(struct hv_share *sh)
{
    if (sh)
        sh->ops->close(sh);
}

int hv_share_pages(struct hv_share *sh, uint32_t peer, uint32_t n, bool writable, uint32_t *refs,
                   void **addr)
{
    return sh->ops->pages(sh, peer, n, writable, refs, addr);
}

int hv_share_end(struct hv_share *sh, void *addr, uint32_t n)
{
    return sh->ops->end(sh, addr, n);
}

int hv_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t remote_port, struct hv_evtchn **out)
{
    return hv->ops->evtchn_bind(hv, peer, remote_port, out);
}

int hv_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port)
{
    return hv->ops->evtchn_alloc(hv, peer, out, port);
}

void hv_evtchn_close(struct hv_evtchn *ev)
{
    if (ev)
        ev->ops->close(ev);
}

int hv_evtchn_fd(const struct hv_evtchn *ev)
{
    return ev->fd;
}

int hv_evtchn_pending(struct hv_evtchn *ev)
{
    return ev->ops->pending(ev);
}

int hv_evtchn_unmask(struct hv_evtchn *ev)
{
    return ev->ops->unmask(ev);
}

int hv_evtchn_notify(struct hv_evtchn *ev)
{
    return ev->ops->notify(ev);
}
