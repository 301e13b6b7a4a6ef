/* SPDX-License-Identifier: MIT
 *
 * Log-linear histogram. Threads: one writer, any readers.
 */
#include "base/hist.h"

#include "base/barrier.h"

#define SUB (1u << HIST_SUB_BITS)

static unsigned bucket_of(uint64_t ns)
{
    if (ns < SUB)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - HIST_SUB_BITS;
    return ((shift + 1) << HIST_SUB_BITS) + (unsigned)((ns >> shift) - SUB);
}

static uint64_t upper_edge(unsigned bucket)
{
    if (bucket < SUB)
        return bucket;
    unsigned shift = (bucket >> HIST_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(SUB + (bucket & (SUB - 1))) << shift;
    return low + ((uint64_t)1 << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
    counter_add(&h->bucket[bucket_of(ns)], 1);
    counter_add(&h->sum_ns, ns);
    counter_add(&h->count, 1);
    if (ns > READ_ONCE(h->max_ns))
        WRITE_ONCE(h->max_ns, ns);
}

uint64_t hist_percentile(const struct hist *h, unsigned permille)
{
    uint64_t count = 0, seen = 0;

    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        count += READ_ONCE(h->bucket[i]);
    if (!count)
        return 0;
    uint64_t wanted = (uint64_t)(((__uint128_t)count * permille + 999) / 1000);
    if (!wanted)
        wanted = 1;
    uint64_t max = READ_ONCE(h->max_ns);
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += READ_ONCE(h->bucket[i]);
        if (seen >= wanted) {
            uint64_t edge = upper_edge(i);
            return edge < max ? edge : max;
        }
    }
    return max;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        into->bucket[i] += READ_ONCE(from->bucket[i]);
    into->count += READ_ONCE(from->count);
    into->sum_ns += READ_ONCE(from->sum_ns);
    uint64_t max = READ_ONCE(from->max_ns);
    if (max > into->max_ns)
        into->max_ns = max;
}
