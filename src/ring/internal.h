/* SPDX-License-Identifier: MIT
 *
 * What the stages of a ring share. Order of the declarations: the order of a request's way.
 *
 * Threads: all of it belongs to the ring's thread while that runs, before and after to the worker's
 * control thread.
 */
#ifndef RING_INTERNAL_H
#define RING_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>

#include "base/cache.h"
#include "base/ioctx.h"
#include "base/log.h"
#include "blkif/request.h"
#include "blkif/ring.h"
#include "ring/ring.h"

#define RING_STEPS_MAX 3 /* flush, write, flush: a barrier with data */

/* A grant that stays mapped after its first use, read-write, whatever the direction (rule 15). */
struct grant {
    void *page;
    uint32_t gref;
    bool busy; /* one request uses it now; another that names the same gref copies instead */
    struct grant *older, *newer; /* by last use; a ring of them around grant_table.lru */
    uint64_t used_ms;            /* ring->now_ms of the last use */
};

/* Where one segment's bytes are while its request is in flight. */
struct ring_seg {
    struct grant *grant; /* NULL: the bytes go through this request's bounce area by grant copy */
    void *addr;          /* first byte of the data, here */
    uint32_t gref;
    uint16_t offset; /* bytes into the granted page */
    uint16_t len;    /* bytes */
};

struct ring_request {
    struct engine_io io;
    struct ring *ring;
    struct ring_request *next; /* on one list at a time */
    struct blkif_request raw;  /* the private copy of the slot */
    struct blkif_checked checked;
    enum engine_op steps[RING_STEPS_MAX];
    uint8_t nr_steps, step;
    int16_t status;                       /* BLKIF_RSP_* */
    uint16_t copies;                      /* segments without a mapped grant */
    const struct blkif_segment *segments; /* private: raw.seg, or copied from indirect pages */
    unsigned iovcnt;
    /* Its own parts of the ring's request memory, ring->max_segs of each; given once (pool.c). */
    struct blkif_segment *indirect;
    struct ring_seg *seg;
    struct iovec *iov;
    unsigned char *bounce;    /* pages; not resident until used */
    uint32_t bounce_resident; /* of them, as far as we know: the most this request has used */
    uint32_t bounce_wanted;   /* pages that its segments need now */
    bool taken;               /* not in the cache */
};

struct request_list {
    struct ring_request *head, **tail;
};

struct grant_table {
    struct cache *cache;
    struct grant **slot; /* open addressing, at most half full; key: gref */
    uint32_t mask;
    uint32_t max, count;
    struct grant lru;    /* only its links: lru.newer is the one longest unused */
    uint64_t evicted_ms; /* when room was last made by force */
};

struct ring {
    struct ring_config config;
    struct blkif_ring back;
    struct hv_gnttab *gnttab;
    struct hv_evtchn *evtchn;
    void *shared;
    struct grant_table grants;
    bool through_bounce; /* mapped pages are copied from and to, not given to the storage */
    struct cache *requests;
    uint32_t max_segs;           /* of one request, direct or indirect */
    struct ring_request **parts; /* the requests that have their part of the memory below */
    uint32_t parts_given;
    uint32_t resident, max_resident; /* bounce pages of all of them, and the bound */
    uint64_t busy_ms;                /* when a request was last taken */
    unsigned char *memory;           /* see pool.c */
    size_t memory_bytes;
    struct hv_copy *copies; /* in it; room for every segment of a full ring */

    struct ioctx io;
    struct engine_channel *channel;
    struct ioctx_op event_op, wake_op;
    bool event_armed;      /* a poll on the event channel is in the io_uring */
    unsigned empty_events; /* in a row that found the ring empty */
    bool event_masked;     /* the port was read and not written back yet */
    bool left_some;        /* what was in the ring was not all taken, for want of memory */
    bool gated;            /* another ring's barrier holds the gate: it will wake us */
    bool barrier; /* a barrier was consumed and has not been answered: take nothing further */
    struct ring_request *parked;  /* that barrier, while it waits for the requests before it */
    struct ring_request *starved; /* consumed, but waits for bounce pages: take nothing further */
    struct request_list mapped;   /* consumed in this pass, to be submitted at its end */
    struct request_list done;     /* completed, to be answered at the end of this pass */
    unsigned inflight;            /* consumed and not yet answered */
    unsigned unpublished;         /* answered, not yet visible to the guest */
    uint64_t now_ms;              /* of this pass, CLOCK_MONOTONIC_COARSE */
    enum ring_halt halted;

