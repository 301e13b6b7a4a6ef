/* SPDX-License-Identifier: MIT
 *
 * BLKDISCARD, BLKSECDISCARD and BLKZEROOUT block for as long as the device takes, so a thread of
 * the channel's own runs them, one after the other. It hands them back through a list and an
 * eventfd that the ring's io_uring reads, armed only while something is out: an idle channel has
 * nothing in flight.
 *
 * Threads: the queues are under the lock; armed and outstanding are the ring thread's.
 */
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/uring.h"

#define HELPER_STACK (128u << 10) /* bytes */

struct io_list {
    struct engine_io *head, **tail;
};

struct uring_helper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct io_list todo, finished;
    bool stop;
    int blk_fd, event_fd;
    struct ioctx *ctx;
    struct ioctx_op wake;
    uint64_t wake_count; /* io_uring reads the eventfd into it */
    unsigned outstanding;
    bool armed;
};

static void list_init(struct io_list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void list_push(struct io_list *l, struct engine_io *io)
{
    io->priv.next = NULL;
    *l->tail = io;
    l->tail = &io->priv.next;
}

static struct engine_io *list_pop(struct io_list *l)
{
    struct engine_io *io = l->head;

    if (io) {
        l->head = io->priv.next;
        if (!l->head)
            l->tail = &l->head;
    }
    return io;
}

static int run(int fd, const struct engine_io *io)
{
    uint64_t range[2] = {io->offset, io->length};
    unsigned long request = BLKZEROOUT;

    if (io->op == ENGINE_DISCARD)
        request = io->flags & ENGINE_IO_SECURE ? BLKSECDISCARD : BLKDISCARD;
    int ret;
    do
        ret = ioctl(fd, request, range);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static void signal_ring(const struct uring_helper *h)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(h->event_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

static void *helper_main(void *arg)
{
    struct uring_helper *h = arg;

    pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        struct engine_io *io = list_pop(&h->todo);
        if (!io) {
            pthread_cond_wait(&h->more, &h->lock);
            continue;
        }
        pthread_mutex_unlock(&h->lock);
        io->priv.word[0] = (uint64_t)run(h->blk_fd, io);
        pthread_mutex_lock(&h->lock);
        list_push(&h->finished, io);
        signal_ring(h);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void arm(struct uring_helper *h)
{
    if (h->armed || h->outstanding == 0)
        return;
    h->armed = true;
    struct io_uring_sqe *sqe = ioctx_sqe(h->ctx, &h->wake);
    io_uring_prep_read(sqe, h->event_fd, &h->wake_count, sizeof(h->wake_count), 0);
}

/* The callbacks come last: one may submit again, and the last one may close the channel. */
static void wake_done(struct ioctx_op *op, int res)
{
    struct uring_helper *h =
        (struct uring_helper *)((char *)op - offsetof(struct uring_helper, wake));

    h->armed = false;
    pthread_mutex_lock(&h->lock);
    struct engine_io *list = h->finished.head;
    list_init(&h->finished);
    pthread_mutex_unlock(&h->lock);
    for (const struct engine_io *io = list; io; io = io->priv.next)
        h->outstanding--;
    arm(h);
    while (list) {
        struct engine_io *io = list;
        list = io->priv.next;
        io->done(io, (int)io->priv.word[0]);
    }
}

void uring_helper_start(struct uring_channel *ch, struct engine_io *io)
{
    struct uring_helper *h = ch->helper;

    h->outstanding++;
    pthread_mutex_lock(&h->lock);
    list_push(&h->todo, io);
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    arm(h);
}

/* The thread takes no signal: those are for the process's own threads. */
static int thread_create(struct uring_helper *h)
{
    sigset_t all, before;
    pthread_attr_t attr;

    int ret = pthread_attr_init(&attr);
    if (ret)
        return -ret;
    pthread_attr_setstacksize(&attr, HELPER_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&h->thread, &attr, helper_main, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!ret)
        pthread_setname_np(h->thread, "discard");
    return -ret;
}

int uring_helper_open(struct uring_channel *ch)
{
    const struct engine_info *info = &ch->engine->info;

    if (!info->is_block_device || !(info->can_discard || info->can_write_zeroes))
        return 0;
    struct uring_helper *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    list_init(&h->todo);
    list_init(&h->finished);
    h->blk_fd = ch->engine->fd;
    h->ctx = ch->ctx;
    h->wake.done = wake_done;
    h->event_fd = eventfd(0, EFD_CLOEXEC);
    int ret = h->event_fd < 0 ? -errno : thread_create(h);
    if (ret < 0) {
        if (h->event_fd >= 0)
            close(h->event_fd);
        free(h);
        return ret;
    }
    ch->helper = h;
    return 0;
}

void uring_helper_close(struct uring_channel *ch)
{
    struct uring_helper *h = ch->helper;

    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    close(h->event_fd);
    pthread_cond_destroy(&h->more);
    pthread_mutex_destroy(&h->lock);
    free(h);
    ch->helper = NULL;
}
