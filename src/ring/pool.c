/* SPDX-License-Identifier: MIT
 *
 * The requests of a ring and the memory they work in: one reservation of address space, cut into as
 * many parts as the ring has entries. Nothing of it is resident before it is used; what was used
 * stays. Thread: control opens and closes, the ring's thread takes and gives.
 */
#include "ring/internal.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/barrier.h"

/* Bytes of each kind that one request needs. Bounce pages first, so that they are aligned. */
struct part {
    size_t bounce, iov, seg, indirect, copies, total;
};

static struct part part_of(uint32_t segs)
{
    struct part p = {
        .bounce = (size_t)segs * HV_PAGE,
        .iov = segs * sizeof(struct iovec),
        .seg = segs * sizeof(struct ring_seg),
        .indirect = segs * sizeof(struct blkif_segment),
        .copies = segs * sizeof(struct hv_copy),
    };

    p.total = p.bounce + p.iov + p.seg + p.indirect + p.copies;
    return p;
}

/* Bounce pages that one ring may keep resident, as the kernel driver's max_buffer_pages; at least
 * what one request can need, so that a ring always gets on. */
#define BOUNCE_PAGES_MAX 1024u

int pool_open(struct ring *ring)
{
    uint32_t indirect = ring->config.limits.max_indirect;

    ring->max_segs = indirect > BLKIF_SEGS_PER_REQUEST ? indirect : BLKIF_SEGS_PER_REQUEST;
    ring->max_resident = ring->max_segs > BOUNCE_PAGES_MAX ? ring->max_segs : BOUNCE_PAGES_MAX;
    ring->parts = calloc(ring->back.entries, sizeof(struct ring_request *));
    if (!ring->parts)
        return -ENOMEM;
    ring->memory_bytes = part_of(ring->max_segs).total * ring->back.entries;
    void *memory = mmap(NULL, ring->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    ring->memory = memory;
    size_t copies = part_of(ring->max_segs).copies * ring->back.entries;
    ring->copies = (struct hv_copy *)(void *)(ring->memory + ring->memory_bytes - copies);
    return cache_create("request", sizeof(struct ring_request), 0, ring->back.entries, NULL,
                        &ring->requests);
}

void pool_close(struct ring *ring)
{
    cache_destroy(ring->requests);
    ring->requests = NULL;
    if (ring->memory)
        munmap(ring->memory, ring->memory_bytes);
    ring->memory = NULL;
    free(ring->parts);
    ring->parts = NULL;
}

/* The cache never grows, so each of its objects gets its part once and keeps it. */
static void give_part(struct ring *ring, struct ring_request *req)
{
    struct part p = part_of(ring->max_segs);
    size_t n = ring->parts_given++;
    unsigned char *at = ring->memory;

    req->bounce = at + n * p.bounce;
    at += ring->back.entries * p.bounce;
    req->iov = (struct iovec *)(void *)(at + n * p.iov);
    at += ring->back.entries * p.iov;
    req->seg = (struct ring_seg *)(void *)(at + n * p.seg);
    at += ring->back.entries * p.seg;
    req->indirect = (struct blkif_segment *)(void *)(at + n * p.indirect);
    req->ring = ring;
    ring->parts[n] = req;
}

struct ring_request *pool_take(struct ring *ring)
{
    struct ring_request *req = cache_take(ring->requests);

    if (!req)
        return NULL;
    if (!req->ring)
        give_part(ring, req);
    req->taken = true;
    return req;
}

void pool_give(struct ring *ring, struct ring_request *req)
{
    req->taken = false;
    cache_give(ring->requests, req);
}

static void set_resident(struct ring *ring, struct ring_request *req, uint32_t pages)
{
    ring->resident = ring->resident - req->bounce_resident + pages;
    req->bounce_resident = pages;
    WRITE_ONCE(ring->config.stats->bounce_pages, ring->resident);
}

/* Frees the bounce pages of requests not in use until at most `keep` of the ring are left. */
static void shrink(struct ring *ring, uint32_t keep)
{
    for (uint32_t i = 0; i < ring->parts_given && ring->resident > keep; i++) {
        struct ring_request *req = ring->parts[i];
        if (req->taken || !req->bounce_resident)
            continue;
        madvise(req->bounce, (size_t)req->bounce_resident * HV_PAGE, MADV_DONTNEED);
        set_resident(ring, req, 0);
    }
}

bool pool_reserve(struct ring *ring, struct ring_request *req)
{
    if (req->bounce_wanted <= req->bounce_resident)
        return true;
    uint32_t more = req->bounce_wanted - req->bounce_resident;
    if (ring->resident + more > ring->max_resident)
        shrink(ring, ring->max_resident - more);
    if (ring->resident + more > ring->max_resident)
        return false;
    set_resident(ring, req, req->bounce_wanted);
    return true;
}

uint64_t pool_squeeze(struct ring *ring)
{
    uint64_t limit = ring->config.persistent_unused_ms;

    if (!ring->resident || !limit || ring->inflight)
        return UINT64_MAX;
    uint64_t idle = ring->now_ms - ring->busy_ms;
    if (idle < limit)
        return limit - idle;
    shrink(ring, 0);
    return UINT64_MAX;
}
