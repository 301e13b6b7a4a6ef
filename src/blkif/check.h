/* SPDX-License-Identifier: MIT
 *
 * Is a request one that may be done? Pure arithmetic over a private copy; no byte of guest memory
 * is read here. Sources: HOSTILE's catalogue; XSA-155, CVE-2007-5498, CVE-2013-2140.
 */
#ifndef BLKIF_CHECK_H
#define BLKIF_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "blkif/request.h"

/* A guest's mistakes, by name. Positive; 0 is no mistake. */
enum blkif_refusal {
    REFUSE_NONE = 0,
    REFUSE_OPERATION,     /* not an operation, or one that was not offered: EOPNOTSUPP */
    REFUSE_SEGMENT_COUNT, /* 0 or more than allowed */
    REFUSE_SEGMENT_RANGE, /* first > last, or last > 7 */
    REFUSE_SECTOR_RANGE,  /* beyond the end of the disk */
    REFUSE_ALIGNMENT,     /* not a multiple of the disk's logical block */
    REFUSE_READ_ONLY,     /* a change to a read-only disk */
    REFUSE_INDIRECT_OP,   /* inner operation neither READ nor WRITE */
    REFUSE_GRANT,         /* a grant could not be mapped or copied */
    REFUSE_COUNT,
};

/* What the disk is right now; one snapshot serves the whole request. */
struct blkif_limits {
    uint64_t nr_sectors;    /* 512-byte sectors */
    uint32_t block_sectors; /* logical block, in 512-byte sectors: 1, or 8 for a 4K disk */
    uint16_t max_indirect;  /* segments offered; 0: indirect requests were not offered */
    bool read_only;
    bool can_flush;
    bool can_barrier;
    bool can_discard;
    bool can_discard_secure;
};

/* What passes the check. */
enum blkif_kind { KIND_READ, KIND_WRITE, KIND_FLUSH, KIND_BARRIER, KIND_DISCARD };

struct blkif_checked {
    enum blkif_kind kind;
    bool indirect; /* segments are in indirect pages: length is known after check_segments() */
    bool secure;   /* DISCARD */
    uint16_t nr_segments; /* FLUSH and BARRIER: 0 means no data */
    uint64_t sector;      /* 512-byte sectors */
    uint64_t sectors;     /* 512-byte sectors; 0 for INDIRECT until its segments are checked */
};

/* First step, on the slot alone: operation, counts, flags, and for direct requests the segments and
 * the range as well. */
enum blkif_refusal blkif_check_request(const struct blkif_request *req,
                                       const struct blkif_limits *limits,
                                       struct blkif_checked *out);

/* Checks n segments (a private copy) of a request that starts at sector; *sectors is their sum.
 * Used by blkif_check_request() itself and, for INDIRECT, once the segments have been copied out.
 */
enum blkif_refusal blkif_check_segments(const struct blkif_segment *seg, uint32_t n,
                                        uint64_t sector, const struct blkif_limits *limits,
                                        uint64_t *sectors);

/* True if nr sectors from sector on lie within the disk; never overflows. */
bool blkif_range_ok(uint64_t sector, uint64_t nr, uint64_t disk_sectors);

/* The status that answers a refusal: BLKIF_RSP_ERROR or BLKIF_RSP_EOPNOTSUPP. */
int16_t blkif_refusal_status(enum blkif_refusal r);
const char *blkif_refusal_name(enum blkif_refusal r);

#endif
