/* SPDX-License-Identifier: MIT
 *
 * Event channels: two words in shared memory and an eventfd for each end. The server is asked only
 * to allocate, bind and close.
 *
 * Threads: the handle's; notify may be called from any thread.
 */
#include "hv/loop/client.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/barrier.h"

struct loop_evtchn {
    struct hv_evtchn base; /* base.fd: our eventfd */
    struct loop_hv *hv;
    struct loop_end *own, *other;
    int other_fd; /* the other end's eventfd */
    uint32_t port;
};

static struct loop_evtchn *of(struct hv_evtchn *ev)
{
    return (struct loop_evtchn *)ev;
}

/* A full counter (EAGAIN) is as readable as any other. */
static int kick(int fd)
{
    uint64_t one = 1;
    ssize_t r;

    do
        r = write(fd, &one, sizeof(one));
    while (r < 0 && errno == EINTR);
    return r < 0 && errno != EAGAIN ? -errno : 0;
}

static int evtchn_pending(struct hv_evtchn *base)
{
    struct loop_evtchn *ev = of(base);
    uint64_t count;

    /* Empty the descriptor before the look at the word: an event that comes in between makes it
     * readable again, never the other way round. */
    if (read(base->fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        return -errno;
    uint32_t word = READ_ONCE(ev->own->word);
    do {
        if ((word & (LOOP_EV_PENDING | LOOP_EV_MASKED)) != LOOP_EV_PENDING)
            return 0;
    } while (!__atomic_compare_exchange_n(&ev->own->word, &word,
                                          (word & ~LOOP_EV_PENDING) | LOOP_EV_MASKED, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return 1;
}

/* Sequentially consistent against the notifier: it either finds the mask gone and writes our
 * descriptor, or has set PENDING where we see it. */
static int evtchn_unmask(struct hv_evtchn *base)
{
    struct loop_evtchn *ev = of(base);
    uint32_t was = __atomic_fetch_and(&ev->own->word, ~LOOP_EV_MASKED, __ATOMIC_SEQ_CST);

    if ((was & LOOP_EV_MASKED) && (was & LOOP_EV_PENDING))
        return kick(base->fd);
    return 0;
}

static int evtchn_notify(struct hv_evtchn *base)
{
    struct loop_evtchn *ev = of(base);
    int err = loop_fail(ev->hv, LOOP_CALL_NOTIFY);

    if (err)
        return err;
    if (!(READ_ONCE(ev->other->word) & LOOP_EV_CONNECTED))
        return 0; /* nobody there: dropped, as Xen does */
    /* What was written to the ring before is visible to whoever sees PENDING. */
    uint32_t was = __atomic_fetch_or(&ev->other->word, LOOP_EV_PENDING, __ATOMIC_SEQ_CST);
    if (was & (LOOP_EV_PENDING | LOOP_EV_MASKED))
        return 0;
    return kick(ev->other_fd);
}

static void evtchn_close(struct hv_evtchn *base)
{
    struct loop_evtchn *ev = of(base);
    struct loop_ev_req req = {.port = ev->port};
    struct loop_head rsp;

    loop_rpc(ev->hv, LOOP_EV_CLOSE, &req, &rsp, NULL, 0);
    close(base->fd);
    close(ev->other_fd);
    free(ev);
}

static const struct hv_evtchn_ops evtchn_ops = {
    .close = evtchn_close,
    .pending = evtchn_pending,
    .unmask = evtchn_unmask,
    .notify = evtchn_notify,
};

static int evtchn_new(struct loop_hv *hv, uint32_t op, uint32_t peer, uint32_t port,
                      struct loop_evtchn **out)
{
    struct loop_ev_req req = {.domid = peer, .port = port};
    struct loop_ev_rsp rsp;
    struct loop_evtchn *ev = calloc(1, sizeof(*ev));
    int fds[2];

    if (!ev)
        return -ENOMEM;
    int r = loop_rpc(hv, op, &req, &rsp, fds, 2);
    if (!r && (rsp.channel >= LOOP_CHANNELS || rsp.end > 1)) {
        close(fds[0]);
        close(fds[1]);
        r = -EPROTO;
    }
    if (r) {
        free(ev);
        return r;
    }
    ev->base.ops = &evtchn_ops;
    ev->base.fd = fds[0];
    ev->hv = hv;
    ev->other_fd = fds[1];
    ev->port = rsp.port;
    ev->own = &hv->shared->channel[rsp.channel].end[rsp.end];
    ev->other = &hv->shared->channel[rsp.channel].end[1 - rsp.end];
    *out = ev;
    return 0;
}

int loop_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t port, struct hv_evtchn **out)
{
    struct loop_hv *lh = (struct loop_hv *)hv;
    struct loop_evtchn *ev = NULL;
    int r = loop_fail(lh, LOOP_CALL_BIND);

    if (!r)
        r = evtchn_new(lh, LOOP_EV_BIND, peer, port, &ev);
    if (!r)
        *out = &ev->base;
    return r;
}

int loop_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port)
{
    struct loop_hv *lh = (struct loop_hv *)hv;
    struct loop_evtchn *ev = NULL;
    int r = loop_fail(lh, LOOP_CALL_ALLOC);

    if (!r)
        r = evtchn_new(lh, LOOP_EV_ALLOC, peer, 0, &ev);
    if (r)
        return r;
    *out = &ev->base;
    *port = ev->port;
    return 0;
}
