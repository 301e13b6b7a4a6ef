/* SPDX-License-Identifier: MIT
 *
 * What the engine tests share: the kinds of store an engine is shown, and an engine started on one
 * of them with a channel to it. One thread.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "mem.h"

#define STORE_BYTES (8u << 20)
#define RIG_DEPTH   32

enum store_kind {
    STORE_FILE,   /* in the temporary folder */
    STORE_SHM,    /* a file on tmpfs */
    STORE_LOOP,   /* a loop device with blocks of 512 bytes */
    STORE_LOOP4K, /* and one with 4096 */
    STORE_NULL,
    STORE_E512_LOOP, /* 512e over STORE_LOOP4K */
    STORE_E512_FILE, /* 512e over a file whose O_DIRECT takes 4096 bytes */
    STORE_E512_MEM,  /* 512e over mem.h */
    STORE_KINDS,
};

extern const char *const store_names[STORE_KINDS];

struct store {
    enum store_kind kind;
    char dir[256];        /* private; "" if none */
    char path[300];       /* of the file that holds the bytes; "" if none */
    char spec[320];       /* what engine_resolve() gets */
    int loop_fd;          /* -1 if none */
    char mounted[300];    /* where the loop device is, "" if it is not */
    unsigned char *bytes; /* of STORE_E512_MEM */
    char why[160];        /* set when the store cannot be had here */
};

/* 0, or -1 with store->why: nothing is left then. */
int store_make(struct store *store, enum store_kind kind);
void store_remove(struct store *store);

struct rig_case {
    const char *name;
    void (*test)(void **state); /* *state is a struct rig */
    enum store_kind kind;
};

struct rig {
    struct store store;
    const struct rig_case *test_case;
    char *shown_name;
    size_t shown_name_bytes;
    jmp_buf skipped;
    const struct engine_ops *ops;
    struct engine_info info;
    struct engine *engine;
    struct mem *mem; /* below the engine; NULL if it is not that */
    struct ioctx ctx;
    bool ctx_open;
    struct engine_channel *channel;
    uint64_t random;
};

/* Runs each case with a rig of its own; what main() returns. */
int rig_main(const char *group, const struct rig_case *cases, size_t n);

#define RIG_CASE(f, kind)                                                                          \
    {                                                                                              \
#f, f, kind                                                                                \
    }

/* Ends the test as skipped. (cmocka's own skip() prints "not ok", which TAP readers take for a
 * failure.) */
void rig_skip(struct rig *rig, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* Makes the store (skips the test with the reason where it cannot be had), opens and starts. */
void rig_start(struct rig *rig, unsigned open_flags);
/* Stops the engine and opens the same store again. */
void rig_restart(struct rig *rig, unsigned open_flags);
void rig_close(struct rig *rig);

/* An I/O that knows what became of it. */
struct probe {
    struct engine_io io;
    struct iovec iov[64];
    unsigned calls; /* of done() */
    int result;
};

void probe_done(struct engine_io *io, int result);

/* Prepares p as one operation on one piece of memory (NULL for none). */
void probe_set(struct probe *p, enum engine_op op, uint64_t offset, uint64_t length, void *memory);

/* Submits and waits: what submit returned if negative, else the result. */
int rig_do(struct rig *rig, struct probe *p);
int rig_do_simple(struct rig *rig, enum engine_op op, uint64_t offset, uint64_t length,
                  void *memory);

/* Enters and reaps until p has been called. */
void rig_wait(struct rig *rig, const struct probe *p);

/* Whether what is written can be read back. */
bool rig_keeps_data(const struct rig *rig);

uint64_t rig_random(struct rig *rig);
void rig_fill(struct rig *rig, void *memory, size_t bytes);

/* 4096-aligned, test memory; fails the test when there is none. */
void *rig_memory(size_t bytes);

#endif
