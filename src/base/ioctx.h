/* SPDX-License-Identifier: MIT
 *
 * One thread's io_uring: the ring thread waits in it for its event channel, its control messages
 * and its storage alike, and submits a whole pass with the same system call that waits.
 *
 * Every operation is a struct ioctx_op inside the owner's own object; its address is the io_uring
 * user_data. done() runs once for each completion, from ioctx_reap(), never from inside a
 * submission.
 *
 * Threads: everything here belongs to the thread that called ioctx_open().
 */
#ifndef BASE_IOCTX_H
#define BASE_IOCTX_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ioctx_op {
    /* res: what io_uring or ioctx_later() reports, >= 0 or a negative errno. */
    void (*done)(struct ioctx_op *op, int res);
    struct ioctx_op *next; /* ioctx's, while on the later list */
    int later_res;
};

struct ioctx {
    struct io_uring uring;
    unsigned setup_flags;        /* the IORING_SETUP_* that this kernel granted */
    struct ioctx_op *later_head; /* to be completed by the next ioctx_reap() */
    struct ioctx_op **later_tail;
    uint64_t enters; /* system calls made */
};

/* entries: submission slots, a power of two; the completion queue gets four times as many, so that
 * it cannot overflow as long as at most 4 * entries operations are in flight. Tries
 * SINGLE_ISSUER|DEFER_TASKRUN (Linux 6.1), then COOP_TASKRUN (5.19), then nothing.
 * Returns 0, or a negative errno with the reason in err. */
int ioctx_open(struct ioctx *ctx, unsigned entries, struct errmsg *err);
void ioctx_close(struct ioctx *ctx);

/* A cleared submission entry that already carries op as its user data. When the queue is full it is
 * submitted first. Never NULL; op must stay valid until done() has run. */
struct io_uring_sqe *ioctx_sqe(struct ioctx *ctx, struct ioctx_op *op);

/* Completes op with res at the next ioctx_reap(): for engines that know the answer at once. */
void ioctx_later(struct ioctx *ctx, struct ioctx_op *op, int res);

/* Submits what is queued, and with wait waits until something has completed or timeout_ns has
 * passed (UINT64_MAX: no limit). One system call at most; none when nothing is queued and wait is
 * false, except where deferred task work must be run. Does not wait when something is on the later
 * list. Returns 0 or a negative errno; -ETIME and -EINTR are not errors and become 0. */
int ioctx_enter(struct ioctx *ctx, bool wait, uint64_t timeout_ns);

/* Runs done() of everything that has completed up to now; returns how many. Operations that those
 * callbacks complete later are left for the next call. */
unsigned ioctx_reap(struct ioctx *ctx);

/* True if ioctx_reap() would find something without a system call. */
bool ioctx_ready(const struct ioctx *ctx);

#endif
