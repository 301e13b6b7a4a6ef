/* SPDX-License-Identifier: MIT
 *
 * A ring's life: map and bind, start its thread, end it, unmap and unbind. Thread: the worker's
 * control thread.
 */
#include "ring/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"

void request_list_init(struct request_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

void request_list_add(struct request_list *list, struct ring_request *req)
{
    req->next = NULL;
    *list->tail = req;
    list->tail = &req->next;
}

struct ring_request *request_list_take_all(struct request_list *list)
{
    struct ring_request *head = list->head;

    request_list_init(list);
    return head;
}

/* Pages of the ring, the persistent grants, and one to spare for a request in the making. */
static uint32_t max_grants(const struct ring_config *c)
{
    return c->nr_refs + (c->persistent ? c->persistent_max : 0) + 1;
}

static int attach(struct ring *ring, struct errmsg *err)
{
    const struct ring_config *c = &ring->config;
    int ret = hv_gnttab_open(c->hv, c->domid, max_grants(c), &ring->gnttab);

    if (ret)
        return errmsg_set(err, ret, "cannot use the grant table: %s", strerror(-ret));
    ring->through_bounce = hv_gnttab_pins_slowly(ring->gnttab);
    ret = hv_gnttab_map(ring->gnttab, c->refs, c->nr_refs, PROT_READ | PROT_WRITE, &ring->shared);
    if (ret)
        return errmsg_set(err, ret, "cannot map the ring of the guest (ring-ref %u%s): %s",
                          c->refs[0], c->nr_refs > 1 ? " and following" : "", strerror(-ret));
    blkif_ring_attach(&ring->back, ring->shared, c->abi, c->nr_refs);
    ret = hv_evtchn_bind(c->hv, c->domid, c->port, &ring->evtchn);
    if (ret)
        return errmsg_set(err, ret, "cannot bind the guest's event-channel %u: %s", c->port,
                          strerror(-ret));
    return 0;
}

static int allocate(struct ring *ring, struct errmsg *err)
{
    int ret = persistent_open(ring);

    if (!ret)
        ret = pool_open(ring);
    if (ret == -ENOSPC)
        return errmsg_set(err, ret, "too many object caches in one worker");
    if (ret)
        return errmsg_set(err, ret, "no memory for ring %u", ring->config.index);
    return 0;
}

static int launch(struct ring *ring, struct errmsg *err)
{
    int ret = -pthread_create(&ring->thread, NULL, ring_thread, ring);

    if (ret)
        return errmsg_set(err, ret, "cannot start the thread of ring %u: %s", ring->config.index,
                          strerror(-ret));
    ring->thread_started = true;
    while (sem_wait(&ring->started) && errno == EINTR)
        ;
    if (ring->start_err)
        return errmsg_set(err, ring->start_err, "%s", ring->start_why.text);
    return 0;
}

int ring_start(const struct ring_config *config, struct ring **out, struct errmsg *err)
{
    struct ring *ring = aligned_alloc(64, (sizeof(*ring) + 63) & ~(size_t)63);

    if (!ring)
        return errmsg_set(err, -ENOMEM, "no memory for ring %u", config->index);
    memset(ring, 0, sizeof(*ring));
    ring->config = *config;
    ring->sectors = config->limits.nr_sectors;
    ring->wake_fd = ring_gate_fd(config->gate, config->index);
    request_list_init(&ring->mapped);
    request_list_init(&ring->done);
    sem_init(&ring->started, 0, 0);
    int ret = attach(ring, err);
    if (!ret)
        ret = allocate(ring, err);
    if (!ret)
        ret = launch(ring, err);
    if (ret) {
        ring_destroy(ring);
        return ret;
    }
    *out = ring;
    return 0;
}

/* An eventfd takes this without blocking, and orders our stores before the thread's loads. */
static void wake(struct ring *ring)
{
    uint64_t one = 1;

    if (write(ring->wake_fd, &one, sizeof(one)) < 0)
        log_error("ring %u: cannot be woken", ring->config.index);
}

void ring_stop(struct ring *ring)
{
    WRITE_ONCE(ring->stop, true);
    wake(ring);
}

void ring_pause(struct ring *ring, bool on)
{
    uint32_t turn = ring->pause + 1;

    if ((turn & 1) != on)
        return; /* it is so already */
    WRITE_ONCE(ring->pause, turn);
    wake(ring);
}

bool ring_resting(const struct ring *ring)
{
    return (ring->pause & 1) && READ_ONCE(ring->resting) == ring->pause;
}

void ring_resize(struct ring *ring, uint64_t sectors)
{
    WRITE_ONCE(ring->sectors, sectors);
}

void ring_destroy(struct ring *ring)
{
    if (ring->thread_started)
        pthread_join(ring->thread, NULL);
    if (ring->gnttab)
        persistent_close(ring);
    pool_close(ring);
    if (ring->evtchn)
        hv_evtchn_close(ring->evtchn);
    if (ring->shared)
        hv_gnttab_unmap(ring->gnttab, ring->shared, ring->config.nr_refs);
    if (ring->gnttab)
        hv_gnttab_close(ring->gnttab);
    sem_destroy(&ring->started);
    free(ring);
}
