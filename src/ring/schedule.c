/* SPDX-License-Identifier: MIT
 *
 * A ring's thread: what xen_blkif_schedule() is to the kernel driver. One pass answers what has
 * completed, takes what is new, publishes once; then it sleeps in its io_uring, where the event
 * channel, the stop request and the storage all arrive. An idle ring is woken once, to give back
 * what it no longer uses, and then not at all.
 *
 * Thread: the ring's.
 */
#include "ring/internal.h"

#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/barrier.h"

/* Submission slots: a request is one I/O at a time, plus the event's poll and the wake-up's read.
 */
#define RING_EXTRA_SQES 8

/* An event that found the ring empty, this many times in a row, is a storm (XSA-332): the port then
 * stays masked for a while. The kernel gives its own backends such a pause; /dev/xen/evtchn does
 * not. */
#define EMPTY_EVENTS_MAX 16
#define STORM_PAUSE_NS   10000000u

static void tell_control(struct ring *ring)
{
    uint64_t one = 1;

    if (write(ring->config.event_fd, &one, sizeof(one)) < 0)
        log_error("ring %u: cannot tell the control thread", ring->config.index);
}

void ring_halt(struct ring *ring, enum ring_halt why)
{
    if (ring->halted)
        return;
    ring->halted = why;
    WRITE_ONCE(ring->config.stats->halted, why);
    if (log_limit_ok(&ring->config.stats->log_limit))
        log_error("ring %u stopped for good: %s", ring->config.index,
                  why == RING_HALT_OVERFLOW ? "the guest's request index is impossible"
                                            : "its io_uring or event channel failed");
    tell_control(ring);
}

static void listen_for_wake(struct ring *ring)
{
    io_uring_prep_read(ioctx_sqe(&ring->io, &ring->wake_op), ring->wake_fd, &ring->wake_count,
                       sizeof(ring->wake_count), 0);
}

static void on_event(struct ioctx_op *op, int res)
{
    struct ring *ring = (struct ring *)((char *)op - __builtin_offsetof(struct ring, event_op));

    ring->event_armed = false;
    if (res < 0)
        return;
    int pending = hv_evtchn_pending(ring->evtchn);
    if (pending < 0) {
        ring_halt(ring, RING_HALT_IO);
        return;
    }
    if (pending) {
        ring->event_masked = true;
        counter_add(&ring->config.stats->wakeups, 1);
        ring->empty_events++;
        if (blkif_ring_pending(&ring->back) != 0)
            ring->empty_events = 0;
        else
            counter_add(&ring->config.stats->empty_wakeups, 1);
    }
}

/* The control thread wants something, or another ring's barrier begins or ends: either way the next
 * pass looks at everything. */
static void on_wake(struct ioctx_op *op, int res)
{
    struct ring *ring = (struct ring *)((char *)op - __builtin_offsetof(struct ring, wake_op));

    (void)res;
    ring->stopping = READ_ONCE(ring->stop);
    ring->pause_seen = READ_ONCE(ring->pause);
    listen_for_wake(ring);
}

/* The port is written back after the work and before the sleep (that write is the late EOI), and
 * polled again. Returns for how long to sleep at most, in ns. */
static uint64_t listen_for_event(struct ring *ring)
{
    if (ring->event_masked && ring->empty_events >= EMPTY_EVENTS_MAX) {
        ring->empty_events = EMPTY_EVENTS_MAX / 2;
        return STORM_PAUSE_NS;
    }
    if (ring->event_masked) {
        ring->event_masked = false;
        if (hv_evtchn_unmask(ring->evtchn))
            ring_halt(ring, RING_HALT_IO);
    }
    if (!ring->event_armed) {
        ring->event_armed = true;
        io_uring_prep_poll_add(ioctx_sqe(&ring->io, &ring->event_op), hv_evtchn_fd(ring->evtchn),
                               POLLIN);
    }
    return UINT64_MAX;
}

static bool takes_requests(const struct ring *ring)
{
    return !ring->stopping && !ring->halted && !(ring->pause_seen & 1) && !ring->gated;
}

/* The end of a pass: submits what it queued, and sleeps if nothing is left to do. As long as
 * something has completed already, req_event stays behind and the frontend does not notify. */
