/* SPDX-License-Identifier: MIT
 *
 * libblkfront: a Xen block frontend in user space. It drives any blkif backend (this project's, the
 * kernel's, QEMU's) from a domain on real Xen or on the loopback. For tests, benchmarks and
 * gateways.
 *
 * Units: sectors are 512 bytes. Errors are negative errnos; where a person reads the outcome there
 * is also a one-line text.
 *
 * Threads: a struct blkfront belongs to the thread that uses it. A queue may be driven by a thread
 * of its own once connected.
 */
#ifndef BLKFRONT_H
#define BLKFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct blkfront;

struct blkfront_options {
    const char *hv;       /* "xen", or "loop:DIR:DOMID" */
    uint32_t devid;       /* virtual device number: 51712 for xvda */
    const char *protocol; /* "x86_64-abi" (also when NULL), "x86_32-abi" */
    uint32_t queues;      /* wanted; 0 means 1; limited by what the backend offers */
    uint32_t ring_order;  /* wanted; limited by what the backend offers */
    bool no_persistent;   /* do not offer feature-persistent */
    bool no_indirect;     /* do not use indirect requests */
    bool poll;            /* spin for completions instead of sleeping */
    bool end_grants;     /* grant each request its own pages and end them when it is answered: slow;
                          * shows a backend that answers while it still maps. No persistent grants */
    uint32_t timeout_ms; /* for the backend to connect; 0 means 10 000 */
};

/* What was negotiated. */
struct blkfront_info {
    uint64_t sectors;
    uint32_t sector_size, physical_sector_size; /* bytes */
    uint32_t info_bits;                         /* the backend's `info` node */
    bool read_only, persistent, flush, barrier, discard, discard_secure;
    uint32_t discard_granularity, discard_alignment; /* bytes */
    uint32_t max_indirect;                           /* segments; 0: none */
    uint32_t queues, ring_order, ring_entries;
    const char *protocol;
};

/* Negotiates and connects: returns with both sides Connected. error (of error_bytes, may be NULL)
 * receives one line when it fails: what the backend wrote to its error node, if it did.
 * -EHOSTUNREACH: no hypervisor or store there; -ENOENT: no such disk; -ETIMEDOUT: the backend did
 * not follow in time; -ECONNREFUSED: it closed instead of connecting; -EPROTO: its nodes make no
 * sense. */
int blkfront_open(const struct blkfront_options *options, struct blkfront **out, char *error,
                  size_t error_bytes);
/* Waits for what is in flight, goes through Closing to Closed, ends all grants. */
void blkfront_close(struct blkfront *bf);
void blkfront_get_info(const struct blkfront *bf, struct blkfront_info *info);

enum blkfront_op {
    BLKFRONT_READ,
    BLKFRONT_WRITE,
    BLKFRONT_FLUSH,
    BLKFRONT_BARRIER, /* with or without data */
    BLKFRONT_DISCARD,
    BLKFRONT_DISCARD_SECURE,
};

struct blkfront_io {
    enum blkfront_op op;
    uint64_t sector;
    uint64_t nr_sectors; /* READ, WRITE: at most blkfront_max_sectors() */
    void *buf;           /* READ, WRITE: nr_sectors * 512 bytes; copied to and from granted pages.
                          * NULL: nothing is copied and the granted pages hold whatever they held
                          * (for benchmarks). FLUSH, BARRIER: as a write, or nr_sectors 0 */
    /* status: 0, -EIO (the backend said error, or is gone) or -EOPNOTSUPP. Runs inside
     * blkfront_poll() or blkfront_close(); may submit again. */
    void (*done)(struct blkfront_io *io, int status);
    void *user;
    struct blkfront_io *next; /* the library's while in flight */
};

/* The most sectors one request carries. */
uint32_t blkfront_max_sectors(const struct blkfront *bf);
/* 0: done() will fire exactly once. -EAGAIN: the ring is full, poll first. Others: never fires.
 * Requests become visible to the backend at the next blkfront_kick(). */
int blkfront_submit(struct blkfront *bf, uint32_t queue, struct blkfront_io *io);
void blkfront_kick(struct blkfront *bf, uint32_t queue);
/* Completes what has been answered; with wait_ms != 0 waits that long (-1: for ever, but not when
 * nothing is in flight) for at least one. Returns how many, or -EPROTO when the backend broke the
 * protocol (unknown id, wrong operation, response without a request): the queue is then dead, what
 * was in flight is completed with -EIO, and blkfront_error() says what happened. */
int blkfront_poll(struct blkfront *bf, uint32_t queue, int wait_ms);
uint32_t blkfront_in_flight(const struct blkfront *bf, uint32_t queue);
/* Readable when the queue's event channel fired (not in poll mode). Level triggered: call
 * blkfront_poll(bf, queue, 0) until it returns 0. */
int blkfront_fd(const struct blkfront *bf, uint32_t queue);
/* One line about the -EPROTO of this queue; "" when there was none. */
const char *blkfront_error(const struct blkfront *bf, uint32_t queue);

/* Looks at what the backend has written to the store since the last call; never blocks for long.
 * 0: nothing that matters; 1: the disk has a new size (blkfront_get_info() tells); -ENOTCONN: the
 * backend is closing or gone: fail what is in flight with blkfront_fail() and close. */
int blkfront_events(struct blkfront *bf);
/* Readable when blkfront_events() may have something. */
int blkfront_events_fd(const struct blkfront *bf);
/* Completes what is in flight on the queue with -EIO. Nothing can be submitted to it afterwards. */
void blkfront_fail(struct blkfront *bf, uint32_t queue);

/* Whole transfers of any length, split as the ring demands; queue 0, which must be idle; they
 * block. 0, -EIO, -EOPNOTSUPP, -EPROTO, or -ENOTCONN when the backend went away. */
int blkfront_read(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, void *buf);
int blkfront_write(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, const void *buf);
int blkfront_flush(struct blkfront *bf);
int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, bool secure);

#ifdef __cplusplus
}
#endif
#endif
