/* SPDX-License-Identifier: MIT
 *
 * Responses from the ring become calls of done(). Everything a response says is checked against
 * what was asked: a backend that answers something else is not guessed at, its queue is dead.
 *
 * Threads: the queue's.
 */
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "front/internal.h"

static void copy_in(const struct front_shadow *s, const struct blkfront_io *io)
{
    uint8_t *to = io->buf;
    size_t left = (size_t)io->nr_sectors * BLKIF_SECTOR;

    for (uint32_t i = 0; i < s->nr_pages; i++) {
        size_t n = left < HV_PAGE ? left : HV_PAGE;

        memcpy(to, s->pages[i].addr, n);
        to += n;
        left -= n;
    }
}

void front_complete(struct front_queue *q, struct front_shadow *s, int status)
{
    struct blkfront_io *io = s->io;

    if (status == 0 && io->op == BLKFRONT_READ && io->buf != NULL)
        copy_in(s, io);
    if (front_give_pages(q, s) == -EBUSY)
        front_broken(q, "the backend answered a request whose pages it still maps");
    s->io = NULL;
    s->next_free = q->free_shadow;
    q->free_shadow = (uint32_t)(s - q->shadows);
    q->in_flight--;
    io->done(io, status);
}

void blkfront_fail(struct blkfront *bf, uint32_t queue)
{
    struct front_queue *q = &bf->queues[queue];

    q->dead = true; /* first: done() may try to submit again */
    for (uint32_t i = 0; q->in_flight != 0 && i < q->ring.entries; i++)
        if (q->shadows[i].io != NULL)
            front_complete(q, &q->shadows[i], -EIO);
}

int front_broken(struct front_queue *q, const char *fmt, ...)
{
    va_list ap;

    q->dead = true;
    if (q->why.text[0] == '\0') {
        va_start(ap, fmt);
        vsnprintf(q->why.text, sizeof(q->why.text), fmt, ap);
        va_end(ap);
    }
    return -EPROTO;
}

/* The response must answer one request in flight, with its id and operation. */
static struct front_shadow *match(struct front_queue *q, uint64_t id, uint8_t operation)
{
    uint32_t index = (uint32_t)id;
    struct front_shadow *s;

    if (index >= q->ring.entries) {
        front_broken(q, "the backend answered id 0x%" PRIx64 ", which no request had", id);
        return NULL;
    }
    s = &q->shadows[index];
    if (s->io == NULL || s->generation != (uint32_t)(id >> 32)) {
        front_broken(q, "the backend answered id 0x%" PRIx64 ", which is not in flight", id);
        return NULL;
    }
    if (s->operation != operation) {
        front_broken(q, "the backend answered operation %u to a request of operation %u", operation,
                     s->operation);
        return NULL;
    }
    return s;
}

static int take_one(struct front_queue *q)
{
    const struct blkif_response *slot = fring_slot(&q->ring, q->ring.rsp_cons);
    /* One load of each field: the backend can write here at any time. */
    uint64_t id;
    uint8_t operation = READ_ONCE(slot->operation);
    int16_t status = READ_ONCE(slot->status);
    struct front_shadow *s;

    memcpy(&id, &slot->id, sizeof(id));
    compiler_barrier();
    s = match(q, id, operation);
    if (s == NULL)
        return -EPROTO;
    if (status != BLKIF_RSP_OKAY && status != BLKIF_RSP_ERROR && status != BLKIF_RSP_EOPNOTSUPP)
        return front_broken(q, "the backend answered status %d, which blkif does not know", status);
    q->ring.rsp_cons++;
    front_complete(q, s,
                   status == BLKIF_RSP_OKAY    ? 0
                   : status == BLKIF_RSP_ERROR ? -EIO
                                               : -EOPNOTSUPP);
    return q->dead ? -EPROTO : 0;
}

/* Takes all responses there are; unless polling, asks for an event at the next one. */
static int reap(struct front_queue *q)
{
    int total = 0;
    int n;

    do {
        n = fring_responses(&q->ring);
        if (n < 0)
            return front_broken(q, "the backend published more responses than it had requests");
        total += n;
        for (; n > 0; n--)
            if (take_one(q) < 0)
                return -EPROTO;
    } while (!q->bf->opt.poll && fring_arm(&q->ring));
    return total;
}

/* Clears the event that brought us here and looks again: an event is a hint, the ring the truth. */
static int reap_event(struct front_queue *q)
{
    int rc;

    if (q->bf->opt.poll || hv_evtchn_pending(q->ev) != 1)
        return 0;
    rc = reap(q);
    hv_evtchn_unmask(q->ev);
    return rc;
}

#define SPINS_BEFORE_YIELD 1024

static int spin(struct front_queue *q, uint64_t deadline)
{
    int rc;

    for (;;) {
        for (int i = 0; i < SPINS_BEFORE_YIELD; i++) {
            rc = reap(q);
            if (rc != 0)
                return rc;
            __builtin_ia32_pause();
        }
        if (front_now_ms() >= deadline)
            return 0;
        sched_yield(); /* the backend may need this very processor */
    }
}

static int sleep_until(struct front_queue *q, uint64_t deadline)
{
    struct pollfd pfd = {.fd = hv_evtchn_fd(q->ev), .events = POLLIN};
    int rc;

    for (;;) {
        uint64_t now = front_now_ms();
        uint64_t left = deadline > now ? deadline - now : 0;

        rc = poll(&pfd, 1, left > INT32_MAX ? -1 : (int)left);
        if (rc < 0 && errno != EINTR)
            return -errno;
        rc = reap(q);
        if (rc == 0)
            rc = reap_event(q);
        if (rc != 0 || left == 0)
            return rc;
    }
}

static int poll_queue(struct front_queue *q, int wait_ms)
{
    uint64_t deadline;
    int rc = reap(q);

    if (rc == 0)
        rc = reap_event(q);
    if (rc != 0 || wait_ms == 0 || (wait_ms < 0 && q->in_flight == 0))
        return rc;
    deadline = wait_ms < 0 ? UINT64_MAX : front_now_ms() + (uint64_t)wait_ms;
    return q->bf->opt.poll ? spin(q, deadline) : sleep_until(q, deadline);
}

int blkfront_poll(struct blkfront *bf, uint32_t queue, int wait_ms)
{
    struct front_queue *q = &bf->queues[queue];
    int rc;

    if (q->dead)
        return -EPROTO;
    rc = poll_queue(q, wait_ms);
    if (q->dead) {
        blkfront_fail(bf, queue);
        return -EPROTO;
    }
    return rc;
}

uint32_t blkfront_in_flight(const struct blkfront *bf, uint32_t queue)
{
    return bf->queues[queue].in_flight;
}

int blkfront_fd(const struct blkfront *bf, uint32_t queue)
{
    return hv_evtchn_fd(bf->queues[queue].ev);
}

const char *blkfront_error(const struct blkfront *bf, uint32_t queue)
{
    return bf->queues[queue].why.text;
}
