/* SPDX-License-Identifier: MIT
 *
 * The storage contract. An engine serves one disk's bytes; nothing here knows about Xen.
 *
 * An engine has two halves, because the process that may open a path is not the process that serves
 * it: open() runs in the daemon and yields descriptors and facts (struct engine_desc, plain data
 * that is sent to the worker together with the descriptors); start(), channels and submit() run in
 * the worker, which never sees a path.
 *
 * Units: bytes everywhere; offsets and lengths of I/O are multiples of info.logical_block.
 *
 * Threads: a struct engine is shared by the rings of a disk and immutable after start(); a channel
 * belongs to the ring thread that opened it, as do all its I/Os and callbacks.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/ioctx.h"

#define ENGINE_NAME_MAX 16
#define ENGINE_NOTE_MAX 160
#define ENGINE_FDS_MAX  4
#define ENGINE_IOV_MAX  1022 /* IOV_MAX, less what a wrapper may add at both ends */

enum engine_op {
    ENGINE_READ,
    ENGINE_WRITE,
    ENGINE_FLUSH,   /* writes completed before it was submitted are durable when it completes */
    ENGINE_DISCARD, /* a hint; afterwards the range reads as anything the store likes */
    ENGINE_WRITE_ZEROES, /* afterwards the range reads as zeroes */
};

#define ENGINE_IO_SECURE (1u << 0) /* DISCARD: the old bytes must be beyond recovery */

#define ENGINE_OPEN_READ_ONLY (1u << 0) /* no descriptor may be able to write */
#define ENGINE_OPEN_SHARED    (1u << 1) /* others may write too: take and respect no locks */
/* Storage whose blocks are 4096 bytes is offered with 4096; else with 512 (512e, see the end). */
#define ENGINE_OPEN_OWN_BLOCKS (1u << 2)

/* What the engine can do and what shape its storage has. Filled by open(). */
struct engine_info {
    uint64_t size_bytes;          /* a multiple of 512 */
    uint32_t logical_block;       /* bytes: 512 or 4096; smallest unit of I/O */
    uint32_t physical_block;      /* bytes; for the guest's information */
    uint32_t memory_align;        /* bytes: iov bases that are not multiples of it, and lengths
                                     that are not multiples of logical_block, are bounced by the
                                     engine itself; for information */
    uint32_t discard_granularity; /* bytes; 0 with can_discard false */
    uint32_t discard_alignment;   /* bytes */
    bool read_only;               /* the descriptors themselves refuse writing */
    bool can_flush;
    bool can_discard;
    bool can_discard_secure;
    bool can_write_zeroes;
    bool is_block_device;
    uint32_t dev_major, dev_minor; /* of the block device; 0 otherwise */
    char note[ENGINE_NOTE_MAX];    /* something the operator should know ("buffered: tmpfs has no
                                      O_DIRECT"), or "" */
};

/* Plain data: goes from daemon to worker as it is, the descriptors beside it. */
struct engine_desc {
    char engine[ENGINE_NAME_MAX];
    struct engine_info info;
    uint32_t nr_fds;
    int32_t fds[ENGINE_FDS_MAX]; /* owned by whoever holds the struct */
    uint32_t flags;              /* the engine's own */
};

/* One I/O. The caller owns it and the memory iov points to until done() runs. */
struct engine_io {
    enum engine_op op;
    uint32_t flags;  /* ENGINE_IO_* */
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes; 0 for FLUSH; equals the sum of iov for READ and WRITE */
    const struct iovec *iov;
    unsigned iovcnt; /* 1..ENGINE_IOV_MAX for READ and WRITE, 0 otherwise */
    /* result: 0, or a negative errno; a short transfer is never reported, the engine continues it.
     */
    void (*done)(struct engine_io *io, int result);
    /* For the engine while the I/O is in flight. */
    struct {
        struct ioctx_op op;
        struct engine_io *next;
        void *channel;
        void *bounce;
        uint64_t done_bytes;
        uint64_t word[4];
    } priv;
};

struct engine;         /* each engine's own; first member: const struct engine_ops *ops */
struct engine_channel; /* likewise */

struct engine_ops {
    const char *name; /* "uring" */

    /* Opens target for reading, and for writing unless ENGINE_OPEN_READ_ONLY (then no descriptor
     * can write). Flushes and invalidates the page cache of what is served with O_DIRECT, so that
     * neither side sees the other's stale pages. Refuses, with one line in err that says what to
     * do: what does not exist, may not be opened, is neither a regular file nor a block device, is
     * empty, has a size that is not a multiple of 512, or is in use (mounted, or locked by another
     * writer) unless ENGINE_OPEN_SHARED. On success *desc owns its descriptors. Blocking; daemon's
     * side. */
    int (*open)(const char *target, unsigned flags, struct engine_desc *desc, struct errmsg *err);

    /* Takes over the descriptors of *desc whether it succeeds or not (checks that each is what it
     * should be: a descriptor is input too). Worker's side. */
    int (*start)(struct engine_desc *desc, struct engine **out, struct errmsg *err);
    void (*stop)(struct engine *engine); /* every channel has been closed */

    /* depth: the most I/Os ever in flight on this channel; everything it needs is allocated here.
     */
    int (*channel_open)(struct engine *engine, struct ioctx *ctx, unsigned depth,
                        struct engine_channel **out);
    void (*channel_close)(struct engine_channel *channel); /* nothing is in flight */

    /* 0: io->done fires exactly once, on this thread, from ioctx_reap(), never from inside submit.
     * Negative errno: it never fires. The engine queues into ctx; the caller enters. */
    int (*submit)(struct engine_channel *channel, struct engine_io *io);
};

/* The engine of that name (engine_desc.engine), or NULL. */
const struct engine_ops *engine_find(const char *name);

/* Splits "uring:/path", "null:10G", "aio:/path" or a bare "/path" into engine and target; a bare
 * path is uring's. *target points into spec. NULL with err set if no such engine exists. */
const struct engine_ops *engine_resolve(const char *spec, const char **target, struct errmsg *err);

/* 512e. Storage of 4096-byte blocks gets a wrapper by itself: open() names it in desc.engine
 * ("e512+uring") and says so in info.note, and start() of what engine_find() has under that name
 * serves logical_block 512. A change of part of a block is read-modify-write: it is ordered with
 * every other change of that block through this struct engine, it changes nothing if a read fails,
 * and a neighbour in the same block shares its fate if the power fails. DISCARD spares a block that
 * is not in it as a whole (a secure one is refused then: -EINVAL). */

/* Closes the descriptors that desc still owns. */
void engine_desc_close(struct engine_desc *desc);

static inline const struct engine_ops *engine_ops_of(const struct engine *engine)
{
    return *(const struct engine_ops *const *)engine;
}

#endif
