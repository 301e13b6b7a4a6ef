/* SPDX-License-Identifier: MIT
 *
 * What the files of libblkfront share. Grouped by the file that implements it.
 *
 * Threads: struct blkfront belongs to the thread that opened it; once connected each struct
 * front_queue may be driven by a thread of its own and touches nothing of its blkfront but what
 * does not change while connected (abi, peer, options, negotiated).
 */
#ifndef FRONT_INTERNAL_H
#define FRONT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "blkfront.h"
#include "front/abi.h"
#include "front/fring.h"
#include "hv/hv.h"
#include "hv/store.h"

#define FRONT_QUEUES_MAX       64
#define FRONT_SEGS_MAX         1024 /* of one request that we make: two indirect pages */
#define FRONT_INDIRECT_PAGES   (FRONT_SEGS_MAX / BLKIF_SEGS_PER_INDIRECT_PAGE)
#define FRONT_POOL_PAGES_MAX   8192 /* data pages of one queue: 32 MiB */
#define FRONT_POOL_CHUNK_PAGES 64   /* granted at a time */
#define FRONT_TIMEOUT_MS       10000
#define FRONT_SECTORS_PER_PAGE (HV_PAGE / BLKIF_SECTOR)

/* XenbusState of xen/io/xenbus.h. */
enum {
    FRONT_XB_UNKNOWN = 0,
    FRONT_XB_INITIALISING = 1,
    FRONT_XB_INIT_WAIT = 2,
    FRONT_XB_INITIALISED = 3,
    FRONT_XB_CONNECTED = 4,
    FRONT_XB_CLOSING = 5,
    FRONT_XB_CLOSED = 6,
};

struct front_page {
    void *addr;
    uint32_t gref;
};

/* One request in flight: what its response must match, and what it holds. */
struct front_shadow {
    struct blkfront_io *io; /* NULL: not in flight */
    uint8_t operation;      /* what the response must say */
    uint32_t generation;    /* upper half of the id: a late second answer does not match */
    uint32_t nr_pages;
    struct front_page *pages; /* room for segs_max */
    void *own_addr;           /* end_grants: the pages of this request alone */
    void *indirect;           /* FRONT_INDIRECT_PAGES at most, granted on first use */
    uint32_t indirect_refs[FRONT_INDIRECT_PAGES];
    uint32_t next_free;
};

/* Data pages, granted in chunks and reused for ever. Taken and given back at the same end, so that
 * few grants serve most requests and a backend's persistent cache stays small. */
struct front_pool {
    struct front_page *free; /* a stack with room for cap */
    uint32_t nr_free, total, cap;
};

struct front_queue {
    struct blkfront *bf;
    struct fring ring;
    struct hv_share *share;
    struct hv_evtchn *ev;
    uint32_t port;
    void *ring_pages;
    uint32_t ring_refs[BLKIF_RING_PAGES_MAX];
    struct front_shadow *shadows; /* one for each ring entry */
    uint32_t free_shadow;         /* head of the free ones; entries when there is none */
    uint32_t in_flight;
    struct front_pool pool;
    bool dead; /* protocol broken, or failed by the caller */
    struct errmsg why;
};

struct blkfront {
    struct blkfront_options opt;
    const struct front_abi *abi;
    struct hv *hv;
    struct hv_store *store;
    uint32_t peer; /* the backend's domain */
    uint32_t first_index;
    uint32_t segs_max; /* of one request */
    uint32_t nr_queues, ring_order;
    bool persistent;
    bool published; /* state 3 or more was written: closing must be told */
    char frontend[64];
    char backend[HV_STORE_PATH_MAX];
    struct blkfront_info info;
    struct front_queue *queues;
};

/* ---- negotiate.c: everything that is said through the store ---- */
int front_find_device(struct blkfront *bf, struct errmsg *err);
int front_wait_init(struct blkfront *bf, struct errmsg *err);
int front_publish(struct blkfront *bf, struct errmsg *err);
int front_wait_connected(struct blkfront *bf, struct errmsg *err);
int front_read_properties(struct blkfront *bf, struct errmsg *err);
int front_switch(struct blkfront *bf, int state, struct errmsg *err);
void front_say_closed(struct blkfront *bf);

/* ---- xenbus.c: reading nodes, waiting for states ---- */
/* The number in dir/name: 0 and *value; fallback when the node is absent; -EPROTO with a line when
 * it is not a decimal number of at most max. */
int front_read_number(struct blkfront *bf, const char *dir, const char *name, uint64_t fallback,
                      uint64_t max, uint64_t *value, struct errmsg *err);
/* The backend's state; FRONT_XB_UNKNOWN when it is gone or says no number. */
int front_backend_state(struct blkfront *bf);
/* Waits until the backend is in one of the states of mask (bit 1<<state). The state, or
 * -ETIMEDOUT. Ends early with -ECONNREFUSED when it is in one of refused. */
int front_wait_backend(struct blkfront *bf, unsigned mask, unsigned refused, uint32_t timeout_ms);
/* What the backend or the hotplug script has written about a failure; "" if nothing. */
void front_backend_error(struct blkfront *bf, char *text, size_t cap);
uint64_t front_now_ms(void);

/* ---- queue.c: ring pages, event channel, shadows, pool ---- */
int front_queue_open(struct blkfront *bf, struct front_queue *q, struct errmsg *err);
/* After segs_max is known. */
int front_queue_size(struct front_queue *q, struct errmsg *err);
void front_queue_close(struct front_queue *q);
int front_take_pages(struct front_queue *q, struct front_shadow *s, uint32_t n, bool writable);
/* -EBUSY: the backend still maps what it has answered (end_grants only). */
int front_give_pages(struct front_queue *q, struct front_shadow *s);
int front_indirect_pages(struct front_queue *q, struct front_shadow *s);

/* ---- submit.c, complete.c ---- */
void front_complete(struct front_queue *q, struct front_shadow *s, int status);
/* Marks the queue dead with a line and fails what is in flight. Returns -EPROTO. */
int front_broken(struct front_queue *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
