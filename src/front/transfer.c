/* SPDX-License-Identifier: MIT
 *
 * Blocking transfers of any length over queue 0: as many requests in flight as the ring takes.
 *
 * Threads: the one that owns the struct blkfront and drives its queue 0.
 */
#include <stdlib.h>

#include "front/internal.h"

#define CHECK_MS 500 /* how often a wait looks whether the backend is still there */

struct transfer {
    struct blkfront *bf;
    enum blkfront_op op;
    uint64_t sector, left; /* not yet asked for */
    uint64_t piece_max;    /* sectors */
    uint8_t *buf;          /* NULL: no data */
    int status;            /* the first failure */
    struct blkfront_io *free;
};

static void piece_done(struct blkfront_io *io, int status)
{
    struct transfer *t = io->user;

    if (status != 0 && t->status == 0)
        t->status = status;
    io->next = t->free;
    t->free = io;
}

/* Puts on the ring what it takes. Returns 0 or why nothing more can be submitted at all. */
static int submit_pieces(struct transfer *t)
{
    while (t->left != 0 && t->free != NULL && t->status == 0) {
        struct blkfront_io *io = t->free;
        struct blkfront_io *rest = io->next;
        uint64_t n = t->left < t->piece_max ? t->left : t->piece_max;
        int rc;

        *io = (struct blkfront_io){.op = t->op,
                                   .sector = t->sector,
                                   .nr_sectors = n,
                                   .buf = t->buf,
                                   .done = piece_done,
                                   .user = t,
                                   .next = rest};
        rc = blkfront_submit(t->bf, 0, io);
        if (rc == -EAGAIN)
            break;
        if (rc < 0)
            return rc;
        t->free = rest;
        t->sector += n;
        t->left -= n;
        if (t->buf != NULL)
            t->buf += n * BLKIF_SECTOR;
    }
    blkfront_kick(t->bf, 0);
    return 0;
}

static int wait_some(struct blkfront *bf)
{
    int rc = blkfront_poll(bf, 0, CHECK_MS);

    if (rc == 0)
        rc = blkfront_events(bf);
    if (rc < 0)
        blkfront_fail(bf, 0);
    return rc < 0 ? rc : 0;
}

static int run(struct transfer *t, struct blkfront_io *ios, uint32_t n)
{
    int rc = 0;

    for (uint32_t i = 0; i < n; i++) {
        ios[i].next = t->free;
        t->free = &ios[i];
    }
    do {
        if (rc == 0)
            rc = submit_pieces(t);
        if (blkfront_in_flight(t->bf, 0) == 0)
            break;
        if (wait_some(t->bf) < 0)
            rc = t->bf->queues[0].why.text[0] != '\0' ? -EPROTO : -ENOTCONN;
    } while (t->left != 0 || blkfront_in_flight(t->bf, 0) != 0);
    return rc != 0 ? rc : t->status;
}

static int transfer(struct transfer *t)
{
    uint32_t n = t->bf->queues[0].ring.entries;
    struct blkfront_io *ios = calloc(n, sizeof(*ios));
    int rc;

    if (ios == NULL)
        return -ENOMEM;
    rc = run(t, ios, n);
    free(ios);
    return rc;
}

int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *buf)
{
    return transfer(&(struct transfer){.bf = bf,
                                       .op = BLKFRONT_READ,
                                       .sector = sector,
                                       .left = nr_sectors,
                                       .piece_max = blkfront_max_sectors(bf),
                                       .buf = buf});
}

int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *buf)
{
    return transfer(&(struct transfer){.bf = bf,
                                       .op = BLKFRONT_WRITE,
                                       .sector = sector,
                                       .left = nr_sectors,
                                       .piece_max = blkfront_max_sectors(bf),
                                       .buf = (void *)(uintptr_t)buf});
}

int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, bool secure)
{
    /* Linux cuts its discards too: a frontend's queue limit is 32 bits of bytes. */
    return transfer(&(struct transfer){.bf = bf,
                                       .op = secure ? BLKFRONT_DISCARD_SECURE : BLKFRONT_DISCARD,
                                       .sector = sector,
                                       .left = nr_sectors,
                                       .piece_max = UINT32_MAX / BLKIF_SECTOR});
}

int blkfront_flush(struct blkfront *bf)
{
    struct transfer t = {.bf = bf};
    struct blkfront_io io = {.op = BLKFRONT_FLUSH, .done = piece_done, .user = &t};
    int rc = blkfront_submit(bf, 0, &io);

    if (rc < 0)
        return rc;
    blkfront_kick(bf, 0);
    while (blkfront_in_flight(bf, 0) != 0 && rc == 0)
        rc = wait_some(bf);
    return rc != 0 ? rc : t.status;
}
