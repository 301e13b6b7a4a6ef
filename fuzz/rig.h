/* SPDX-License-Identifier: MIT
 *
 * A disk with its rings, a guest in the same process, and a judge between them. The rings are the
 * real ones, from ring_start() to ring_destroy(); under them are a hypervisor, an io_uring and a
 * storage engine of the rig's own, so that nothing happens by chance and every call is seen.
 *
 * What the judge holds the rings to:
 *  - each request consumed is answered exactly once, with an answer that the second reading
 *    (oracle.h), the grants and the storage allow;
 *  - the storage is asked for nothing but what accepted requests ask for, from the memory their
 *    segments name; a barrier is alone;
 *  - no byte of the guest changes but by a read it asked for, a response, an index of ours;
 *  - the ring stops for good when and only when its indices are impossible;
 *  - a guest that keeps to the protocol is never left waiting;
 *  - after a disconnect nothing is mapped, bound or in use.
 *
 * Threads: one (fiber.h).
 */
#ifndef FUZZ_RIG_H
#define FUZZ_RIG_H

#include "hv/impl.h"
#include "input.h"
#include "oracle.h"
#include "ring/internal.h"

#define RIG_RINGS      2
#define RIG_RING_PAGES 16
#define RIG_RING_REF   8  /* first page of ring 0; ring 1's follow */
#define RIG_DATA_REF   40 /* data pages from here on */
#define RIG_PAGES      72
#define RIG_DOMID      7u
#define RIG_PORT       3u
#define RIG_LIVE_MAX   (RIG_RINGS * 512)
#define RIG_SQES_MAX   1024

enum rig_grant { GRANT_NONE, GRANT_RO, GRANT_RW };

/* One consumed request. */
struct rig_live {
    struct ring_request *req; /* NULL: not in use */
    unsigned ring;
    struct wish wish;
    unsigned may;  /* answers by its slot and segments alone */
    bool excused;  /* something under it failed: ERROR is right */
    bool excused2; /* the storage does not know the operation: so is UNSUPPORTED */
    bool running;  /* one of its I/Os is in the storage */
    unsigned steps;
    uint32_t due[RIG_RINGS]; /* a barrier's: what the others' guest had published before it */
    uint32_t n;              /* segments, as accepted */
    uint64_t sectors;
    struct rig_seg {
        uint32_t gref, offset, len, at; /* bytes; at: into the request */
        bool copied;                    /* its data was fetched */
        void *direct;                   /* in the guest's page while an I/O runs; else NULL */
    } * seg;
};

struct rig_ring {
    bool up;
    struct ring *ring;
    struct ring_config config;
    struct stats_ring stats;
    uint32_t entries, slot_bytes;
    /* The judge's own indices. */
    uint32_t req_cons, rsp_pvt, rsp_pub;
    int known; /* requests that may be taken: the guest may move req_prod back meanwhile */
    bool paused;
    bool impossible; /* the indices have been seen to be */
    bool tidy;       /* this guest has pushed and notified as it should */
    /* The guest's. */
    uint32_t req_prod;
    /* Event channel. */
    bool bound, pending, masked;
    unsigned notifies, wanted; /* sent, and asked for by the guest's rsp_event */
    struct hv_evtchn evtchn;
    /* io_uring. */
    struct io_uring_sqe sqe[RIG_SQES_MAX];
    unsigned nr_sqes;
    struct ioctx_op *read_op, *poll_op;
    int read_fd;
    void *read_to;
    struct {
        struct ioctx_op *op;
        int res;
    } ready[RIG_SQES_MAX];
    unsigned nr_ready;
    bool waiting; /* has nothing to do */
    bool timeout; /* the wait under way ends for its time */
    /* A response between ring_respond and pool_give. */
    bool answering;
    uint64_t rsp_id;
    uint8_t rsp_op;
    int16_t rsp_status;
};

struct rig {
    struct hv hv;
    struct engine_ops const *engine; /* &rig.engine is the struct engine */
    unsigned char *memory, *shadow;  /* RIG_PAGES pages, and what they ought to hold */
    enum rig_grant grant[RIG_PAGES];
    unsigned mapped[RIG_PAGES];
    unsigned direct[RIG_RINGS][RIG_PAGES]; /* I/Os of a ring under way straight into it */
    unsigned handles;                      /* gnttab handles open */
    unsigned nr_rings;
    struct rig_ring rings[RIG_RINGS];
    struct rig_live live[RIG_LIVE_MAX];
    unsigned nr_live;
    unsigned in_storage;
    struct rig_live *barrier; /* in the storage now, between its first step and its last */
    struct engine_io *held[RIG_LIVE_MAX];
    unsigned nr_held;
    bool hold;
    int result, submit_result, fail_map, fail_copy, fail_bind, fail_channel;
    uint64_t now_ms;
    uint64_t progress; /* counts everything that happens */
    /* Runs inside the n-th call under the ring from now: the guest's other CPU. */
    unsigned strike_in;
    void (*strike)(void);
    bool struck; /* since the consume under way began */
};

extern struct rig rig;

/* rig.c: life. config: what the rings have in common; index, refs, gate and such are filled in.
 * False: the rings could not be started, and everything was undone. */
bool rig_open(const struct ring_config *config, unsigned rings, unsigned order, uint32_t start);
bool rig_connect(void);
void rig_disconnect(void);
void rig_close(void);
/* Steps until nothing happens any more. */
void rig_settle(void);
/* Time passes: waits that have a limit end. */
void rig_pass_time(uint64_t ms);
void rig_pause(unsigned ring, bool on);
void rig_resize(uint64_t sectors);
/* Lets everything end, then looks at what must be true at rest. */
void rig_rest(void);

/* rig_guest.c: the guest. Writes go to memory and shadow. */
void guest_store(size_t at, const void *bytes, size_t n);
void guest_changed(size_t at, size_t n); /* by a read that it asked for, say */
size_t guest_ring(unsigned ring);        /* offset of its first page */
void guest_put(unsigned ring, const void *slot);
void guest_push(unsigned ring, bool notify);
void guest_notify(unsigned ring);
void guest_consume(unsigned ring);
void guest_release(unsigned which);

/* rig_hv.c: the hypervisor. */
extern const struct hv_ops rig_hv_ops;
void rig_call(void); /* each call under the ring passes here */

/* rig_io.c: the storage and the io_uring. */
extern const struct engine_ops rig_engine_ops;
unsigned char rig_disk_byte(uint64_t offset);

/* A mistake made on purpose, named in FUZZ_SABOTAGE: the test of the judge (tests/fuzz). */
bool sabotaged(const char *how);

/* judge.c and judge_io.c: called by the rig's parts, or wrapped around the ring's by the linker. */
struct rig_ring *judge_ring(const struct ring *ring);
struct rig_live *judge_find(const struct ring_request *req);
void judge_accept(struct rig_live *l, const struct blkif_segment *seg, uint32_t n);
void judge_copy(const struct hv_copy *op, bool failed);
void judge_submit(struct engine_io *io);
void judge_submit_failed(struct engine_io *io, int err);
void judge_done(struct engine_io *io, int result);
int judge_pending(const struct rig_ring *rr);

#endif
