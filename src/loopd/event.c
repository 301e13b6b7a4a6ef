/* SPDX-License-Identifier: MIT
 *
 * Event channels. A channel has two ends; each end has its eventfd from the start, so that it
 * survives whoever binds to it. Closing one end leaves the other unbound: the same domain may bind
 * to it again, as on Xen.
 */
#include "loopd/server.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/log.h"

static struct loop_end *word_of(struct server *srv, uint32_t chan, uint32_t end)
{
    return &srv->shared->channel[chan].end[end];
}

static int port_new(struct server *srv, struct domain *dom, uint32_t chan, uint32_t end,
                    uint32_t *port)
{
    if (dom->nr_ports >= srv->limits[LOOP_LIMIT_PORTS])
        return -ENOSPC;
    for (uint32_t i = 0; i < LOOP_PORTS; i++) {
        uint32_t p = (dom->port_hint + i) % LOOP_PORTS;

        if (!p || dom->ports[p])
            continue;
        dom->ports[p] = chan * 2 + end + 1;
        dom->port_hint = p + 1;
        dom->nr_ports++;
        *port = p;
        return 0;
    }
    return -ENOSPC;
}

static void port_drop(struct domain *dom, uint32_t port)
{
    dom->ports[port] = 0;
    dom->nr_ports--;
}

static void chan_free(struct chan *ch)
{
    for (int i = 0; i < 2; i++)
        if (ch->end[i].fd >= 0)
            close(ch->end[i].fd);
    *ch = (struct chan){0};
}

static int chan_new(struct server *srv, uint32_t *out)
{
    for (uint32_t i = 0; i < LOOP_CHANNELS; i++) {
        uint32_t n = (srv->chan_hint + i) % LOOP_CHANNELS;
        struct chan *ch = &srv->chans[n];

        if (ch->used)
            continue;
        for (int e = 0; e < 2; e++)
            ch->end[e] = (struct chan_end){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        int err = ch->end[0].fd < 0 || ch->end[1].fd < 0 ? -errno : 0;
        if (err) {
            chan_free(ch);
            return err;
        }
        ch->used = true;
        srv->chan_hint = n + 1;
        *out = n;
        return 0;
    }
    return -ENOSPC;
}

static void answer(const struct chan *ch, uint32_t chan, uint32_t end, struct loop_ev_rsp *rsp,
                   int fds[2])
{
    rsp->channel = chan;
    rsp->end = end;
    rsp->port = ch->end[end].port;
    fds[0] = ch->end[end].fd;
    fds[1] = ch->end[1 - end].fd;
}

int event_alloc(struct hvconn *c, uint32_t peer, struct loop_ev_rsp *rsp, int fds[2])
{
    struct server *srv = c->srv;
    uint32_t n;

    if (!domain_find(srv, peer))
        return -ESRCH;
    int err = chan_new(srv, &n);
    if (err)
        return err;
    struct chan *ch = &srv->chans[n];
    err = port_new(srv, c->dom, n, 0, &ch->end[0].port);
    if (err) {
        chan_free(ch);
        return err;
    }
    ch->end[0].owner = c;
    ch->end[0].domid = c->dom->domid;
    ch->end[1].domid = peer;
    WRITE_ONCE(word_of(srv, n, 0)->word, 0);
    WRITE_ONCE(word_of(srv, n, 1)->word, 0);
    answer(ch, n, 0, rsp, fds);
    return 0;
}

/* A client may have made the descriptor blocking: nothing here may wait for it. */
static bool ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, 0) == 1 && (p.revents & events);
}

/* A fresh binding is pending once, whatever the last owner of this end left behind. */
static void make_pending(struct server *srv, uint32_t n, uint32_t end)
{
    int fd = srv->chans[n].end[end].fd;
    uint64_t count = 1;

    __atomic_store_n(&word_of(srv, n, end)->word, LOOP_EV_PENDING | LOOP_EV_CONNECTED,
                     __ATOMIC_SEQ_CST);
    /* Readable is all it has to be; how much it holds says nothing. */
    if (!ready(fd, POLLIN) && ready(fd, POLLOUT) && write(fd, &count, sizeof(count)) < 0)
        log_warn("cannot signal an event channel: %s", strerror(errno));
}

int event_bind(struct hvconn *c, uint32_t peer, uint32_t port, struct loop_ev_rsp *rsp, int fds[2])
{
    struct server *srv = c->srv;
    struct domain *dom = domain_find(srv, peer);

    if (!dom)
        return -ESRCH;
    if (port >= LOOP_PORTS || !dom->ports[port])
        return -EINVAL;
    uint32_t n = (dom->ports[port] - 1) / 2, end = 1 - (dom->ports[port] - 1) % 2;
    struct chan *ch = &srv->chans[n];
    if (ch->end[end].owner || ch->end[end].domid != c->dom->domid)
        return -EINVAL;
    int err = port_new(srv, c->dom, n, end, &ch->end[end].port);
    if (err)
        return err;
    ch->end[end].owner = c;
    make_pending(srv, n, end);
    __atomic_fetch_or(&word_of(srv, n, 1 - end)->word, LOOP_EV_CONNECTED, __ATOMIC_SEQ_CST);
    answer(ch, n, end, rsp, fds);
    return 0;
}

static void end_close(struct server *srv, uint32_t n, uint32_t end)
{
    struct chan *ch = &srv->chans[n];
    struct chan_end *own = &ch->end[end];

    port_drop(own->owner->dom, own->port);
    own->owner = NULL;
    own->port = 0;
    WRITE_ONCE(word_of(srv, n, end)->word, 0);
    __atomic_fetch_and(&word_of(srv, n, 1 - end)->word, ~LOOP_EV_CONNECTED, __ATOMIC_SEQ_CST);
    if (!ch->end[1 - end].owner)
        chan_free(ch);
}

int event_close(struct hvconn *c, uint32_t port)
{
    if (port >= LOOP_PORTS || !c->dom->ports[port])
        return -EINVAL;
    uint32_t n = (c->dom->ports[port] - 1) / 2, end = (c->dom->ports[port] - 1) % 2;
    if (c->srv->chans[n].end[end].owner != c)
        return -EINVAL;
    end_close(c->srv, n, end);
    return 0;
}

void event_conn_gone(struct hvconn *c)
{
    if (!c->dom)
        return;
    for (uint32_t p = 1; p < LOOP_PORTS && c->dom->nr_ports; p++)
        if (c->dom->ports[p])
            event_close(c, p); /* refuses those of other processes */
}
