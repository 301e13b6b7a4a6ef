/* SPDX-License-Identifier: MIT
 *
 * blkif-conform: a frontend that holds a block backend to its protocol. One case is one rule; the
 * cases are tables in files by subject. Grouped by the file that implements it.
 *
 * A case starts from a legal connection (or from nodes written and nothing said yet), does what it
 * does, and ends by returning; require(), fail() and skip() end it early. The runner then closes
 * legally, wants every grant back, and wants a fresh legal connection to carry I/O.
 *
 * Units: sectors are 512 bytes. Threads: struct ctx is the main thread's; the threads that a case
 * starts touch only what it hands them.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/barrier.h"
#include "front/raw.h"

#define WAIT_MS      20000u /* for what must happen; nothing passes or fails on a shorter time */
#define PAGE_SECTORS (HV_PAGE / BLKIF_SECTOR)
#define QUEUES_MAX   64u
#define SCRATCH      256u        /* first sector that cases write to */
#define SCRATCH_END  16384u      /* one past the last, but for cases at the end of the disk */
#define GREF_NEVER   0x0fffff00u /* a reference that nobody granted */

enum { /* XenbusState */
       XS_INITIALISING = 1,
       XS_INITWAIT = 2,
       XS_INITIALISED = 3,
       XS_CONNECTED = 4,
       XS_CLOSING = 5,
       XS_CLOSED = 6,
};
#define BIT(n) (1u << (n))

/* ---- The table ------------------------------------------------------------------------------- */

enum level { MUST, SHOULD };

enum need { /* of the disk or its backend; a case without what it needs is skipped */
            NEED_WRITE = 1 << 0, /* a writable disk */
            NEED_READ_ONLY = 1 << 1,
            NEED_FLUSH = 1 << 2,
            NEED_BARRIER = 1 << 3,
            NEED_DISCARD = 1 << 4,
            NEED_INDIRECT = 1 << 5,
            NEED_PERSISTENT = 1 << 6,
            NEED_QUEUES = 1 << 7, /* two at least */
            NEED_HOST = 1 << 8,   /* --host: somebody who does things on the backend's side */
            NEED_NO_FLUSH = 1 << 9,
            NEED_NO_DISCARD = 1 << 10,
            NEED_NO_INDIRECT = 1 << 11,
            NEED_NO_SECURE = 1 << 12,
            NEED_SECURE = 1 << 13,
            NEED_RINGS = 1 << 14, /* of two pages at least */
            NEED_NO_BARRIER = 1 << 15,
};

struct connect {
    const char *protocol; /* NULL: x86_64-abi */
    uint32_t queues;      /* 0: one */
    uint32_t order;
    uint32_t first_index; /* of the rings */
    bool no_persistent;
    bool prepared; /* only the nodes are written; state 3 is the case's */
};

struct ctx;

struct conform_case {
    const char *id;     /* "subject.rule" */
    const char *clause; /* a row of COVERAGE.md */
    enum level level;
    const char *what; /* the rule, in one line */
    unsigned needs;
    struct connect how;
    void (*run)(struct ctx *c, const void *arg);
    const void *arg;
};

struct suite {
    const struct conform_case *cases;
    unsigned n;
};
#define SUITE(name) const struct suite suite_##name = {cases, sizeof(cases) / sizeof(cases[0])}

extern const struct suite suite_negotiation, suite_io, suite_segments, suite_indirect, suite_abis,
    suite_flush_barrier, suite_discard, suite_persistent, suite_multi_queue, suite_resize,
    suite_teardown, suite_pairs, suite_hostile_requests, suite_hostile_flips, suite_hostile_indices,
    suite_hostile_xenstore, suite_grants, suite_storms, suite_leaks;

/* ---- What a case works with ------------------------------------------------------------------ */

struct settings {
    const char *hv;
    uint32_t devid;
    const char *host; /* command, or NULL */
    bool thorough;
};

struct offer { /* of the backend, read once */
    uint32_t max_queues, max_order;
    struct blkfront_info info;
};

/* A request that has been put on a ring and not been answered. */
struct asked {
    uint64_t id;
    uint8_t op; /* what the answer must say */
    bool used;
};

struct queue {
    struct front_raw_queue raw;
    uint32_t req_prod, pushed, rsp_cons;
    struct asked *asked; /* raw.entries of them */
    uint32_t in_flight;
};

#define BLOCKS_MAX 64
#define NODES_MAX  24
#define TWISTS_MAX 4

struct block { /* pages granted together */
    void *addr;
    uint32_t n;
};

struct saved_node {
    char path[128];
    char value[128];
    bool absent;
};

/* A thread that a case runs beside itself, until stop. */
struct twist {
    pthread_t thread;
    void (*turn)(void *arg, unsigned n); /* called again and again */
    void *arg;
    bool stop;
    _Alignas(16) uint8_t own[64]; /* arg's copy */
};

struct ctx {
    const struct settings *set;
    const struct offer *offer;
    const struct conform_case *now;
    struct connect how;
    struct blkfront *bf; /* NULL: not connected */
    struct front_raw_device dev;
    struct hv_share *share;
    struct queue *q;
    uint32_t nr_queues;
    bool connected;
    uint64_t next_id;
    struct block blocks[BLOCKS_MAX];
    uint8_t *disk_page; /* of disk_fill() and disk_want() */
    uint32_t disk_gref;
    struct saved_node saved[NODES_MAX];
    unsigned nr_saved;
    struct twist twists[TWISTS_MAX];
    unsigned nr_twists;
    jmp_buf out;
    bool failed, skipped;
    int refused; /* the error of the very first connection */
    char why[400];
};

