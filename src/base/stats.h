/* SPDX-License-Identifier: MIT
 *
 * A disk's statistics page: memory (a memfd) that the daemon makes and holds, the worker writes and
 * the daemon reads, so that figures survive the worker and reading them costs the worker nothing.
 *
 * Threads: each row has one writer (a ring's thread) that uses counter_add(); readers see each
 * counter whole, and the set of them a moment apart. Nothing resets them.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdint.h>

#include "base/cache.h"
#include "base/log.h"

#define STATS_RINGS_MAX 64
#define STATS_MAGIC     0x626b7374u /* "bkst" */
#define STATS_VERSION   1u

/* The first seven carry the kernel driver's names and meaning (xen-blkback/xenbus.c). Requests
 * count when they are accepted, sectors (512 bytes) when they are submitted. */
struct stats_ring {
    _Alignas(64) uint64_t oo_req; /* times the ring had work but no free request */
    uint64_t rd_req;
    uint64_t wr_req;
    uint64_t f_req; /* flushes and barriers */
    uint64_t ds_req;
    uint64_t rd_sect;
    uint64_t wr_sect;
    uint64_t refused;       /* guest's mistakes answered with a status */
    uint64_t errors;        /* storage errors answered with a status */
    uint64_t inflight;      /* now */
    uint64_t responses;     /* published */
    uint64_t notifies;      /* sent to the guest */
    uint64_t wakeups;       /* events received */
    uint64_t empty_wakeups; /* events with nothing in the ring */
    uint64_t persistent;    /* grants mapped persistently, now */
    uint64_t purged;        /* persistent grants unmapped again, in all */
    uint64_t mapped;        /* grants mapped once, in all */
    uint64_t copied;        /* grants copied, in all */
    uint64_t bounce_pages;  /* of this process that copies keep resident, now */
    uint64_t merged;        /* segments joined to their neighbour before submission */
    uint64_t enters;        /* system calls on the ring's io_uring */
    uint64_t halted;        /* 0, or a positive enum ring_halt: why the ring was stopped for good */
    uint64_t tid;           /* the thread's id; 0 when the ring is not running */
    /* For lines that the guest can cause: kept here so that a guest which makes worker after worker
     * start does not get a new allowance each time. */
    struct log_limit log_limit;
};

struct stats_page {
    uint32_t magic, version;
    uint32_t nr_rings;
    uint32_t pad;
    struct cache_table caches;
    struct stats_ring ring[STATS_RINGS_MAX];
};

#endif
