/* SPDX-License-Identifier: MIT
 *
 * blkfront bench: keeps a number of requests in flight on each queue and measures each of them.
 *
 * Threads: one for each queue, which owns its queue and its struct lane; the main thread watches
 * the clock, shows the progress and tells them to stop.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/barrier.h"
#include "front/report.h"
#include "front/tool.h"

static const struct {
    const char *name;
    bool random, reads, writes;
} modes[] = {
    {"read", false, true, false},    {"write", false, false, true},
    {"randread", true, true, false}, {"randwrite", true, false, true},
    {"randrw", true, true, true},
};

struct bench {
    const struct tool_args *args;
    struct blkfront *bf;
    size_t mode;
    uint64_t first_sector, blocks; /* the range, in requests of bs */
    uint32_t bs_sectors;
    uint32_t piece_sectors, pieces; /* a request of bs is cut where the ring's requests end */
    uint64_t quota;                 /* requests for each queue */
    int stop;                       /* main thread writes, lanes read */
};

/* One request of bs, in as many requests of the ring as it takes. */
struct lane_io {
    struct blkfront_io *pieces;
    uint32_t sent, open; /* pieces: put on the ring; not yet answered */
    int status;
    enum blkfront_op op;
    uint64_t sector, start_ns;
    uint8_t *buf;
    struct lane *l;
    struct lane_io *next_idle;
};

struct lane {
    struct bench *b;
    uint32_t queue;
    pthread_t thread;
    bool started;
    struct lane_io *ios, *idle;
    struct lane_io *half;       /* begun, and the ring had no room for the rest */
    struct blkfront_io *pieces; /* of all ios */
    uint8_t *data;
    uint64_t next_block, random, asked;
    uint64_t finished; /* the main thread reads it for its progress line */
    struct report_side side[2];
    int rc; /* the main thread looks at it too */
};

