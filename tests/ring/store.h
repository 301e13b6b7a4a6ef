/* SPDX-License-Identifier: MIT
 *
 * A storage engine in memory that writes down what it was asked, in order, and can hold I/Os back
 * until the test lets them go. Threads: submit on the ring's thread, the rest on the test's.
 */
#ifndef TESTS_RING_STORE_H
#define TESTS_RING_STORE_H

#include <pthread.h>

#include "engine/engine.h"

#define STORE_LOG_MAX  256
#define STORE_HELD_MAX 64

struct store_entry {
    enum engine_op op;
    uint64_t offset, length; /* bytes */
};

struct store {
    const struct engine_ops *ops; /* first: this is a struct engine */
    unsigned char *bytes;
    uint64_t size_bytes;
    pthread_mutex_t lock;
    struct store_entry log[STORE_LOG_MAX];
    unsigned logged;
    bool hold;         /* I/Os wait for store_let_go() */
    int result;        /* what I/Os complete with; 0 or a negative errno */
    int submit_result; /* negative: submit() itself fails */
    struct engine_io *held[STORE_HELD_MAX];
    unsigned nr_held;
    unsigned let_go;
    int release_fd;
};

struct store *store_new(uint64_t size_bytes);
void store_free(struct store *s);
/* Whether I/Os submitted from now on wait for store_let_go(); before a ring runs `hold` may be set
 * directly. */
void store_hold(struct store *s, bool on);
/* Waits until n I/Os are held. */
void store_wait_held(struct store *s, unsigned n);
/* Waits until n I/Os were submitted in all. */
void store_wait_logged(struct store *s, unsigned n);
/* Lets the n oldest held I/Os complete. */
void store_let_go(struct store *s, unsigned n);
unsigned store_logged(struct store *s);

#endif
