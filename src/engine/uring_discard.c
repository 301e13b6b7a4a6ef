/* SPDX-License-Identifier: MIT
 *
 * Discard and write-zeroes. On a file both are fallocate(), which io_uring runs on a thread of its
 * own; on a block device they are ioctls, for the channel's helper. Ring thread.
 *
 * priv.word[0]: the fallocate mode tried. priv.word[3]: retries in a row.
 */
#include <fcntl.h>
#include <linux/falloc.h>

#include "engine/uring.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO  (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

static void fallocate_done(struct ioctx_op *op, int res);

static void fallocate_queue(struct uring_channel *ch, struct engine_io *io)
{
    struct io_uring_sqe *sqe = ioctx_sqe(ch->ctx, &io->priv.op);

    io->priv.op.done = fallocate_done;
    io_uring_prep_fallocate(sqe, ch->fd, (int)io->priv.word[0], (off_t)io->offset,
                            (off_t)io->length);
    uring_sqe_file(ch, sqe);
}

static void fallocate_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);
    struct uring_channel *ch = uring_channel_of(io);

    if (res == -EOPNOTSUPP && io->priv.word[0] == ZERO) {
        ch->no_zero_range = true;
        io->priv.word[0] = PUNCH;
    } else if (!uring_again(io, res)) {
        io->done(io, res < 0 ? res : 0);
        return;
    }
    fallocate_queue(ch, io);
}

static void nothing_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);

    io->done(io, res);
}

/* Zeroing keeps the blocks allocated where the file system can (ZERO_RANGE); a punched hole reads
 * as zeroes just as well. */
void uring_discard_start(struct uring_channel *ch, struct engine_io *io)
{
    if (io->length == 0) {
        io->priv.op.done = nothing_done;
        ioctx_later(ch->ctx, &io->priv.op, 0);
        return;
    }
    if (ch->helper) {
        uring_helper_start(ch, io);
        return;
    }
    io->priv.word[0] = io->op == ENGINE_WRITE_ZEROES && !ch->no_zero_range ? ZERO : PUNCH;
    fallocate_queue(ch, io);
}
