/* SPDX-License-Identifier: MIT
 *
 * The uring engine's channels: one for each ring, on the ring's io_uring. Ring thread.
 */
#include "engine/uring.h"

#include <stdlib.h>

/* A registered file saves the reference counting of each submission. The table belongs to the whole
 * io_uring: when somebody has one already, or the kernel refuses, the plain descriptor does. */
static void register_file(struct uring_channel *ch)
{
    ch->fd = ch->engine->fd;
    ch->sqe_flags = 0;
    if (io_uring_register_files(&ch->ctx->uring, &ch->engine->fd, 1) == 0) {
        ch->fd = 0;
        ch->sqe_flags = IOSQE_FIXED_FILE;
    }
}

static void channel_close(struct engine_channel *channel)
{
    struct uring_channel *ch = (struct uring_channel *)channel;

    uring_helper_close(ch);
    if (ch->sqe_flags & IOSQE_FIXED_FILE)
        io_uring_unregister_files(&ch->ctx->uring);
    uring_bounce_close(ch);
    free(ch);
}

static int channel_open(struct engine *engine, struct ioctx *ctx, unsigned depth,
                        struct engine_channel **out)
{
    struct uring_channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return -ENOMEM;
    ch->engine = (struct uring_engine *)engine;
    ch->ctx = ctx;
    int ret = uring_bounce_open(ch, depth);
    if (!ret)
        ret = uring_helper_open(ch);
    if (ret < 0) {
        channel_close((struct engine_channel *)ch);
        return ret;
    }
    register_file(ch);
    *out = (struct engine_channel *)ch;
    return 0;
}

static void flush_start(struct uring_channel *ch, struct engine_io *io);

static void flush_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);

    if (uring_again(io, res))
        flush_start(uring_channel_of(io), io);
    else
        io->done(io, res < 0 ? res : 0);
}

static void flush_start(struct uring_channel *ch, struct engine_io *io)
{
    struct io_uring_sqe *sqe = ioctx_sqe(ch->ctx, &io->priv.op);

    io->priv.op.done = flush_done;
    io_uring_prep_fsync(sqe, ch->fd, IORING_FSYNC_DATASYNC);
    uring_sqe_file(ch, sqe);
}

static int submit(struct engine_channel *channel, struct engine_io *io)
{
    struct uring_channel *ch = (struct uring_channel *)channel;
    int ret = engine_io_check(&ch->engine->info, io);

    if (ret < 0)
        return ret;
    io->priv.channel = ch;
    io->priv.done_bytes = 0;
    io->priv.word[3] = 0;
    switch (io->op) {
    case ENGINE_READ:
    case ENGINE_WRITE:
        if (uring_bounce_needed(ch, io))
            uring_bounce_start(ch, io);
        else
            uring_rw_start(ch, io);
        return 0;
    case ENGINE_FLUSH:
        flush_start(ch, io);
        return 0;
    case ENGINE_DISCARD:
    case ENGINE_WRITE_ZEROES:
        uring_discard_start(ch, io);
        return 0;
    }
    return -EOPNOTSUPP;
}

const struct engine_ops engine_uring = {
    .name = "uring",
    .open = uring_open,
    .start = uring_start,
    .stop = uring_stop,
    .channel_open = channel_open,
    .channel_close = channel_close,
    .submit = submit,
};
