/* SPDX-License-Identifier: MIT
 *
 * An engine of memory with blocks of 4096 bytes, for what lies over it. It refuses and counts every
 * access that is not in whole blocks, takes its time, and can hold I/Os back, fail and refuse them.
 * A read sees the memory when it is submitted, a write changes it when it completes: the worst a
 * real store may do.
 *
 * Threads: bytes may be used through several channels at once; what is below "one thread" may not.
 */
#ifndef TESTS_ENGINE_MEM_H
#define TESTS_ENGINE_MEM_H

#include <pthread.h>

#include "engine/engine.h"

#define MEM_BLOCK    4096u
#define MEM_HELD_MAX 64
#define MEM_LOG_MAX  256
#define MEM_LOCKS    64

struct mem_log {
    enum engine_op op;
    uint64_t offset, length;
};

struct mem {
    const struct engine_ops *ops;
    struct engine_info info;
    unsigned char *bytes; /* the caller's */
    unsigned violations;  /* atomic */
    unsigned in_flight;   /* atomic */
    unsigned max_delay;   /* completions take up to so many rounds of ioctx_reap() */
    pthread_spinlock_t lock[MEM_LOCKS];

    /* One thread. */
    bool hold; /* I/Os wait for mem_release() */
    struct engine_io *held[MEM_HELD_MAX];
    unsigned nr_held;
    bool keep_log;
    struct mem_log log[MEM_LOG_MAX];
    unsigned nr_log;
    bool fail;   /* I/Os of fail_op that touch fail_at complete with fail_with, unchanged */
    bool refuse; /* the same, from submit() */
    enum engine_op fail_op;
    uint64_t fail_at;
    int fail_with;
};

/* NULL: no memory. bytes: info.size_bytes of them, of the caller. */
struct mem *mem_new(unsigned char *bytes, uint64_t size_bytes, bool read_only);

/* Lays 512e over it, as engine_e512_apply() would have it; info: what is offered. */
int mem_e512(struct mem *m, struct engine **out, struct engine_info *info);

/* Completes the i-th of the held I/Os, on its own channel's thread. */
void mem_release(struct mem *m, unsigned i);

#endif
