/* SPDX-License-Identifier: MIT
 *
 * The inside of the uring engine: raw files and block devices through io_uring.
 *
 *   uring_open.c    daemon: path → descriptor and facts, or one line that says why not
 *   uring_lock.c    daemon: the image locks shared with QEMU
 *   uring_probe.c   daemon: what the file system or device can do
 *   uring_start.c   worker: checks what it was sent
 *   uring.c         worker: channels, submit
 *   uring_rw.c      worker: reads and writes to their end
 *   uring_bounce.c  worker: memory that direct I/O does not take
 *   uring_discard.c worker: discard and write-zeroes
 *   uring_helper.c  worker: the thread for block device calls that block
 */
#ifndef ENGINE_URING_H
#define ENGINE_URING_H

#include <sys/stat.h>

#include "engine/engines.h"

#define URING_DESC_DIRECT (1u << 0) /* engine_desc.flags: the descriptor is O_DIRECT */

/* A -EAGAIN or -EINTR without progress is tried this often before it is reported. */
#define URING_RETRIES_MAX 100

/* One read or write call of the kernel moves at most this much; more is continued. */
#define URING_RW_MAX (1u << 30)

/* Bounce memory of a channel: buffers of this many bytes, at most so many of them. A larger I/O
 * passes through one buffer piece by piece. Not resident before it is first used. */
#define URING_BOUNCE_BYTES   (256u << 10)
#define URING_BOUNCE_BUFFERS 8u

struct uring_engine {
    const struct engine_ops *ops;
    struct engine_info info;
    bool direct;
    int fd;
};

struct uring_helper;

struct uring_channel {
    struct uring_engine *engine;
    struct ioctx *ctx;
    int fd; /* what a submission entry names: a slot of the file table, or a descriptor */
    uint8_t sqe_flags;  /* IOSQE_FIXED_FILE, or 0 */
    bool no_zero_range; /* the file system turned FALLOC_FL_ZERO_RANGE down */

    void *bounce_memory; /* NULL: never needed */
    size_t bounce_bytes;
    void *bounce_free[URING_BOUNCE_BUFFERS];
    unsigned bounce_nr_free;
    struct engine_io *waiting; /* for a buffer, in order */
    struct engine_io **waiting_tail;

    struct uring_helper *helper; /* block devices that can discard or zero; else NULL */
};

static inline struct uring_channel *uring_channel_of(const struct engine_io *io)
{
    return io->priv.channel;
}

/* The submission entry's descriptor and flags; call after io_uring_prep_*(), which clears them. */
static inline void uring_sqe_file(const struct uring_channel *ch, struct io_uring_sqe *sqe)
{
    sqe->fd = ch->fd;
    sqe->flags |= ch->sqe_flags;
}

/* True if res says "once more" and it has not been said too often without progress. */
static inline bool uring_again(struct engine_io *io, int res)
{
    return (res == -EAGAIN || res == -EINTR) && ++io->priv.word[3] <= URING_RETRIES_MAX;
}

void uring_rw_start(struct uring_channel *ch, struct engine_io *io);

/* The part of a vector that starts `done` bytes in: whole elements from *first on, or, when `done`
 * is inside an element, the rest of that one alone. Returns how many elements, 0 past the end. */
unsigned uring_iov_rest(const struct iovec *iov, unsigned iovcnt, uint64_t done, unsigned *first,
                        struct iovec *part);

bool uring_bounce_needed(const struct uring_channel *ch, const struct engine_io *io);
int uring_bounce_open(struct uring_channel *ch, unsigned depth);
void uring_bounce_close(struct uring_channel *ch);
void uring_bounce_start(struct uring_channel *ch, struct engine_io *io);

void uring_discard_start(struct uring_channel *ch, struct engine_io *io);

/* Runs the ioctl of a discard or write-zeroes on a thread of the channel; io->done fires on the
 * ring's own. */
int uring_helper_open(struct uring_channel *ch);
void uring_helper_close(struct uring_channel *ch);
void uring_helper_start(struct uring_channel *ch, struct engine_io *io);

int uring_open(const char *target, unsigned flags, struct engine_desc *desc, struct errmsg *err);
int uring_start(struct engine_desc *desc, struct engine **out, struct errmsg *err);
void uring_stop(struct engine *engine);

/* Takes the locks QEMU's tools look at, or fails with -EBUSY. */
int uring_lock(int fd, const char *path, bool writer, struct engine_info *info, struct errmsg *err);

/* Fill *info, and switch fd to direct I/O where that can be: *direct says. */
int uring_probe_file(int fd, const struct stat *st, bool shared, struct engine_info *info,
                     bool *direct);
int uring_probe_block(int fd, const struct stat *st, struct engine_info *info, bool *direct);

#endif
