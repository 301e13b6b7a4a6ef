/* SPDX-License-Identifier: MIT
 *
 * Every rule a request must satisfy before anything is mapped, allocated or submitted for it.
 * Threads: any (no state).
 */
#include "blkif/check.h"

#include <stddef.h>

bool blkif_range_ok(uint64_t sector, uint64_t nr, uint64_t disk_sectors)
{
    return nr <= disk_sectors && sector <= disk_sectors - nr;
}

static enum blkif_refusal check_range(uint64_t sector, uint64_t nr,
                                      const struct blkif_limits *limits)
{
    if (!blkif_range_ok(sector, nr, limits->nr_sectors))
        return REFUSE_SECTOR_RANGE;
    if (limits->block_sectors > 1 &&
        (sector % limits->block_sectors != 0 || nr % limits->block_sectors != 0))
        return REFUSE_ALIGNMENT;
    return REFUSE_NONE;
}

enum blkif_refusal blkif_check_segments(const struct blkif_segment *seg, uint32_t n,
                                        uint64_t sector, const struct blkif_limits *limits,
                                        uint64_t *sectors)
{
    uint64_t sum = 0;

    if (n == 0 || n > BLKIF_SEGS_INDIRECT_MAX)
        return REFUSE_SEGMENT_COUNT;
    for (uint32_t i = 0; i < n; i++) {
        if (seg[i].last_sect > 7 || seg[i].first_sect > seg[i].last_sect)
            return REFUSE_SEGMENT_RANGE;
        sum += (uint64_t)seg[i].last_sect - seg[i].first_sect + 1;
    }

    enum blkif_refusal r = check_range(sector, sum, limits);

    if (r == REFUSE_NONE)
        *sectors = sum;
    return r;
}

/* A request whose segments are in its slot: READ, WRITE, and FLUSH or BARRIER with data. */
static enum blkif_refusal check_direct(const struct blkif_request *req, bool writes,
                                       const struct blkif_limits *limits, struct blkif_checked *out)
{
    if (writes && limits->read_only)
        return REFUSE_READ_ONLY;
    if (req->nr_segments == 0 || req->nr_segments > BLKIF_SEGS_PER_REQUEST)
        return REFUSE_SEGMENT_COUNT;
    out->nr_segments = req->nr_segments;
    out->sector = req->sector;
    return blkif_check_segments(req->seg, req->nr_segments, req->sector, limits, &out->sectors);
}

static enum blkif_refusal check_flush(const struct blkif_request *req, bool offered,
                                      const struct blkif_limits *limits, struct blkif_checked *out)
{
    if (!offered)
        return REFUSE_OPERATION;
    if (req->nr_segments == 0) /* no data: the sector means nothing */
        return REFUSE_NONE;
    return check_direct(req, true, limits, out);
}

static enum blkif_refusal check_discard(const struct blkif_request *req,
                                        const struct blkif_limits *limits,
                                        struct blkif_checked *out)
{
    if (limits->read_only)
        return REFUSE_READ_ONLY;
    if (!limits->can_discard)
        return REFUSE_OPERATION;
    out->secure = limits->can_discard_secure && (req->flag & BLKIF_DISCARD_SECURE) != 0;
    if (req->nr_sectors == 0) /* nothing is asked, so nothing can be out of range */
        return REFUSE_NONE;
    out->sector = req->sector;
    out->sectors = req->nr_sectors;
    return check_range(req->sector, req->nr_sectors, limits);
}

static enum blkif_refusal check_indirect(const struct blkif_request *req,
                                         const struct blkif_limits *limits,
                                         struct blkif_checked *out)
{
    if (limits->max_indirect == 0)
        return REFUSE_OPERATION;
    if (req->indirect_op != BLKIF_OP_READ && req->indirect_op != BLKIF_OP_WRITE)
        return REFUSE_INDIRECT_OP;
    if (req->indirect_op == BLKIF_OP_WRITE && limits->read_only)
        return REFUSE_READ_ONLY;
    if (req->nr_segments == 0 || req->nr_segments > limits->max_indirect ||
        req->nr_segments > BLKIF_SEGS_INDIRECT_MAX)
        return REFUSE_SEGMENT_COUNT;
    out->kind = req->indirect_op == BLKIF_OP_WRITE ? KIND_WRITE : KIND_READ;
    out->indirect = true;
    out->nr_segments = req->nr_segments;
    out->sector = req->sector;
    return REFUSE_NONE;
}

enum blkif_refusal blkif_check_request(const struct blkif_request *req,
                                       const struct blkif_limits *limits, struct blkif_checked *out)
{
    *out = (struct blkif_checked){.kind = KIND_READ};

    switch (req->operation) {
    case BLKIF_OP_READ:
        return check_direct(req, false, limits, out);
    case BLKIF_OP_WRITE:
        out->kind = KIND_WRITE;
        return check_direct(req, true, limits, out);
    case BLKIF_OP_FLUSH:
        out->kind = KIND_FLUSH;
        return check_flush(req, limits->can_flush, limits, out);
    case BLKIF_OP_WRITE_BARRIER:
        out->kind = KIND_BARRIER;
        return check_flush(req, limits->can_barrier, limits, out);
    case BLKIF_OP_DISCARD:
        out->kind = KIND_DISCARD;
        return check_discard(req, limits, out);
    case BLKIF_OP_INDIRECT:
        return check_indirect(req, limits, out);
    default:
        return REFUSE_OPERATION;
    }
}

int16_t blkif_refusal_status(enum blkif_refusal r)
{
    switch (r) {
    case REFUSE_NONE:
        return BLKIF_RSP_OKAY;
    case REFUSE_OPERATION:
        return BLKIF_RSP_EOPNOTSUPP;
    default:
        return BLKIF_RSP_ERROR;
    }
}

const char *blkif_refusal_name(enum blkif_refusal r)
{
    static const char *const names[REFUSE_COUNT] = {
        [REFUSE_NONE] = "none",
        [REFUSE_OPERATION] = "operation not offered",
        [REFUSE_SEGMENT_COUNT] = "number of segments",
        [REFUSE_SEGMENT_RANGE] = "sectors of a segment",
        [REFUSE_SECTOR_RANGE] = "beyond the end of the disk",
        [REFUSE_ALIGNMENT] = "not a multiple of the logical block",
        [REFUSE_READ_ONLY] = "change to a read-only disk",
        [REFUSE_INDIRECT_OP] = "operation inside an indirect request",
        [REFUSE_GRANT] = "grant not usable",
    };

    if ((unsigned)r >= REFUSE_COUNT)
        return "invalid";
    return names[r];
}