/* ---- run.c: ends of a case ------------------------------------------------------------------- */
void fail(struct ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void skip(struct ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
#define require(c, cond, ...)                                                                      \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail((c), __VA_ARGS__);                                                                \
    } while (0)
/* Runs fn with c and says whether it ended by itself. */
bool guarded(struct ctx *c, void (*fn)(struct ctx *c));
/* The number of turns of a loop: few, or many with --thorough. */
unsigned times(const struct ctx *c, unsigned few, unsigned many);
uint64_t now_ms(void);
/* One look again soon; fails the case with this line when WAIT_MS have passed since start. */
void wait_a_little(struct ctx *c, uint64_t start, const char *what);
/* Asks the host; its first line of output, if wanted. 0; skips the case when it cannot. */
int host(struct ctx *c, const char *verb, char *out, size_t cap);
/* Runs turn(arg, 0), turn(arg, 1), ... in a thread until the case ends or twists_stop(). bytes of
 * *arg are copied, for the case's stack may be gone by then; 0: arg itself lives on. */
void twist_start(struct ctx *c, void (*turn)(void *arg, unsigned n), void *arg, size_t bytes);
void twists_stop(struct ctx *c);

/* ---- link.c: connecting and closing ---------------------------------------------------------- */
/* 0, or why the backend refused, in why (c is not connected then). */
int link_try(struct ctx *c, const struct connect *how);
void link_open(struct ctx *c, const struct connect *how); /* or fails the case */
/* After how.prepared: states 3 and 4. */
void link_finish(struct ctx *c);
/* 5, 6, and every page back. */
void link_close(struct ctx *c);
/* The same, and back to Initialising and InitWait: whatever the backend still had to read, it has
 * read. For after many states, or ones that nobody waited for. */
void link_settle(struct ctx *c);
/* As a domain that crashed: no word in the store. */
void link_drop(struct ctx *c);
/* What the runner does at a case's end, whatever state it left. */
void link_restore(struct ctx *c);
/* A fresh connection carries a write and a read. */
void link_proves(struct ctx *c);
int link_read_offer(struct ctx *c, struct offer *out);

/* ---- nodes.c: the store ---------------------------------------------------------------------- */
void state_write(struct ctx *c, unsigned state);
int backend_state(struct ctx *c); /* 0: gone or no number */
/* Waits until the backend's state is one of mask; returns it. */
unsigned backend_wait(struct ctx *c, unsigned mask, const char *what);
/* Writes (or with NULL removes) a node of the frontend; put back at the case's end. */
void node_write(struct ctx *c, const char *name, const char *value);
/* A node of the backend's directory: its length, or negative. */
int node_read(struct ctx *c, const char *name, char *buf, size_t cap);
/* The number in it, which must be one; fallback when it is not there. */
uint64_t node_number(struct ctx *c, const char *name, uint64_t fallback);
void nodes_restore(struct ctx *c);

/* ---- rq.c: requests with any bytes ----------------------------------------------------------- */
struct rq {
    uint8_t op;
    uint8_t inner; /* INDIRECT; DISCARD: the flag */
    uint16_t nr;   /* segments, as the field says: may lie */
    uint16_t handle;
    uint64_t id; /* 0: the next free one */
    uint64_t sector;
    uint64_t nr_sectors; /* DISCARD */
    struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];
    uint32_t gref[BLKIF_INDIRECT_PAGES_MAX];
};
struct answer {
    uint64_t id;
    uint8_t op;
    int16_t status;
    const uint8_t *slot;
};
void *rq_put(struct ctx *c, uint32_t q, const struct rq *rq); /* its slot; not visible yet */
void rq_push(struct ctx *c, uint32_t q);                      /* visible; notifies if asked to */
/* The next answer, which must be one to a request in flight. */
struct answer rq_answer(struct ctx *c, uint32_t q);
/* All that is in flight; the number of them that did not say status. */
unsigned rq_answers(struct ctx *c, uint32_t q, int status);
int rq_do(struct ctx *c, uint32_t q, const struct rq *rq); /* put, push, answer: its status */
/* As rq_do(), and the case fails unless that is the status. */
void rq_want(struct ctx *c, uint32_t q, const struct rq *rq, int status);
/* Requests of n whole pages. */
struct rq rq_rw(uint8_t op, uint64_t sector, const uint32_t *gref, unsigned n);
struct rq rq_discard(uint64_t sector, uint64_t nr_sectors, uint8_t flag);
bool is_32(const struct ctx *c);

/* ---- pages.c --------------------------------------------------------------------------------- */
/* n pages next to each other, granted to the backend. */
uint8_t *pages_new(struct ctx *c, unsigned n, bool writable, uint32_t *gref);
/* Ends their grants: 0, or -EBUSY while the backend maps one. */
int pages_end(struct ctx *c, void *addr);
void pages_want_end(struct ctx *c, void *addr, const char *when);
/* Ends everything; the number of blocks that were still mapped. */
unsigned pages_end_all(struct ctx *c);
/* Words that differ from sector to sector and from seed to seed. */
void fill(void *to, uint64_t sector, unsigned sectors, uint32_t seed);
bool filled(const void *from, uint64_t sector, unsigned sectors, uint32_t seed);
/* The disk itself, over queue 0, page by page; the case fails if the backend does. */
void disk_fill(struct ctx *c, uint64_t sector, unsigned sectors, uint32_t seed);
void disk_want(struct ctx *c, uint64_t sector, unsigned sectors, uint32_t seed);
uint64_t disk_sectors(const struct ctx *c);

#endif
