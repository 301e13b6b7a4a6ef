/* SPDX-License-Identifier: MIT
 *
 * Reads and writes straight from and to the caller's memory, continued until nothing is left.
 * Ring thread; allocates nothing.
 *
 * priv.done_bytes: how much has been moved. priv.word[3]: retries in a row.
 */
#include "engine/uring.h"

unsigned uring_iov_rest(const struct iovec *iov, unsigned iovcnt, uint64_t done, unsigned *first,
                        struct iovec *part)
{
    unsigned i = 0;

    while (i < iovcnt && done >= iov[i].iov_len)
        done -= iov[i++].iov_len;
    *first = i;
    *part = (struct iovec){0};
    if (i == iovcnt)
        return 0;
    part->iov_base = (char *)iov[i].iov_base + done;
    part->iov_len = iov[i].iov_len - done;
    return done ? 1 : iovcnt - i;
}

static void rw_done(struct ioctx_op *op, int res);

/* A vector element is never taken apart in place (it is the caller's): its rest goes as a transfer
 * of its own, and the whole elements behind it follow as the next one. */
static void rw_queue(struct uring_channel *ch, struct engine_io *io)
{
    struct iovec part;
    unsigned first;
    unsigned n = uring_iov_rest(io->iov, io->iovcnt, io->priv.done_bytes, &first, &part);
    uint64_t offset = io->offset + io->priv.done_bytes;
    struct io_uring_sqe *sqe = ioctx_sqe(ch->ctx, &io->priv.op);

    if (n > 1) {
        if (io->op == ENGINE_READ)
            io_uring_prep_readv(sqe, ch->fd, &io->iov[first], n, offset);
        else
            io_uring_prep_writev(sqe, ch->fd, &io->iov[first], n, offset);
    } else {
        unsigned len = part.iov_len < URING_RW_MAX ? (unsigned)part.iov_len : URING_RW_MAX;
        if (io->op == ENGINE_READ)
            io_uring_prep_read(sqe, ch->fd, part.iov_base, len, offset);
        else
            io_uring_prep_write(sqe, ch->fd, part.iov_base, len, offset);
    }
    uring_sqe_file(ch, sqe);
}

static void rw_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);

    if (res > 0) {
        io->priv.done_bytes += (unsigned)res;
        if (io->priv.done_bytes >= io->length) {
            io->done(io, 0);
            return;
        }
        io->priv.word[3] = 0;
    } else if (!uring_again(io, res)) {
        /* Nothing moved and no error: the store has become shorter than it was. */
        io->done(io, res < 0 ? res : -EIO);
        return;
    }
    rw_queue(uring_channel_of(io), io);
}

void uring_rw_start(struct uring_channel *ch, struct engine_io *io)
{
    io->priv.op.done = rw_done;
    rw_queue(ch, io);
}
