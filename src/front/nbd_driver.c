/* SPDX-License-Identifier: MIT
 *
 * See nbd_driver.h. A job lives on its asker's stack. The lock guards the list of new jobs, the
 * outcome of each, the size and `asleep`; everything else is the driver's thread's alone.
 */
#include "front/nbd_driver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"

#define SECTOR      512u
#define DISCARD_MAX (1u << 22) /* sectors in one request: 2 GiB */

struct job {
    enum blkfront_op op;
    uint64_t sector, left; /* sectors not yet asked for */
    uint8_t *buf;
    bool sent;       /* all of it is on the ring, or failed */
    uint32_t pieces; /* in flight */
    int status;      /* the first failure */
    bool over;
    pthread_cond_t changed;
    struct job *next;
};

struct piece {
    struct blkfront_io io; /* first: done() gets its address */
    struct driver *d;
    struct job *job;
    struct piece *next_free;
};

struct driver {
    struct blkfront *bf;
    bool spin;
    pthread_t thread;
    pthread_mutex_t lock;
    int wake_fd;
    bool stopping, asleep;
    struct job *fresh, **fresh_tail; /* asked for, not yet seen by the thread */
    bool nudged;                     /* fresh is not empty; may be read without the lock */
    uint64_t sectors;
    struct job *head, **tail; /* the thread's: not all of it sent; in order of asking */
    struct piece *pieces, *free;
    bool gone;
};

static void finish(struct driver *d, struct job *job)
{
    pthread_mutex_lock(&d->lock);
    job->over = true;
    pthread_cond_signal(&job->changed); /* before unlocking: afterwards the job may be gone */
    pthread_mutex_unlock(&d->lock);
}

static void piece_done(struct blkfront_io *io, int status)
{
    struct piece *piece = (struct piece *)io;
    struct driver *d = piece->d;
    struct job *job = piece->job;

    if (status < 0 && job->status == 0)
        job->status = status;
    job->pieces--;
    piece->next_free = d->free;
    d->free = piece;
    if (job->pieces == 0 && job->sent)
        finish(d, job);
}

static uint64_t piece_sectors(const struct driver *d, const struct job *job)
{
    bool data = job->op == BLKFRONT_READ || job->op == BLKFRONT_WRITE;
    uint64_t max = data ? blkfront_max_sectors(d->bf) : DISCARD_MAX;

    return job->left < max ? job->left : max;
}

/* One piece of the job onto the ring. 0, -EAGAIN when there is no room, or why it cannot be. */
static int send_piece(struct driver *d, struct job *job)
{
    struct piece *piece = d->free;
    uint64_t n = piece_sectors(d, job);
    int rc;

    if (piece == NULL)
        return -EAGAIN;
    piece->job = job;
    piece->io = (struct blkfront_io){
        .op = job->op, .sector = job->sector, .nr_sectors = n, .buf = job->buf, .done = piece_done};
    rc = blkfront_submit(d->bf, 0, &piece->io);
    if (rc < 0)
        return rc;
    d->free = piece->next_free;
    job->pieces++;
    job->sector += n;
    job->left -= n;
    if (job->buf != NULL)
        job->buf += n * SECTOR;
    return 0;
}

static int send_job(struct driver *d, struct job *job)
{
    while (!job->sent && job->status == 0) {
        int rc = d->gone ? -ESHUTDOWN : send_piece(d, job);

        if (rc == -EAGAIN)
            return rc;
        job->status = rc;
        job->sent = job->left == 0;
    }
    job->sent = true;
    return 0;
}

/* As much onto the ring as it takes. */
static void feed(struct driver *d)
{
    while (d->head != NULL) {
        struct job *job = d->head;
        struct job *next = job->next;

        if (send_job(d, job) == -EAGAIN)
            break;
        d->head = next;
        if (next == NULL)
            d->tail = &d->head;
        if (job->pieces == 0)
            finish(d, job);
    }
    blkfront_kick(d->bf, 0);
}

static void take_fresh(struct driver *d)
{
    if (!READ_ONCE(d->nudged))
        return;
    pthread_mutex_lock(&d->lock);
    *d->tail = d->fresh;
    d->tail = d->fresh_tail;
    d->fresh = NULL;
    d->fresh_tail = &d->fresh;
    WRITE_ONCE(d->nudged, false);
    pthread_mutex_unlock(&d->lock);
}

/* What the backend wrote to the store: a new size, or good-bye. */
static void look_at_store(struct driver *d)
{
    struct blkfront_info info;
    int rc = blkfront_events(d->bf);

    if (rc < 0)
        d->gone = true;
    if (rc != 1)
        return;
    blkfront_get_info(d->bf, &info);
    pthread_mutex_lock(&d->lock);
    d->sectors = info.sectors;
    pthread_mutex_unlock(&d->lock);
}

