/* SPDX-License-Identifier: MIT
 *
 * Access to memory that another domain or thread changes at the same time.
 * Each use says which store and which load it orders, on which side.
 */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

/* One single load or store that the compiler may neither repeat, split nor drop. No ordering. */
#define READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Load-acquire: later accesses stay after it. Store-release: earlier accesses stay before it. */
#define load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Orders an earlier store against a later load: needed wherever two sides each write their own word
 * and then read the other's (publish and notify; sleep and final check). */
#define full_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Keeps the compiler from reading guest memory again after a copy was taken (XSA-155). */
#define compiler_barrier() __asm__ __volatile__("" ::: "memory")

/* A counter written by one thread and read by others (or by other processes). */
#define counter_add(p, n)                                                                          \
    __atomic_store_n((p), __atomic_load_n((p), __ATOMIC_RELAXED) + (n), __ATOMIC_RELAXED)

#endif
