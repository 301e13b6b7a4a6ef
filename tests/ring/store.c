/* SPDX-License-Identifier: MIT
 *
 * See store.h. The memory is touched on the ring's thread when an I/O completes.
 */
#include "store.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct channel {
    struct store *store;
    struct ioctx *io;
    struct ioctx_op release_op;
    bool armed;
};

static void transfer(struct store *s, const struct engine_io *io)
{
    uint64_t at = io->offset;

    for (unsigned i = 0; i < io->iovcnt; i++) {
        if (io->op == ENGINE_READ)
            memcpy(io->iov[i].iov_base, s->bytes + at, io->iov[i].iov_len);
        else
            memcpy(s->bytes + at, io->iov[i].iov_base, io->iov[i].iov_len);
        at += io->iov[i].iov_len;
    }
    if (io->op == ENGINE_DISCARD)
        memset(s->bytes + io->offset, 0, io->length);
}

static void finish(struct store *s, struct engine_io *io)
{
    if (s->result == 0)
        transfer(s, io);
    io->done(io, s->result);
}

static void on_later(struct ioctx_op *op, int res)
{
    struct engine_io *io = (struct engine_io *)((char *)op - offsetof(struct engine_io, priv.op));

    (void)res;
    finish(((struct channel *)io->priv.channel)->store, io);
}

static void arm(struct channel *c)
{
    struct io_uring_sqe *sqe = ioctx_sqe(c->io, &c->release_op);

    io_uring_prep_poll_add(sqe, c->store->release_fd, POLLIN);
    io_uring_sqe_set_data(sqe, &c->release_op);
}

static void on_release(struct ioctx_op *op, int res)
{
    struct channel *c = (struct channel *)((char *)op - offsetof(struct channel, release_op));
    struct store *s = c->store;
    uint64_t n;

    (void)res;
    if (read(s->release_fd, &n, sizeof(n)) != sizeof(n))
        n = 0;
    while (n--) {
        pthread_mutex_lock(&s->lock);
        struct engine_io *io = s->held[0];
        memmove(s->held, s->held + 1, --s->nr_held * sizeof(s->held[0]));
        pthread_mutex_unlock(&s->lock);
        finish(s, io);
    }
    arm(c);
}

static int channel_open(struct engine *e, struct ioctx *io, unsigned depth,
                        struct engine_channel **out)
{
    struct channel *c = calloc(1, sizeof(*c));

    (void)depth;
    c->store = (struct store *)e;
    c->io = io;
    c->release_op.done = on_release;
    arm(c);
    *out = (struct engine_channel *)c;
    return 0;
}

static void channel_close(struct engine_channel *ch)
{
    free(ch);
}

static int submit(struct engine_channel *ch, struct engine_io *io)
{
    struct channel *c = (struct channel *)ch;
    struct store *s = c->store;

    if (s->submit_result)
        return s->submit_result;
    io->priv.channel = c;
    io->priv.op.done = on_later;
    pthread_mutex_lock(&s->lock);
    if (s->logged < STORE_LOG_MAX)
        s->log[s->logged] = (struct store_entry){io->op, io->offset, io->length};
    s->logged++;
    bool hold = s->hold;
    if (hold)
        s->held[s->nr_held++] = io;
    pthread_mutex_unlock(&s->lock);
    if (!hold)
        ioctx_later(c->io, &io->priv.op, 0);
    return 0;
}

static const struct engine_ops store_ops = {
    .name = "store",
    .channel_open = channel_open,
    .channel_close = channel_close,
    .submit = submit,
};

struct store *store_new(uint64_t size_bytes)
{
    struct store *s = calloc(1, sizeof(*s));

    s->ops = &store_ops;
    s->bytes = calloc(1, size_bytes);
    s->size_bytes = size_bytes;
    pthread_mutex_init(&s->lock, NULL);
    s->release_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s;
}

void store_free(struct store *s)
{
    close(s->release_fd);
    free(s->bytes);
    free(s);
}

void store_hold(struct store *s, bool on)
{
    pthread_mutex_lock(&s->lock);
    s->hold = on;
    pthread_mutex_unlock(&s->lock);
}

void store_wait_held(struct store *s, unsigned n)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool enough = s->nr_held >= n;
        pthread_mutex_unlock(&s->lock);
        if (enough)
            return;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
}

void store_wait_logged(struct store *s, unsigned n)
{
    while (store_logged(s) < n)
        nanosleep(&(struct timespec){0, 200000}, NULL);
}

void store_let_go(struct store *s, unsigned n)
{
    uint64_t count = n;

    if (write(s->release_fd, &count, sizeof(count)) != sizeof(count))
        abort();
}

unsigned store_logged(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->logged;
    pthread_mutex_unlock(&s->lock);
    return n;
}
