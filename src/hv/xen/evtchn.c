/* SPDX-License-Identifier: MIT
 *
 * Event channels over /dev/xen/evtchn: one descriptor for each port, so that a thread polls its own
 * port only, and the descriptor can be restricted to the one peer.
 *
 * The driver masks a port when its event is read and unmasks it when the port number is written
 * back; that write is also the late EOI.
 *
 * Threads: one for each handle.
 */
#include "hv/xen/xen.h"

#include <fcntl.h>
#include <stdlib.h>
#include <xenevtchn.h>

struct xen_evtchn {
    struct hv_evtchn base;
    xenevtchn_handle *handle;
    evtchn_port_t port;
};

static struct xen_evtchn *of(struct hv_evtchn *ev)
{
    return (struct xen_evtchn *)ev;
}

/* Closing the descriptor unbinds its port. */
static void evtchn_close(struct hv_evtchn *ev)
{
    xenevtchn_close(of(ev)->handle);
    free(ev);
}

static int evtchn_pending(struct hv_evtchn *ev)
{
    /* The descriptor is O_NONBLOCK: without an event this fails with EAGAIN. */
    xenevtchn_port_or_error_t port = xenevtchn_pending(of(ev)->handle);
    if (port < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return 1;
}

static int evtchn_unmask(struct hv_evtchn *ev)
{
    return xenevtchn_unmask(of(ev)->handle, of(ev)->port) < 0 ? -errno : 0;
}

static int evtchn_notify(struct hv_evtchn *ev)
{
    return xenevtchn_notify(of(ev)->handle, of(ev)->port) < 0 ? -errno : 0;
}

static const struct hv_evtchn_ops evtchn_ops = {
    .close = evtchn_close,
    .pending = evtchn_pending,
    .unmask = evtchn_unmask,
    .notify = evtchn_notify,
};

static int set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* A handle without a port yet, which can reach no domain but the peer. */
static int open_restricted(uint32_t peer, struct xen_evtchn **out)
{
    struct xen_evtchn *ev = calloc(1, sizeof(*ev));
    if (!ev)
        return -ENOMEM;
    ev->base.ops = &evtchn_ops;
    ev->handle = xenevtchn_open(&xen_quiet_logger, 0);
    if (!ev->handle) {
        int r = -errno;
        free(ev);
        return r;
    }
    ev->base.fd = xenevtchn_fd(ev->handle);
    int r = set_nonblock(ev->base.fd);
    if (r == 0 && xenevtchn_restrict(ev->handle, (domid_t)peer) < 0)
        r = -errno;
    if (r < 0) {
        evtchn_close(&ev->base);
        return r;
    }
    *out = ev;
    return 0;
}

static int finish(struct xen_evtchn *ev, xenevtchn_port_or_error_t port, struct hv_evtchn **out)
{
    if (port < 0) {
        int r = -errno;
        evtchn_close(&ev->base);
        return r;
    }
    ev->port = (evtchn_port_t)port;
    *out = &ev->base;
    return 0;
}

int xen_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t remote_port, struct hv_evtchn **out)
{
    struct xen_evtchn *ev;
    int r = open_restricted(peer, &ev);
    if (r < 0)
        return r;
    return finish(ev, xenevtchn_bind_interdomain(ev->handle, peer, remote_port), out);
}

int xen_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port)
{
    struct xen_evtchn *ev;
    int r = open_restricted(peer, &ev);
    if (r < 0)
        return r;
    r = finish(ev, xenevtchn_bind_unbound_port(ev->handle, peer), out);
    if (r == 0)
        *port = ev->port;
    return r;
}