    pthread_t thread;
    bool thread_started;
    int wake_fd;         /* the gate's eventfd for us: ring_stop(), and other rings' barriers */
    uint64_t wake_count; /* io_uring reads the eventfd into it */
    uint32_t pause;      /* counts the calls of ring_pause(): odd while it is to be paused */
    uint32_t resting;    /* the value of pause at which it came to rest, told by the thread */
    uint64_t sectors;    /* the disk's size, set by ring_resize() */
    bool stop;           /* set by ring_stop() */
    uint32_t pause_seen; /* what the thread knows of it */
    bool stopping;       /* what the thread knows of it */
    sem_t started;
    int start_err;
    struct errmsg start_why;
};

void request_list_init(struct request_list *list);
void request_list_add(struct request_list *list, struct ring_request *req);
struct ring_request *request_list_take_all(struct request_list *list);

/* consume.c: takes what the guest has put into the ring, checks it, maps it (or answers a refusal)
 * and submits it. Halts the ring when its indices are impossible. Without take it only goes on with
 * what was taken before and had to wait for memory. */
void ring_consume(struct ring *ring, bool take);

/* pool.c: the requests and the memory they work in, sized for a full ring of the largest requests.
 */
int pool_open(struct ring *ring);
void pool_close(struct ring *ring);
struct ring_request *pool_take(struct ring *ring); /* NULL: every one is in use */
void pool_give(struct ring *ring, struct ring_request *req);
/* May req use req->bounce_wanted bounce pages now? Within the ring's bound of resident pages, for
 * which requests that are not in use give up theirs. False: when others have been answered, ask
 * again. */
bool pool_reserve(struct ring *ring, struct ring_request *req);
/* Gives back the bounce pages of a ring that has long been idle. As persistent_purge(): when to ask
 * again, in milliseconds. */
uint64_t pool_squeeze(struct ring *ring);

/* persistent.c: the grants that stay mapped. */
int persistent_open(struct ring *ring);
void persistent_close(struct ring *ring);
/* The mapped page of gref for one request alone; NULL if there is none to be had (no persistent
 * grants, no room, in use by another request, not mappable): then copy. */
struct grant *persistent_take(struct ring *ring, uint32_t gref);
void persistent_give(struct ring *ring, struct grant *g);
/* Unmaps what has been unused for too long. Returns the milliseconds until that is due again,
 * UINT64_MAX when there is nothing it could be due for. */
uint64_t persistent_purge(struct ring *ring);

/* grants.c */
/* Copies the segments of an indirect request out of the guest's pages, once (XSA-155). False if one
 * of the pages is not to be had. */
bool grants_fetch_segments(struct ring *ring, struct ring_request *req);
/* Looks for the persistently mapped page of each segment, and says in req->bounce_wanted how many
 * bounce pages the others need. */
void grants_take(struct ring *ring, struct ring_request *req);
/* Then, with those pages reserved: gives each segment its address. */
void grants_map(struct ring_request *req);
/* Fetches the data of all bounced segments of the requests on ring->mapped that write; one call for
 * the pass. A request whose copy failed gets status ERROR. */
void grants_copy_in(struct ring *ring);
/* Delivers the data of all bounced segments of the successful reads on ring->done, likewise. */
void grants_copy_out(struct ring *ring);
/* The request no longer uses its pages. */
void grants_release(struct ring *ring, struct ring_request *req);

/* submit.c */
void ring_plan(struct ring_request *req); /* the storage steps that make up the request */
void ring_submit(struct ring *ring, struct ring_request *req);

/* complete.c: engine_io.done of every request. */
void ring_complete(struct engine_io *io, int result);

/* respond.c */
void ring_refuse(struct ring *ring, struct ring_request *req, enum blkif_refusal why);
void ring_answer_done(struct ring *ring); /* everything on ring->done */
void ring_publish(struct ring *ring);     /* one publish, at most one notify */

/* schedule.c */
void *ring_thread(void *ring);
void ring_halt(struct ring *ring, enum ring_halt why);

#endif
