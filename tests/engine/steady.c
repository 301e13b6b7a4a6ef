/* SPDX-License-Identifier: MIT
 *
 * Once a channel is open, reads, writes, flushes and discards of files allocate nothing and lock
 * nothing, and a batch of any size is one system call. The allocator and the mutex are wrapped by
 * the linker (-Wl,--wrap) in everything that is linked statically: engine and base.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static unsigned long counted, locks;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

void *__wrap_malloc(size_t n)
{
    counted++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    counted++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    counted++;
    return __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    counted++;
    return __real_posix_memalign(p, align, n);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    locks++;
    return __real_pthread_mutex_lock(m);
}

static void nothing_is_allocated_for_an_io(void **state)
{
    struct rig *rig = *state;
    static struct probe p[RIG_DEPTH];
    static const enum engine_op ops[] = {ENGINE_READ, ENGINE_WRITE, ENGINE_FLUSH, ENGINE_DISCARD};

    unsigned long before = counted;
    rig_start(rig, 0);
    assert_true(counted > before); /* the wrappers work */
    char *memory = rig_memory((size_t)RIG_DEPTH * 4096 + 4096);
    before = counted;
    unsigned long locks_before = locks;
    for (unsigned round = 0; round < 8; round++) {
        uint64_t enters = rig->ctx.enters;
        for (unsigned i = 0; i < RIG_DEPTH; i++) {
            enum engine_op op = ops[(round + i) % 4];
            if (op == ENGINE_DISCARD && !rig->info.can_discard)
                op = ENGINE_READ;
            bool rw = op == ENGINE_READ || op == ENGINE_WRITE;
            /* every third one is bounced */
            probe_set(&p[i], op, op == ENGINE_FLUSH ? 0 : i * 4096ul, op == ENGINE_FLUSH ? 0 : 4096,
                      rw ? memory + i * 4096ul + (i % 3 ? 0 : 4) : NULL);
            assert_int_equal(rig->ops->submit(rig->channel, &p[i].io), 0);
        }
        assert_int_equal(rig->ctx.enters, enters);
        for (unsigned i = 0; i < RIG_DEPTH; i++)
            rig_wait(rig, &p[i]);
    }
    assert_int_equal(counted, before);
    assert_int_equal(locks, locks_before);
    free(memory);
}

/* An unaligned change does take the lock: that shows the wrapper counts. */
static void nothing_is_allocated_for_an_unaligned_io(void **state)
{
    struct rig *rig = *state;
    static struct probe p[RIG_DEPTH];
    static const enum engine_op ops[] = {ENGINE_READ, ENGINE_WRITE, ENGINE_WRITE_ZEROES};

    rig_start(rig, 0);
    char *memory = rig_memory((size_t)RIG_DEPTH * 4096);
    unsigned long before = counted, locks_before = locks;
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < RIG_DEPTH; i++) {
            enum engine_op op = ops[(round + i) % 3];
            probe_set(&p[i], op, i * 2048ul + 512, 1024 + 512 * (i % 5),
                      op == ENGINE_WRITE_ZEROES ? NULL : memory + i * 4096ul);
            assert_int_equal(rig->ops->submit(rig->channel, &p[i].io), 0);
        }
        for (unsigned i = 0; i < RIG_DEPTH; i++)
            rig_wait(rig, &p[i]);
    }
    assert_int_equal(counted, before);
    assert_true(locks > locks_before);
    free(memory);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(nothing_is_allocated_for_an_io, STORE_FILE),
        RIG_CASE(nothing_is_allocated_for_an_io, STORE_SHM),
        RIG_CASE(nothing_is_allocated_for_an_io, STORE_NULL),
        RIG_CASE(nothing_is_allocated_for_an_io, STORE_E512_MEM),
        RIG_CASE(nothing_is_allocated_for_an_io, STORE_E512_FILE),
        RIG_CASE(nothing_is_allocated_for_an_unaligned_io, STORE_E512_MEM),
        RIG_CASE(nothing_is_allocated_for_an_unaligned_io, STORE_E512_FILE),
    };

    return rig_main("steady", cases, sizeof(cases) / sizeof(cases[0]));
}