static uint64_t next_random(struct lane *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

/* Sequential queues share the range in equal parts, so that no two do the same blocks. */
static uint64_t pick_block(struct lane *l)
{
    struct bench *b = l->b;
    uint64_t block;

    if (modes[b->mode].random)
        return next_random(l) % b->blocks;
    block = l->next_block;
    l->next_block = (l->next_block + 1) % b->blocks;
    return block;
}

static void choose(struct lane *l, struct lane_io *li)
{
    struct bench *b = l->b;
    bool write = modes[b->mode].writes && (!modes[b->mode].reads || (next_random(l) >> 20 & 1));

    li->op = write ? BLKFRONT_WRITE : BLKFRONT_READ;
    li->sector = b->first_sector + pick_block(l) * b->bs_sectors;
    li->status = 0;
    li->start_ns = tool_now_ns();
}

static void finished(struct blkfront_io *io, int status)
{
    struct lane_io *li = io->user;
    struct lane *l = li->l;
    struct report_side *side = &l->side[li->op == BLKFRONT_WRITE];

    if (status != 0)
        li->status = status;
    if (--li->open != 0 || li->sent != l->b->pieces)
        return;
    hist_add(&side->latency, tool_now_ns() - li->start_ns);
    if (li->status != 0)
        side->errors++;
    counter_add(&l->finished, 1);
    li->sent = 0;
    li->next_idle = l->idle;
    l->idle = li;
}

static int send_piece(struct lane *l, struct lane_io *li)
{
    struct bench *b = l->b;
    uint32_t at = li->sent * b->piece_sectors;
    uint32_t left = b->bs_sectors - at;
    struct blkfront_io *io = &li->pieces[li->sent];
    int rc;

    *io = (struct blkfront_io){.op = li->op,
                               .sector = li->sector + at,
                               .nr_sectors = left < b->piece_sectors ? left : b->piece_sectors,
                               .buf = li->buf != NULL ? li->buf + (size_t)at * 512 : NULL,
                               .done = finished,
                               .user = li};
    rc = blkfront_submit(b->bf, l->queue, io);
    if (rc == 0) {
        li->sent++;
        li->open++;
    }
    return rc;
}

/* The next to be sent: one that is half on the ring goes first. */
static struct lane_io *next_io(struct lane *l)
{
    struct bench *b = l->b;

    if (l->half == NULL && l->idle != NULL && l->asked < b->quota && !READ_ONCE(b->stop)) {
        l->half = l->idle;
        l->idle = l->idle->next_idle;
        l->asked++;
        choose(l, l->half);
    }
    return l->half;
}

static void submit_idle(struct lane *l)
{
    struct lane_io *li;
    int rc = 0;

    while (rc == 0 && (li = next_io(l)) != NULL) {
        while (rc == 0 && li->sent < l->b->pieces)
            rc = send_piece(l, li);
        if (rc == 0)
            l->half = NULL;
    }
    if (rc < 0 && rc != -EAGAIN)
        WRITE_ONCE(l->rc, rc);
    blkfront_kick(l->b->bf, l->queue);
}

static void *run_lane(void *arg)
{
    struct lane *l = arg;
    struct bench *b = l->b;

    for (;;) {
        int rc;

        submit_idle(l);
        if (blkfront_in_flight(b->bf, l->queue) == 0)
            break;
        rc = blkfront_poll(b->bf, l->queue, 200);
        if (rc < 0)
            WRITE_ONCE(l->rc, rc);
        if (rc == 0 && READ_ONCE(b->stop) > 1) /* the backend is gone */
            blkfront_fail(b->bf, l->queue);
    }
    return NULL;
}

static int lane_init(struct lane *l, struct bench *b, uint32_t queue, uint32_t queues)
{
    size_t depth = b->args->iodepth;
    size_t bytes = b->args->bs;

    *l = (struct lane){.b = b, .queue = queue, .random = 88172645463325252u + queue * 7919u};
    l->next_block = b->blocks / queues * queue;
    l->ios = calloc(depth, sizeof(*l->ios));
    l->pieces = calloc(depth * b->pieces, sizeof(*l->pieces));
    l->data = b->args->no_copy ? NULL : aligned_alloc(4096, (depth * bytes + 4095) / 4096 * 4096);
    if (l->ios == NULL || l->pieces == NULL || (l->data == NULL && !b->args->no_copy))
        return tool_fail(-ENOMEM, "out of memory for %zu requests of %zu bytes", depth, bytes);
    for (size_t i = 0; l->data != NULL && i < depth * bytes; i += 8) {
        uint64_t x = next_random(l);

        memcpy(l->data + i, &x, 8);
    }
    for (size_t i = 0; i < depth; i++) {
        l->ios[i] = (struct lane_io){.pieces = l->pieces + i * b->pieces,
                                     .buf = l->data != NULL ? l->data + i * bytes : NULL,
                                     .l = l,
                                     .next_idle = l->idle};
        l->idle = &l->ios[i];
    }
    return TOOL_OK;
}

static uint64_t all_finished(const struct lane *lanes, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += READ_ONCE(lanes[i].finished);
    return sum;
}

/* Until the time is over, the count reached, a signal came or the backend went away. */
static int watch(struct bench *b, const struct lane *lanes, uint32_t n)
{
    const struct tool_args *args = b->args;
    uint64_t runtime = args->runtime != 0 ? args->runtime : args->count != 0 ? 0 : 5;
    struct timespec nap = {.tv_nsec = 20000000};
    struct tool_progress progress;
    uint64_t last = 0, last_ns;
    int rc = 0;

    tool_progress_start(&progress, args->rw, 0);
    last_ns = progress.start_ns;
    while (!tool_interrupted() && rc >= 0) {
        uint64_t now = tool_now_ns(), done = all_finished(lanes, n);
        char text[100];

        if ((runtime != 0 && now - progress.start_ns >= runtime * 1000000000u) ||
            done >= b->quota * n)
            break;
        for (uint32_t i = 0; i < n; i++)
            rc = READ_ONCE(lanes[i].rc) < 0 ? -EPROTO : rc;
        if (now - last_ns > 500000000) {
            snprintf(text, sizeof(text), "%.0f s, %.0f IOPS, %.1f MiB/s",
                     (double)(now - progress.start_ns) / 1e9,
                     (double)(done - last) * 1e9 / (double)(now - last_ns),
                     (double)(done - last) * (double)args->bs * 1e9 / 1048576 /
                         (double)(now - last_ns));
            tool_progress_text(&progress, text);
            last = done;
            last_ns = now;
        }
        nanosleep(&nap, NULL);
        if (rc >= 0)
            rc = blkfront_events(b->bf);
    }
    tool_progress_end(&progress);
    WRITE_ONCE(b->stop, rc == -ENOTCONN ? 2 : 1);
    return rc < 0 ? rc : 0;
}

static uint64_t micros(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec;
}

static int run_lanes(struct bench *b, struct lane *lanes, uint32_t n, struct report *r)
{
    struct rusage before, after;
    uint64_t start = tool_now_ns();
    int rc = 0;

    getrusage(RUSAGE_SELF, &before);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        rc = -pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]);
        lanes[i].started = rc == 0;
    }
    if (rc == 0)
        rc = watch(b, lanes, n);
    WRITE_ONCE(b->stop, b->stop != 0 ? b->stop : 1);
    for (uint32_t i = 0; i < n; i++)
        if (lanes[i].started)
            pthread_join(lanes[i].thread, NULL);
    getrusage(RUSAGE_SELF, &after);
    r->ns = tool_now_ns() - start;
    r->user_us = micros(&after.ru_utime) - micros(&before.ru_utime);
    r->sys_us = micros(&after.ru_stime) - micros(&before.ru_stime);
    return rc;
}

