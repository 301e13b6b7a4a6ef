/* SPDX-License-Identifier: MIT
 *
 * Reads and writes whose memory direct I/O does not take as it is: they pass through aligned
 * buffers, piece by piece. When no buffer is free an I/O waits in line for one; it never fails and
 * nothing is allocated. Ring thread.
 *
 * priv.bounce: the buffer. priv.done_bytes: bytes of the I/O finished, the pieces before this one.
 * priv.word[0]: length of the piece in the buffer; word[1]: how much of it has been moved;
 * word[3]: retries in a row.
 */
#include <string.h>
#include <sys/mman.h>

#include "engine/uring.h"

bool uring_bounce_needed(const struct uring_channel *ch, const struct engine_io *io)
{
    uintptr_t bases = 0, lengths = 0;

    if (!ch->engine->direct)
        return false;
    for (unsigned i = 0; i < io->iovcnt; i++) {
        bases |= (uintptr_t)io->iov[i].iov_base;
        lengths |= io->iov[i].iov_len;
    }
    return (bases & (ch->engine->info.memory_align - 1)) ||
           (lengths & (ch->engine->info.logical_block - 1));
}

int uring_bounce_open(struct uring_channel *ch, unsigned depth)
{
    ch->waiting = NULL;
    ch->waiting_tail = &ch->waiting;
    if (!ch->engine->direct)
        return 0;
    unsigned n = depth < URING_BOUNCE_BUFFERS ? depth : URING_BOUNCE_BUFFERS;
    n = n ? n : 1;
    ch->bounce_bytes = (size_t)n * URING_BOUNCE_BYTES;
    void *memory = mmap(NULL, ch->bounce_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    ch->bounce_memory = memory;
    for (unsigned i = 0; i < n; i++)
        ch->bounce_free[i] = (char *)memory + (size_t)i * URING_BOUNCE_BYTES;
    ch->bounce_nr_free = n;
    return 0;
}

void uring_bounce_close(struct uring_channel *ch)
{
    if (ch->bounce_memory)
        munmap(ch->bounce_memory, ch->bounce_bytes);
}

/* Moves n bytes between the buffer and the vector, `skip` bytes into the vector. */
static void copy(const struct engine_io *io, void *buffer, uint64_t skip, uint64_t n)
{
    char *p = buffer;

    for (unsigned i = 0; n > 0 && i < io->iovcnt; i++) {
        uint64_t len = io->iov[i].iov_len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        char *base = (char *)io->iov[i].iov_base + skip;
        len -= skip;
        skip = 0;
        if (len > n)
            len = n;
        if (io->op == ENGINE_WRITE)
            memcpy(p, base, len);
        else
            memcpy(base, p, len);
        p += len;
        n -= len;
    }
}

static void piece_queue(struct uring_channel *ch, struct engine_io *io)
{
    struct io_uring_sqe *sqe = ioctx_sqe(ch->ctx, &io->priv.op);
    char *p = (char *)io->priv.bounce + io->priv.word[1];
    unsigned len = (unsigned)(io->priv.word[0] - io->priv.word[1]);
    uint64_t offset = io->offset + io->priv.done_bytes + io->priv.word[1];

    if (io->op == ENGINE_READ)
        io_uring_prep_read(sqe, ch->fd, p, len, offset);
    else
        io_uring_prep_write(sqe, ch->fd, p, len, offset);
    uring_sqe_file(ch, sqe);
}

static void piece_begin(struct uring_channel *ch, struct engine_io *io)
{
    uint64_t left = io->length - io->priv.done_bytes;

    io->priv.word[0] = left < URING_BOUNCE_BYTES ? left : URING_BOUNCE_BYTES;
    io->priv.word[1] = 0;
    if (io->op == ENGINE_WRITE)
        copy(io, io->priv.bounce, io->priv.done_bytes, io->priv.word[0]);
    piece_queue(ch, io);
}

/* Gives the buffer to whoever waits longest, before the callback can submit more. */
static void finish(struct uring_channel *ch, struct engine_io *io, int result)
{
    void *buffer = io->priv.bounce;
    struct engine_io *next = ch->waiting;

    io->priv.bounce = NULL;
    if (next) {
        ch->waiting = next->priv.next;
        if (!ch->waiting)
            ch->waiting_tail = &ch->waiting;
        next->priv.bounce = buffer;
        piece_begin(ch, next);
    } else {
        ch->bounce_free[ch->bounce_nr_free++] = buffer;
    }
    io->done(io, result);
}

static void piece_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);
    struct uring_channel *ch = uring_channel_of(io);

    if (res <= 0) {
        if (uring_again(io, res))
            piece_queue(ch, io);
        else
            finish(ch, io, res < 0 ? res : -EIO);
        return;
    }
    io->priv.word[3] = 0;
    io->priv.word[1] += (unsigned)res;
    if (io->priv.word[1] < io->priv.word[0]) {
        piece_queue(ch, io);
        return;
    }
    if (io->op == ENGINE_READ)
        copy(io, io->priv.bounce, io->priv.done_bytes, io->priv.word[0]);
    io->priv.done_bytes += io->priv.word[0];
    if (io->priv.done_bytes < io->length)
        piece_begin(ch, io);
    else
        finish(ch, io, 0);
}

void uring_bounce_start(struct uring_channel *ch, struct engine_io *io)
{
    io->priv.op.done = piece_done;
    if (ch->bounce_nr_free > 0) {
        io->priv.bounce = ch->bounce_free[--ch->bounce_nr_free];
        piece_begin(ch, io);
        return;
    }
    io->priv.next = NULL;
    *ch->waiting_tail = io;
    ch->waiting_tail = &io->priv.next;
}
