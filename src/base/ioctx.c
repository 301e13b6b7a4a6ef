/* SPDX-License-Identifier: MIT
 *
 * One thread's io_uring. Threads: see ioctx.h.
 */
#include "base/ioctx.h"

#include <string.h>

/* Best first: SINGLE_ISSUER|DEFER_TASKRUN keeps completion work on this thread and in the system
 * call it makes anyway; COOP_TASKRUN at least spares the interrupts. */
static const unsigned setup_choices[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

int ioctx_open(struct ioctx *ctx, unsigned entries, struct errmsg *err)
{
    int ret = -EINVAL;

    memset(ctx, 0, sizeof(*ctx));
    ctx->later_tail = &ctx->later_head;
    for (unsigned i = 0; i < sizeof(setup_choices) / sizeof(setup_choices[0]); i++) {
        struct io_uring_params p = {
            .flags = setup_choices[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = entries * 4,
        };
        ret = io_uring_queue_init_params(entries, &ctx->uring, &p);
        if (!ret) {
            ctx->setup_flags = setup_choices[i];
            return 0;
        }
        if (ret != -EINVAL)
            break;
    }
    if (ret == -EPERM || ret == -ENOSYS)
        return errmsg_set(err, ret,
                          "io_uring is not allowed here: check kernel.io_uring_disabled "
                          "(sysctl) and the seccomp policy of this service or container");
    if (ret == -ENOMEM)
        return errmsg_set(err, ret, "no memory for an io_uring: raise RLIMIT_MEMLOCK");
    return errmsg_set(err, ret, "cannot set up io_uring: %s", strerror(-ret));
}

void ioctx_close(struct ioctx *ctx)
{
    io_uring_queue_exit(&ctx->uring);
}

struct io_uring_sqe *ioctx_sqe(struct ioctx *ctx, struct ioctx_op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->uring);

    while (!sqe) {
        ctx->enters++;
        io_uring_submit(&ctx->uring);
        sqe = io_uring_get_sqe(&ctx->uring);
    }
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = (uint64_t)(uintptr_t)op;
    return sqe;
}

void ioctx_later(struct ioctx *ctx, struct ioctx_op *op, int res)
{
    op->later_res = res;
    op->next = NULL;
    *ctx->later_tail = op;
    ctx->later_tail = &op->next;
}

bool ioctx_ready(const struct ioctx *ctx)
{
    return ctx->later_head || io_uring_cq_ready(&ctx->uring);
}

/* Completions that wait for this thread to enter the kernel: deferred task work, or what did not
 * fit the completion queue. */
static bool kernel_has_work(struct ioctx *ctx)
{
    unsigned flags = IO_URING_READ_ONCE(*ctx->uring.sq.kflags);

    return flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

int ioctx_enter(struct ioctx *ctx, bool wait, uint64_t timeout_ns)
{
    unsigned queued = io_uring_sq_ready(&ctx->uring);
    int ret;

    if (ioctx_ready(ctx))
        wait = false;
    if (!wait) {
        if (!queued && !kernel_has_work(ctx))
            return 0;
        ctx->enters++;
        /* A submission alone does not run deferred task work: ask for events, wait for none. */
        ret = io_uring_submit_and_get_events(&ctx->uring);
    } else {
        struct io_uring_cqe *cqe;
        struct __kernel_timespec ts = {.tv_sec = (long long)(timeout_ns / 1000000000u),
                                       .tv_nsec = (long long)(timeout_ns % 1000000000u)};
        ctx->enters++;
        ret = io_uring_submit_and_wait_timeout(&ctx->uring, &cqe, 1,
                                               timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
    }
    if (ret == -ETIME || ret == -EINTR || ret == -EAGAIN || ret == -EBUSY)
        return 0;
    return ret < 0 ? ret : 0;
}

static unsigned reap_later(struct ioctx *ctx)
{
    struct ioctx_op *op = ctx->later_head;
    unsigned n = 0;

    ctx->later_head = NULL;
    ctx->later_tail = &ctx->later_head;
    while (op) {
        struct ioctx_op *next = op->next; /* done() may put op on the list again */
        op->done(op, op->later_res);
        op = next;
        n++;
    }
    return n;
}

unsigned ioctx_reap(struct ioctx *ctx)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    unsigned budget = io_uring_cq_ready(&ctx->uring);

    unsigned total = reap_later(ctx);
    io_uring_for_each_cqe(&ctx->uring, head, cqe)
    {
        if (n == budget)
            break;
        struct ioctx_op *op = (struct ioctx_op *)(uintptr_t)cqe->user_data;
        int res = cqe->res;
        n++;
        if (op)
            op->done(op, res);
    }
    io_uring_cq_advance(&ctx->uring, n);
    return total + n;
}
