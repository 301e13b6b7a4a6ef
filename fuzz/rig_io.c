/* SPDX-License-Identifier: MIT
 *
 * The rig's storage, whose bytes follow from their offset and which keeps I/Os back when told to,
 * and base/ioctx.h without a kernel: what completes, completes in the order it was made to.
 *
 * Threads: one; the ring's functions run in its fiber.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "fiber.h"
#include "rig.h"

/* ---- io_uring ---- */

static struct ring *ring_of(struct ioctx *ctx)
{
    return (struct ring *)((char *)ctx - offsetof(struct ring, io));
}

static struct rig_ring *rig_ring_of(struct ioctx *ctx)
{
    return judge_ring(ring_of(ctx));
}

static void make_ready(struct rig_ring *rr, struct ioctx_op *op, int res)
{
    CHECK(rr->nr_ready < RIG_SQES_MAX);
    rr->ready[rr->nr_ready].op = op;
    rr->ready[rr->nr_ready++].res = res;
    rig.progress++;
}

int ioctx_open(struct ioctx *ctx, unsigned entries, struct errmsg *err)
{
    struct ring *ring = ring_of(ctx);
    struct rig_ring *rr = &rig.rings[ring->config.index];

    (void)err;
    CHECK(ring->config.index < rig.nr_rings && entries <= RIG_SQES_MAX);
    rr->ring = ring;
    rr->nr_sqes = rr->nr_ready = 0;
    rr->read_op = rr->poll_op = NULL;
    return 0;
}

void ioctx_close(struct ioctx *ctx)
{
    rig_ring_of(ctx)->ring = NULL;
}

struct io_uring_sqe *ioctx_sqe(struct ioctx *ctx, struct ioctx_op *op)
{
    struct rig_ring *rr = rig_ring_of(ctx);

    CHECK(rr->nr_sqes < RIG_SQES_MAX);
    struct io_uring_sqe *sqe = &rr->sqe[rr->nr_sqes++];
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = (uint64_t)(uintptr_t)op;
    return sqe;
}

void ioctx_later(struct ioctx *ctx, struct ioctx_op *op, int res)
{
    make_ready(rig_ring_of(ctx), op, res);
}

bool ioctx_ready(const struct ioctx *ctx)
{
    return rig_ring_of((struct ioctx *)(uintptr_t)ctx)->nr_ready > 0;
}

static void submit_all(struct rig_ring *rr)
{
    for (unsigned i = 0; i < rr->nr_sqes; i++) {
        struct io_uring_sqe *sqe = &rr->sqe[i];
        struct ioctx_op *op = (struct ioctx_op *)(uintptr_t)sqe->user_data;
        if (sqe->opcode == IORING_OP_READ) {
            CHECK(!rr->read_op);
            rr->read_op = op;
            rr->read_fd = sqe->fd;
            rr->read_to = (void *)(uintptr_t)sqe->addr;
        } else {
            CHECK(sqe->opcode == IORING_OP_POLL_ADD && !rr->poll_op);
            rr->poll_op = op;
        }
    }
    rr->nr_sqes = 0;
}

static void collect(struct rig_ring *rr)
{
    struct pollfd p = {.fd = rr->read_fd, .events = POLLIN};

    if (rr->read_op && poll(&p, 1, 0) == 1) {
        struct ioctx_op *op = rr->read_op;
        rr->read_op = NULL;
        make_ready(rr, op, (int)read(rr->read_fd, rr->read_to, 8));
    }
    if (rr->poll_op && rr->pending && !rr->masked) {
        struct ioctx_op *op = rr->poll_op;
        rr->poll_op = NULL;
        make_ready(rr, op, POLLIN);
    }
}

int ioctx_enter(struct ioctx *ctx, bool wait, uint64_t timeout_ns)
{
    struct rig_ring *rr = rig_ring_of(ctx);

    submit_all(rr);
    rr->timeout = false;
    rr->waiting = wait && !rr->nr_ready;
    do {
        fiber_yield();
        collect(rr);
    } while (rr->waiting && !rr->nr_ready && (!rr->timeout || timeout_ns == UINT64_MAX));
    rr->waiting = false;
    return 0;
}

unsigned ioctx_reap(struct ioctx *ctx)
{
    struct rig_ring *rr = rig_ring_of(ctx);
    unsigned n = rr->nr_ready;

    for (unsigned i = 0; i < n; i++)
        rr->ready[i].op->done(rr->ready[i].op, rr->ready[i].res);
    rr->nr_ready -= n;
    memmove(rr->ready, rr->ready + n, rr->nr_ready * sizeof(rr->ready[0]));
    return n;
}

/* ---- Storage ---- */

unsigned char rig_disk_byte(uint64_t offset)
{
    return (unsigned char)(offset * 131 + (offset >> 9) * 7 + 1);
}

static void fill(const struct engine_io *io)
{
    uint64_t at = io->offset;

    for (unsigned v = 0; v < io->iovcnt; v++) {
        unsigned char *to = io->iov[v].iov_base;
        for (size_t i = 0; i < io->iov[v].iov_len; i++)
            to[i] = rig_disk_byte(at++);
        size_t in_guest = (size_t)(to - rig.memory);
        if (to < rig.memory || in_guest >= (size_t)RIG_PAGES * HV_PAGE)
            continue;
        memcpy(rig.shadow + in_guest, to, io->iov[v].iov_len);
        guest_changed(in_guest, io->iov[v].iov_len);
    }
}

static void on_later(struct ioctx_op *op, int res)
{
    struct engine_io *io = (struct engine_io *)((char *)op - offsetof(struct engine_io, priv.op));

    if (res == 0 && io->op == ENGINE_READ)
        fill(io);
    if (sabotaged("byte"))
        rig.memory[(RIG_PAGES - 1) * HV_PAGE + 17]++;
    judge_done(io, res);
    io->done(io, res);
}

static int channel_open(struct engine *e, struct ioctx *io, unsigned depth,
                        struct engine_channel **out)
{
    CHECK(e == (struct engine *)&rig.engine && depth > 0);
    if (rig.fail_channel)
        return rig.fail_channel;
    *out = (struct engine_channel *)io;
    return 0;
}

static void channel_close(struct engine_channel *ch)
{
    CHECK(ch != NULL);
}

static int submit(struct engine_channel *ch, struct engine_io *io)
{
    rig_call();
    judge_submit(io);
    if (rig.submit_result) {
        judge_submit_failed(io, rig.submit_result);
        return rig.submit_result;
    }
    io->priv.op.done = on_later;
    io->priv.channel = ch;
    if (rig.hold)
        rig.held[rig.nr_held++] = io;
    else
        ioctx_later((struct ioctx *)ch, &io->priv.op, rig.result);
    return 0;
}

const struct engine_ops rig_engine_ops = {
    .name = "rig",
    .channel_open = channel_open,
    .channel_close = channel_close,
    .submit = submit,
};
