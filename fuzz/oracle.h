/* SPDX-License-Identifier: MIT
 *
 * A second reading of the request rules, to judge the first by: fields by their offsets, sums in
 * 128 bits, no code of src/blkif. Threads: any (no state).
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include "blkif/check.h"
#include "blkif/layout.h"

/* Answers that a request may get, as a set. */
#define MAY_OKAY        1u
#define MAY_ERROR       2u
#define MAY_UNSUPPORTED 4u

struct wish {
    uint64_t id, sector, nr_sectors;
    uint8_t op, echo;
    uint8_t flag;
    uint32_t n; /* segments, as the guest says */
    bool indirect;
    bool writes; /* data goes from the guest to the disk */
    uint32_t grefs[BLKIF_INDIRECT_PAGES_MAX];
    struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];
};

void oracle_decode(enum blkif_abi abi, const void *slot, struct wish *out);

/* MAY_OKAY: it is to be done (for an indirect request as far as its slot can say). */
unsigned oracle_slot(const struct wish *w, const struct blkif_limits *limits);

/* The same for its segments; *sectors is their sum when MAY_OKAY. */
unsigned oracle_segments(const struct blkif_segment *seg, uint32_t n, uint64_t sector,
                         const struct blkif_limits *limits, uint64_t *sectors);

/* The set that a status belongs to; 0 for one the protocol does not have. */
unsigned oracle_status(int16_t status);

#endif
