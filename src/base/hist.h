/* SPDX-License-Identifier: MIT
 *
 * A log-linear histogram of durations: each power of two is cut into 32 equal parts, so a
 * percentile read from it is at most 1/32 (3.2 %) above the true one. Fixed size, no allocation.
 *
 * Threads: one writer; any number of readers, who see a slightly moving picture.
 */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 5
#define HIST_BUCKETS  ((64 - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

struct hist {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t bucket[HIST_BUCKETS];
};

/* Start it zeroed. */
void hist_add(struct hist *h, uint64_t ns);
/* The value that permille/1000 of the samples do not exceed: the upper edge of its bucket in ns,
 * and never above max_ns. 0 when there is no sample. permille 0..1000. */
uint64_t hist_percentile(const struct hist *h, unsigned permille);
void hist_merge(struct hist *into, const struct hist *from);

#endif