/* Sleeps until there is an answer, a job, or news in the store. False: it is time to stop. */
static bool sleep_or_stop(struct driver *d)
{
    bool busy = blkfront_in_flight(d->bf, 0) != 0;
    struct pollfd pfd[] = {{.fd = d->wake_fd, .events = POLLIN},
                           {.fd = blkfront_events_fd(d->bf), .events = d->gone ? 0 : POLLIN},
                           {.fd = blkfront_fd(d->bf, 0), .events = POLLIN}};
    uint64_t n;
    bool stop, sleeps;

    pthread_mutex_lock(&d->lock);
    stop = d->stopping && d->fresh == NULL && d->head == NULL && !busy;
    sleeps = d->fresh == NULL && !stop;
    d->asleep = sleeps;
    pthread_mutex_unlock(&d->lock);
    if (!sleeps)
        return !stop;
    poll(pfd, d->spin ? 2 : 3, d->spin && busy ? 0 : -1);
    pthread_mutex_lock(&d->lock);
    d->asleep = false;
    pthread_mutex_unlock(&d->lock);
    if (pfd[0].revents != 0 && read(d->wake_fd, &n, sizeof(n)) < 0)
        return false;
    if (pfd[1].revents != 0)
        look_at_store(d);
    return true;
}

#define SPINS 4096 /* between two looks at the store */

static int look_at_ring(struct driver *d)
{
    int rc = blkfront_poll(d->bf, 0, 0);

    for (int i = 0; d->spin && rc == 0 && i < SPINS && !READ_ONCE(d->nudged) &&
                    blkfront_in_flight(d->bf, 0) != 0;
         i++)
        rc = blkfront_poll(d->bf, 0, 0);
    return rc;
}

static void *run(void *arg)
{
    struct driver *d = arg;
    bool on = true;

    while (on) {
        int rc;

        take_fresh(d);
        feed(d);
        rc = d->gone ? 0 : look_at_ring(d);
        if (rc < 0)
            d->gone = true;
        if (d->gone)
            blkfront_fail(d->bf, 0);
        if (rc == 0)
            on = sleep_or_stop(d);
    }
    return NULL;
}

int driver_start(struct blkfront *bf, bool spin, struct driver **out)
{
    struct driver *d = calloc(1, sizeof(*d));
    struct blkfront_info info;
    int rc = -ENOMEM;

    if (d == NULL)
        return rc;
    blkfront_get_info(bf, &info);
    *d = (struct driver){.bf = bf, .spin = spin, .sectors = info.sectors};
    d->fresh_tail = &d->fresh;
    d->tail = &d->head;
    d->pieces = calloc(info.ring_entries, sizeof(*d->pieces));
    d->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (d->pieces == NULL || d->wake_fd < 0)
        goto fail;
    for (uint32_t i = 0; i < info.ring_entries; i++) {
        d->pieces[i].d = d;
        d->pieces[i].next_free = d->free;
        d->free = &d->pieces[i];
    }
    pthread_mutex_init(&d->lock, NULL);
    rc = -pthread_create(&d->thread, NULL, run, d);
    if (rc == 0) {
        *out = d;
        return 0;
    }
    pthread_mutex_destroy(&d->lock);
fail:
    if (d->wake_fd >= 0)
        close(d->wake_fd);
    free(d->pieces);
    free(d);
    return rc;
}

static void wake(struct driver *d)
{
    uint64_t one = 1;

    if (write(d->wake_fd, &one, sizeof(one)) < 0)
        abort(); /* an eventfd of our own takes a one always */
}

void driver_stop(struct driver *d)
{
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_mutex_unlock(&d->lock);
    wake(d);
    pthread_join(d->thread, NULL);
    pthread_mutex_destroy(&d->lock);
    blkfront_close(d->bf);
    close(d->wake_fd);
    free(d->pieces);
    free(d);
}

int driver_run(struct driver *d, enum blkfront_op op, uint64_t offset, uint64_t bytes, void *buf)
{
    struct job job = {.op = op, .sector = offset / SECTOR, .left = bytes / SECTOR, .buf = buf};

    pthread_cond_init(&job.changed, NULL);
    pthread_mutex_lock(&d->lock);
    *d->fresh_tail = &job;
    d->fresh_tail = &job.next;
    WRITE_ONCE(d->nudged, true);
    if (d->asleep) {
        d->asleep = false; /* one waker is enough */
        wake(d);
    }
    while (!job.over)
        pthread_cond_wait(&job.changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&job.changed);
    return job.status;
}

uint64_t driver_size(struct driver *d)
{
    uint64_t sectors;

    pthread_mutex_lock(&d->lock);
    sectors = d->sectors;
    pthread_mutex_unlock(&d->lock);
    return sectors * SECTOR;
}