static int conclude(struct bench *b, const struct lane *lanes, uint32_t n, int rc, struct report *r)
{
    uint64_t errors = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (lanes[i].rc == -EPROTO)
            return tool_fail(-EPROTO, "queue %" PRIu32 ": %s", i, blkfront_error(b->bf, i));
        if (lanes[i].rc < 0)
            return tool_fail(lanes[i].rc, "a request could not be sent: %s",
                             strerror(-lanes[i].rc));
        for (int s = 0; s < 2; s++) {
            hist_merge(&r->side[s].latency, &lanes[i].side[s].latency);
            r->side[s].errors += lanes[i].side[s].errors;
            errors += lanes[i].side[s].errors;
        }
    }
    if (rc < 0)
        return tool_fail(rc, "%s", tool_transfer_error(b->bf, rc));
    if (b->args->json)
        report_json(stdout, r);
    else
        report_text(stdout, r);
    return errors == 0
               ? TOOL_OK
               : tool_fail(-EIO, "%" PRIu64 " requests failed: see the backend's log", errors);
}

static int measure(struct bench *b, uint32_t queues)
{
    struct report *r = calloc(1, sizeof(*r));
    struct lane *lanes = calloc(queues, sizeof(*lanes));
    int code = TOOL_OK;

    if (r == NULL || lanes == NULL)
        code = tool_fail(-ENOMEM, "out of memory");
    for (uint32_t i = 0; i < queues && code == TOOL_OK; i++)
        code = lane_init(&lanes[i], b, i, queues);
    if (code == TOOL_OK) {
        *r = (struct report){.rw = b->args->rw,
                             .bs = b->args->bs,
                             .iodepth = b->args->iodepth,
                             .queues = queues,
                             .poll = b->args->poll};
        code = conclude(b, lanes, queues, run_lanes(b, lanes, queues, r), r);
    }
    for (uint32_t i = 0; lanes != NULL && i < queues; i++) {
        free(lanes[i].ios);
        free(lanes[i].pieces);
        free(lanes[i].data);
    }
    free(lanes);
    free(r);
    return code;
}

/* The range against what the disk can do. */
static int fit(struct bench *b, const struct blkfront_info *info)
{
    struct tool_range range;
    int code;

    if (modes[b->mode].writes && info->read_only)
        return tool_fail(-EROFS, "%s is read-only: only read and randread work", b->args->disk);
    code = tool_range(b->args, info->sectors, &range);
    if (code != TOOL_OK)
        return code;
    b->first_sector = range.sector;
    b->bs_sectors = (uint32_t)(b->args->bs / 512);
    b->piece_sectors = blkfront_max_sectors(b->bf);
    b->pieces = (b->bs_sectors + b->piece_sectors - 1) / b->piece_sectors;
    b->blocks = range.nr_sectors / b->bs_sectors;
    b->quota =
        b->args->count != 0 ? (b->args->count + info->queues - 1) / info->queues : UINT64_MAX / 64;
    if (b->blocks == 0)
        return tool_fail(-EINVAL, "the range is smaller than one request");
    return TOOL_OK;
}

static int check_args(struct bench *b)
{
    for (b->mode = 0; b->mode < sizeof(modes) / sizeof(modes[0]); b->mode++)
        if (strcmp(modes[b->mode].name, b->args->rw) == 0)
            break;
    if (b->mode == sizeof(modes) / sizeof(modes[0]))
        tool_fail(-EINVAL, "--rw '%s': read, write, randread, randwrite or randrw", b->args->rw);
    else if (b->args->bs == 0 || b->args->bs % 512 != 0)
        tool_fail(-EINVAL, "--bs must be a multiple of 512 bytes");
    else if (b->args->iodepth == 0)
        tool_fail(-EINVAL, "--iodepth must be at least 1");
    else
        return TOOL_OK;
    return TOOL_USAGE;
}

int tool_bench(const struct tool_args *args)
{
    struct bench b = {.args = args};
    struct blkfront_info info;
    int code = check_args(&b);

    if (code == TOOL_OK)
        code = tool_open(args, &b.bf);
    if (code != TOOL_OK)
        return code;
    blkfront_get_info(b.bf, &info);
    code = fit(&b, &info);
    if (code == TOOL_OK)
        code = measure(&b, info.queues);
    blkfront_close(b.bf);
    return code;
}