static int ring_wait(struct ring *ring)
{
    uint64_t limit_ns = UINT64_MAX;

    /* Those whose memory the starved one waits for may have been answered without the storage. */
    if (ioctx_ready(&ring->io) || (ring->starved && pool_reserve(ring, ring->starved)))
        return ioctx_enter(&ring->io, false, 0);
    if (takes_requests(ring) && !ring->barrier && !ring->starved) {
        if (blkif_ring_arm(&ring->back)) /* came in between; or broken, as the next pass will see */
            return ioctx_enter(&ring->io, false, 0);
        limit_ns = listen_for_event(ring);
    }
    /* An idle ring is woken once, to give back what it no longer uses; then not at all. */
    uint64_t due_ms = persistent_purge(ring), squeeze_ms = pool_squeeze(ring);
    if (squeeze_ms < due_ms)
        due_ms = squeeze_ms;
    if (due_ms != UINT64_MAX && due_ms * 1000000 < limit_ns)
        limit_ns = due_ms * 1000000;
    return ioctx_enter(&ring->io, true, limit_ns);
}

/* The freeze point: what was taken before the pause has been answered. */
static void rest_if_paused(struct ring *ring)
{
    if (!(ring->pause_seen & 1) || ring->inflight || ring->resting == ring->pause_seen)
        return;
    WRITE_ONCE(ring->resting, ring->pause_seen);
    tell_control(ring);
}

static void ring_pass(struct ring *ring)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    ring->now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    ioctx_reap(&ring->io);
    ring_answer_done(ring);
    ring->gated = !ring_gate_enter(ring->config.gate, ring->config.index);
    ring_consume(ring, takes_requests(ring));
    ring_answer_done(ring); /* what was answered without the storage */
    ring_gate_leave(ring->config.gate, ring->config.index, ring->inflight > (ring->parked != NULL),
                    !ring->left_some || !takes_requests(ring));
    if (!ring->halted)
        ring_publish(ring);
    rest_if_paused(ring);
    WRITE_ONCE(ring->config.stats->enters, ring->io.enters);
}

static bool finished(const struct ring *ring)
{
    return ring->stopping && ring->inflight == 0;
}

static void ring_loop(struct ring *ring)
{
    listen_for_wake(ring);
    for (;;) {
        ring_pass(ring);
        if (finished(ring))
            return;
        if (ring_wait(ring)) {
            /* Nothing can complete any more: what is in flight stays unanswered. */
            ring_halt(ring, RING_HALT_IO);
            return;
        }
    }
}

static int ring_open_io(struct ring *ring)
{
    unsigned entries = ring->back.entries + RING_EXTRA_SQES;
    unsigned sqes = 1;

    while (sqes < entries)
        sqes *= 2;
    int err = ioctx_open(&ring->io, sqes, &ring->start_why);
    if (err)
        return err;
    err = engine_ops_of(ring->config.engine)
              ->channel_open(ring->config.engine, &ring->io, ring->back.entries, &ring->channel);
    if (err) {
        ioctx_close(&ring->io);
        return errmsg_set(&ring->start_why, err, "cannot open the storage for ring %u",
                          ring->config.index);
    }
    return 0;
}

void *ring_thread(void *arg)
{
    struct ring *ring = arg;

    pthread_setname_np(pthread_self(), ring->config.thread_name);
    ring->event_op.done = on_event;
    ring->wake_op.done = on_wake;
    /* The io_uring belongs to the thread that makes it. */
    ring->start_err = ring_open_io(ring);
    int err = ring->start_err;
    if (!err)
        ring_gate_join(ring->config.gate, ring->config.index);
    sem_post(&ring->started);
    if (err)
        return NULL;
    WRITE_ONCE(ring->config.stats->tid, (uint64_t)syscall(SYS_gettid));
    ring_loop(ring);
    ring_gate_part(ring->config.gate, ring->config.index);
    engine_ops_of(ring->config.engine)->channel_close(ring->channel);
    ioctx_close(&ring->io);
    WRITE_ONCE(ring->config.stats->tid, 0);
    return NULL;
}
