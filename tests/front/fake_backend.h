/* SPDX-License-Identifier: MIT
 *
 * A block backend for tests, in a thread: a disk in memory behind rings served with the macros and
 * structures of the installed xen/io/blkif.h and ring.h alone. On request it misbehaves.
 *
 * Threads: start and stop from the test's thread; figures may be read after stop, or whenever the
 * frontend has got the answers they count.
 */
#ifndef TESTS_FRONT_FAKE_BACKEND_H
#define TESTS_FRONT_FAKE_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_DEVID    51712
#define FAKE_FRONTEND "/local/domain/1/device/vbd/51712"
#define FAKE_BACKEND  "/local/domain/0/backend/vbd/1/51712"
#define FAKE_ERROR    "/local/domain/0/error/backend/vbd/1/51712/error"
#define FAKE_RINGS    4

enum fake_sin {
    SIN_NONE,
    SIN_WRONG_ID,
    SIN_ID_NEVER_USED,
    SIN_WRONG_OPERATION,
    SIN_SAME_ID, /* answers the first of a batch as often as the batch is long */
    SIN_ANSWER_TWICE,
    SIN_TOO_MANY_RESPONSES,
    SIN_UNKNOWN_STATUS,
    SIN_KEEP_MAPPED,
    SIN_NEVER_ANSWER,
    SIN_REFUSE, /* an error text and Closing instead of Connected */
    SIN_IGNORE, /* stays in InitWait */
};

struct fake_options {
    uint64_t sectors;
    uint32_t max_queues, max_order, max_indirect;
    bool persistent, read_only;
    bool no_flush; /* offers neither flush nor barrier nor discard, and refuses them */
    bool reverse;  /* answers each batch last request first */
    enum fake_sin sin;
};

struct fake_ring; /* one for each ABI: the layouts differ */
struct fake_backend {
    struct fake_options opt;
    pthread_t thread;
    int stop_fd;
    uint8_t *disk;
    int state;
    char states[64];        /* what our state has been, one digit each */
    bool abi32, persistent; /* as negotiated */
    unsigned nr_rings;
    uint32_t port[FAKE_RINGS];
    void *ring[FAKE_RINGS];
    /* figures */
    unsigned requests, flushes, barriers, discards, secure, indirect, max_segments, events,
        multi_page, complaints;
    uint32_t lowest_prod; /* of req_prod as first seen */
};

void fake_backend_start(struct fake_backend *be, const struct fake_options *opt);
void fake_backend_stop(struct fake_backend *be);

/* ---- fake_serve.c, compiled once for each layout ---- */
void *fake_attach_64(void *pages, unsigned bytes);
void *fake_attach_32(void *pages, unsigned bytes);
void fake_serve_64(struct fake_backend *be, unsigned ring);
void fake_serve_32(struct fake_backend *be, unsigned ring);

#endif
