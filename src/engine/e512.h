/* SPDX-License-Identifier: MIT
 *
 * The inside of 512e: an engine that lies over one whose blocks are 4096 bytes (the engine below)
 * and offers 512. What is in whole blocks passes; a change of part of a block reads the block, puts
 * the new bytes in and writes it back.
 *
 *   e512.c       which disk gets it; the engine; its channels' submit
 *   e512_io.c    an I/O from its resources to its callback
 *   e512_rmw.c   which I/Os below make up an unaligned one
 *   e512_range.c what must wait for what, over all channels of the disk
 *
 * Only a change of part of a block ("exclusive") can lose what others write beside it, so it waits
 * for every change in flight that shares a block with it, and those that come later wait for it.
 * Changes of whole blocks ("shared") do not wait for each other, nor do reads for anything. While
 * no exclusive change is under way a shared one costs two stores to its channel's own memory, and
 * no lock.
 */
#ifndef ENGINE_E512_H
#define ENGINE_E512_H

#include <limits.h>
#include <pthread.h>

#include "engine/engines.h"

#define E512_BLOCK   4096u
#define E512_BUFFERS 16u /* unaligned I/Os of a channel that move at a time; the others wait */

_Static_assert(ENGINE_IOV_MAX + 2 <= IOV_MAX, "room for what stands before and behind the data");

/* What an unaligned I/O needs: its first and its last block, and the vector of what is between
 * them. Not resident before it is first used. */
struct e512_buffer {
    unsigned char block[2][E512_BLOCK];
    struct iovec iov[ENGINE_IOV_MAX + 2];
};
#define E512_BUFFER_BYTES ((sizeof(struct e512_buffer) + 4095) & ~(size_t)4095)

enum e512_slot_state {
    E512_IDLE,
    E512_OPEN,   /* a shared change in flight that is in no list */
    E512_LISTED, /* known to engine->ranges */
};

/* Where a channel shows its changes to the other channels. Written by the channel's thread, except
 * that whoever holds the lock may turn OPEN into LISTED. */
struct e512_slot {
    uint32_t state;
    uint64_t start, end; /* bytes, whole blocks */
};

struct e512_channel;

/* One I/O that is not simply handed down. */
struct e512_io {
    struct engine_io below;
    struct engine_io *io; /* the caller's */
    struct e512_channel *channel;
    struct e512_buffer *buffer; /* NULL: aligned */
    struct e512_slot *slot;
    unsigned todo; /* steps, e512_rmw.c */
    bool holds_range;
    struct e512_io *next; /* of the free ones, or of the granted ones */

    /* Under engine->lock, while the slot is LISTED. */
    struct e512_io *later, *earlier; /* neighbours in engine->ranges, in order of arrival */
    uint64_t start, end;
    bool exclusive;
    bool waiting;      /* its owner was told to wait */
    unsigned blockers; /* earlier ranges that must end first */
};

struct e512_engine {
    const struct engine_ops *ops;
    struct engine_info info; /* as offered */
    struct engine *below;
    const struct engine_ops *below_ops;

    uint32_t nr_exclusive; /* listed; changed under the lock, read without */
    pthread_mutex_t lock;  /* never taken while nr_exclusive is 0 and nothing is unaligned */
    struct e512_channel *channels;
    struct e512_io *first, *last; /* the list of ranges */
};

struct e512_channel {
    struct e512_engine *engine;
    struct ioctx *ctx;
    struct engine_channel *below;

    struct e512_io *ios, *free_io; /* depth of them, and a slot for each */
    struct e512_slot *slots;
    uint32_t nr_slots_used; /* no slot from here on was ever in use */
    void *buffer_memory;
    size_t buffer_bytes;
    struct e512_buffer *free_buffer[E512_BUFFERS];
    unsigned nr_free_buffers;
    struct engine_io *waiting, **waiting_tail; /* for an e512_io or a buffer, in order */

    /* Ranges that another thread let go of, or this one: the eventfd brings them here. */
    struct e512_channel *next;               /* of the engine's, under its lock */
    struct e512_io *granted, **granted_tail; /* under engine->lock */
    int event_fd;
    struct ioctx_op wake;
    uint64_t wake_count; /* io_uring reads the eventfd into it */
    unsigned nr_blocked;
    bool armed;
};

/* ---- e512.c ---- */

/* Lays 512e over an engine that has been started; info: what engine_e512_apply() made of the
 * engine's own. *below is taken over when it succeeds. */
int e512_over(struct engine *below, const struct engine_info *info, struct engine **out,
              struct errmsg *err);

/* ---- e512_io.c: the channel's thread ---- */

int e512_ios_open(struct e512_channel *ch, unsigned depth);
void e512_ios_close(struct e512_channel *ch);
/* Takes an I/O that was checked; its callback will come. */
void e512_take(struct e512_channel *ch, struct engine_io *io);
void e512_run(struct e512_io *x);

/* ---- e512_rmw.c: pure ---- */

/* Fills x->todo. */
void e512_plan(struct e512_io *x);
/* Makes x->below the next step of x->todo. */
void e512_prepare(struct e512_io *x);

/* ---- e512_range.c: the channel's thread ---- */

int e512_ranges_open(struct e512_channel *ch);
void e512_ranges_close(struct e512_channel *ch);
/* True: x has its range until e512_range_end(). False: it has to wait, and e512_run(x) is called
 * when it has. */
bool e512_range_begin(struct e512_io *x, uint64_t start, uint64_t end, bool exclusive);
void e512_range_end(struct e512_io *x);

static inline uint64_t e512_down(uint64_t bytes)
{
    return bytes & ~(uint64_t)(E512_BLOCK - 1);
}

/* Of no more than the size of the storage: it does not wrap. */
static inline uint64_t e512_up(uint64_t bytes)
{
    return e512_down(bytes + E512_BLOCK - 1);
}

static inline bool e512_aligned(const struct engine_io *io)
{
    return ((io->offset | io->length) & (E512_BLOCK - 1)) == 0;
}

#endif
