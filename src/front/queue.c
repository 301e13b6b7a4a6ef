/* SPDX-License-Identifier: MIT
 *
 * What one queue is made of: ring pages, event channel, shadows of the requests in flight, and
 * granted pages for data and for indirect segments.
 *
 * Threads: the queue's.
 */
#include <stdlib.h>
#include <string.h>

#include "front/internal.h"

int front_queue_open(struct blkfront *bf, struct front_queue *q, struct errmsg *err)
{
    uint32_t pages = 1u << bf->ring_order;
    int rc;

    q->bf = bf;
    rc = hv_share_open(bf->hv, &q->share);
    if (rc < 0)
        return errmsg_set(err, rc, "pages cannot be granted: %s", strerror(-rc));
    rc = hv_share_pages(q->share, bf->peer, pages, true, q->ring_refs, &q->ring_pages);
    if (rc < 0)
        return errmsg_set(err, rc, "the ring's pages cannot be granted: %s", strerror(-rc));
    fring_init(&q->ring, q->ring_pages, pages * HV_PAGE, bf->abi->slot_bytes, bf->first_index,
               bf->opt.poll);
    rc = hv_evtchn_alloc(bf->hv, bf->peer, &q->ev, &q->port);
    if (rc < 0)
        return errmsg_set(err, rc, "an event channel cannot be made: %s", strerror(-rc));
    return 0;
}

static uint32_t pool_cap(const struct front_queue *q)
{
    uint64_t all = (uint64_t)q->ring.entries * q->bf->segs_max;

    return all < FRONT_POOL_PAGES_MAX ? (uint32_t)all : FRONT_POOL_PAGES_MAX;
}

int front_queue_size(struct front_queue *q, struct errmsg *err)
{
    uint32_t entries = q->ring.entries;
    struct front_page *pages = calloc((size_t)entries * q->bf->segs_max, sizeof(*pages));

    q->pool.cap = pool_cap(q);
    q->pool.free = calloc(q->pool.cap, sizeof(*q->pool.free));
    q->shadows = calloc(entries, sizeof(*q->shadows));
    if (pages == NULL || q->pool.free == NULL || q->shadows == NULL) {
        free(pages);
        free(q->shadows);
        q->shadows = NULL;
        return errmsg_set(err, -ENOMEM, "out of memory for a queue of %u requests", entries);
    }
    for (uint32_t i = 0; i < entries; i++) {
        q->shadows[i].pages = pages + (size_t)i * q->bf->segs_max;
        q->shadows[i].next_free = i + 1;
    }
    q->free_shadow = 0;
    return 0;
}

void front_queue_close(struct front_queue *q)
{
    if (q->ev != NULL)
        hv_evtchn_close(q->ev);
    if (q->share != NULL)
        hv_share_close(q->share);
    if (q->shadows != NULL)
        free(q->shadows[0].pages);
    free(q->shadows);
    free(q->pool.free);
}

static int pool_grow(struct front_queue *q)
{
    struct front_pool *pool = &q->pool;
    uint32_t refs[FRONT_POOL_CHUNK_PAGES];
    uint32_t n = pool->cap - pool->total;
    void *addr;
    int rc;

    if (n > FRONT_POOL_CHUNK_PAGES)
        n = FRONT_POOL_CHUNK_PAGES;
    if (n == 0)
        return -EAGAIN;
    rc = hv_share_pages(q->share, q->bf->peer, n, true, refs, &addr);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        pool->free[pool->nr_free++] =
            (struct front_page){.addr = (uint8_t *)addr + (size_t)i * HV_PAGE, .gref = refs[i]};
    pool->total += n;
    return 0;
}

static int take_own(struct front_queue *q, struct front_shadow *s, uint32_t n, bool writable)
{
    uint32_t refs[FRONT_SEGS_MAX];
    int rc = hv_share_pages(q->share, q->bf->peer, n, writable, refs, &s->own_addr);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        s->pages[i] = (struct front_page){.addr = (uint8_t *)s->own_addr + (size_t)i * HV_PAGE,
                                          .gref = refs[i]};
    s->nr_pages = n;
    return 0;
}

int front_take_pages(struct front_queue *q, struct front_shadow *s, uint32_t n, bool writable)
{
    struct front_pool *pool = &q->pool;

    s->nr_pages = 0;
    s->own_addr = NULL;
    if (n == 0)
        return 0;
    if (q->bf->opt.end_grants)
        return take_own(q, s, n, writable);
    while (pool->nr_free < n) {
        int rc = pool_grow(q);

        /* With something in flight pages will come back. */
        if (rc < 0)
            return q->in_flight != 0 ? -EAGAIN : rc;
    }
    for (uint32_t i = 0; i < n; i++)
        s->pages[i] = pool->free[--pool->nr_free];
    s->nr_pages = n;
    return 0;
}

int front_give_pages(struct front_queue *q, struct front_shadow *s)
{
    int rc = 0;

    if (s->own_addr != NULL) {
        rc = hv_share_end(q->share, s->own_addr, s->nr_pages);
    } else {
        /* Last page first: the next request of the same size gets the same pages in order. */
        for (uint32_t i = s->nr_pages; i-- > 0;)
            q->pool.free[q->pool.nr_free++] = s->pages[i];
    }
    s->own_addr = NULL;
    s->nr_pages = 0;
    return rc;
}

int front_indirect_pages(struct front_queue *q, struct front_shadow *s)
{
    uint32_t n =
        (q->bf->segs_max + BLKIF_SEGS_PER_INDIRECT_PAGE - 1) / BLKIF_SEGS_PER_INDIRECT_PAGE;

    if (s->indirect != NULL)
        return 0;
    /* A backend with persistent grants maps every page writable (xen/io/blkif.h note 8), so a
     * read-only grant would fail there; elsewhere it has no business writing to them. */
    return hv_share_pages(q->share, q->bf->peer, n, q->bf->persistent, s->indirect_refs,
                          &s->indirect);
}
