/* SPDX-License-Identifier: MIT
 *
 * Where a request's bytes are: in pages of the guest that stay mapped (persistent grants), else in
 * this process with a grant copy before a write or after a read. Where the kernel is slow to pin
 * mapped pages (through_bounce) they too are copied, by plain stores. Copies of a whole pass are
 * one call.
 *
 * A gref that cannot be mapped is copied; only a copy that fails too fails its request. That
 * answers a read-only grant as it should be (fine for WRITE, ERROR for READ) and a full grant table
 * as well.
 *
 * Thread: the ring's.
 */
#include "ring/internal.h"

#include <string.h>

#include "base/barrier.h"

static void iov_append(struct ring_request *req, void *addr, size_t len)
{
    if (req->iovcnt) {
        struct iovec *last = &req->iov[req->iovcnt - 1];
        if ((unsigned char *)last->iov_base + last->iov_len == addr) {
            last->iov_len += len;
            counter_add(&req->ring->config.stats->merged, 1);
            return;
        }
    }
    req->iov[req->iovcnt++] = (struct iovec){.iov_base = addr, .iov_len = len};
}

/* Copies n segments out of one page of the guest, by way of a grant copy. */
static bool copy_segments(struct ring *ring, uint32_t gref, struct blkif_segment *to, uint32_t n)
{
    struct hv_copy op = {
        .local = to, .ref = gref, .len = (uint16_t)(n * sizeof(*to)), .status = -1};

    counter_add(&ring->config.stats->copied, 1);
    return hv_gnttab_copy(ring->gnttab, &op, 1) == 0 && op.status == 0;
}

/* Each word once, and none again after the copy. */
static void read_segments(const struct grant *g, struct blkif_segment *to, uint32_t n)
{
    const uint64_t *from = g->page;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t word = READ_ONCE(from[i]);
        memcpy(&to[i], &word, sizeof(word));
    }
    compiler_barrier();
}

bool grants_fetch_segments(struct ring *ring, struct ring_request *req)
{
    uint32_t left = req->checked.nr_segments;
    struct blkif_segment *to = req->indirect;

    for (unsigned page = 0; left; page++) {
        uint32_t n = left < BLKIF_SEGS_PER_INDIRECT_PAGE ? left : BLKIF_SEGS_PER_INDIRECT_PAGE;
        uint32_t gref = req->raw.indirect_grefs[page];
        struct grant *g = persistent_take(ring, gref);
        if (g) {
            read_segments(g, to, n);
            persistent_give(ring, g); /* read once; its gref may serve any other use now */
        } else if (!copy_segments(ring, gref, to, n)) {
            return false;
        }
        to += n;
        left -= n;
    }
    req->segments = req->indirect;
    return true;
}

void grants_take(struct ring *ring, struct ring_request *req)
{
    uint32_t bytes = 0;

    for (unsigned i = 0; i < req->checked.nr_segments; i++) {
        const struct blkif_segment *from = &req->segments[i];
        struct ring_seg *seg = &req->seg[i];
        seg->gref = from->gref;
        seg->offset = (uint16_t)(from->first_sect * BLKIF_SECTOR);
        seg->len = (uint16_t)((from->last_sect - from->first_sect + 1) * BLKIF_SECTOR);
        seg->grant = persistent_take(ring, seg->gref);
        if (!seg->grant)
            req->copies++;
        if (!seg->grant || ring->through_bounce)
            bytes += seg->len;
    }
    req->bounce_wanted = (bytes + HV_PAGE - 1) / HV_PAGE;
}

void grants_map(struct ring_request *req)
{
    unsigned char *bounce = req->bounce;

    for (unsigned i = 0; i < req->checked.nr_segments; i++) {
        struct ring_seg *seg = &req->seg[i];
        if (seg->grant && !req->ring->through_bounce) {
            seg->addr = (unsigned char *)seg->grant->page + seg->offset;
        } else {
            /* Packed without gaps, so that bounced neighbours become one transfer. */
            seg->addr = bounce;
            bounce += seg->len;
        }
        iov_append(req, seg->addr, seg->len);
    }
}

static bool wants_copy_in(const struct ring_request *req)
{
    return req->copies && req->checked.kind != KIND_READ;
}

static bool wants_copy_out(const struct ring_request *req)
{
    return req->copies && req->checked.kind == KIND_READ && req->status == BLKIF_RSP_OKAY;
}

static uint32_t list_copies(const struct ring_request *req, struct hv_copy *ops, bool to_guest)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < req->checked.nr_segments; i++) {
        const struct ring_seg *seg = &req->seg[i];
        if (seg->grant)
            continue;
        ops[n++] = (struct hv_copy){.local = seg->addr,
                                    .ref = seg->gref,
                                    .offset = seg->offset,
                                    .len = seg->len,
                                    .to_guest = to_guest,
                                    .status = -1};
    }
    return n;
}

static bool copies_ok(const struct hv_copy *ops, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (ops[i].status != 0)
            return false;
    return true;
}

/* Copies for every request of the list that wants it, in one call. A call that fails as a whole
 * copied nothing, whatever the statuses say. */
static void copy_list(struct ring *ring, struct ring_request *head,
                      bool (*wants)(const struct ring_request *), bool to_guest)
{
    uint32_t n = 0;

    for (struct ring_request *req = head; req; req = req->next)
        if (wants(req))
            n += list_copies(req, ring->copies + n, to_guest);
    if (!n)
        return;
    int err = hv_gnttab_copy(ring->gnttab, ring->copies, n);
    counter_add(&ring->config.stats->copied, n);
    struct hv_copy *op = ring->copies;
    for (struct ring_request *req = head; req; req = req->next) {
        if (!wants(req))
            continue;
        uint32_t count = req->copies;
        if (err || !copies_ok(op, count)) {
            req->status = BLKIF_RSP_ERROR;
            counter_add(&ring->config.stats->refused, 1);
            if (log_limit_ok(&ring->config.stats->log_limit))
                log_warn("ring %u: a request's grants cannot be copied: answered with an error",
                         ring->config.index);
        }
        op += count;
    }
}

/* The mapped part of what goes through the bounce area: a plain copy. Bytes that the guest changes
 * meanwhile arrive as either value. */
static void move_mapped(const struct ring_request *req, bool to_guest)
{
    for (unsigned i = 0; i < req->checked.nr_segments; i++) {
        const struct ring_seg *seg = &req->seg[i];
        if (!seg->grant)
            continue;
        unsigned char *page = (unsigned char *)seg->grant->page + seg->offset;
        memcpy(to_guest ? page : seg->addr, to_guest ? seg->addr : page, seg->len);
    }
}

void grants_copy_in(struct ring *ring)
{
    for (struct ring_request *req = ring->mapped.head; req && ring->through_bounce; req = req->next)
        if (req->checked.kind != KIND_READ)
            move_mapped(req, false);
    copy_list(ring, ring->mapped.head, wants_copy_in, false);
}

void grants_copy_out(struct ring *ring)
{
    for (struct ring_request *req = ring->done.head; req && ring->through_bounce; req = req->next)
        if (req->checked.kind == KIND_READ && req->status == BLKIF_RSP_OKAY)
            move_mapped(req, true);
    copy_list(ring, ring->done.head, wants_copy_out, true);
}

void grants_release(struct ring *ring, struct ring_request *req)
{
    for (unsigned i = 0; i < req->checked.nr_segments; i++)
        if (req->seg[i].grant)
            persistent_give(ring, req->seg[i].grant);
}
