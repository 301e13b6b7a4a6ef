/* SPDX-License-Identifier: MIT
 *
 * The requests of a ring and the memory they work in: one reservation of address space, cut into as
 * many parts as the ring has entries. Nothing of it is resident before it is used; what was used
 * stays. Thread: control opens and closes, the ring's thread takes and gives.
 */
#include "ring/internal.h"

#include <sys/mman.h>

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

int pool_open(struct ring *ring)
{
    uint32_t indirect = ring->config.limits.max_indirect;

    ring->max_segs = indirect > BLKIF_SEGS_PER_REQUEST ? indirect : BLKIF_SEGS_PER_REQUEST;
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
}

struct ring_request *pool_take(struct ring *ring)
{
    struct ring_request *req = cache_take(ring->requests);

    if (req && !req->ring)
        give_part(ring, req);
    return req;
}

void pool_give(struct ring *ring, struct ring_request *req)
{
    cache_give(ring->requests, req);
}
