/* SPDX-License-Identifier: MIT
 *
 * The event loop of the processes that decide (daemon, loopd, a worker's control thread): epoll,
 * one-shot timers, signals. A ring's thread does not use it; it has its io_uring (base/ioctx.h).
 *
 * Threads: a loop and its sources belong to the thread that runs it.
 * A source may be removed from any callback, its own included; no callback of it runs afterwards.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>

struct loop;
struct loop_source;

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop); /* frees the sources that are left too */

/* Runs until loop_stop(). Returns 0, or a negative errno if epoll itself fails. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Dispatches what is ready now or within timeout_ms (-1: no limit), once. */
int loop_run_once(struct loop *loop, int timeout_ms);

typedef void loop_fd_cb(void *arg, uint32_t epoll_events);
typedef void loop_timer_cb(void *arg);
typedef void loop_signal_cb(void *arg, int signo);

/* events: EPOLLIN | EPOLLOUT, level triggered. The descriptor stays the caller's. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_cb *cb, void *arg,
                struct loop_source **out);
int loop_set_events(struct loop_source *source, uint32_t events);

/* Fires once after delay_ms, then is gone by itself: *out must not be used after its callback
 * began. Before that it may be removed with loop_remove(). */
int loop_add_timer(struct loop *loop, uint64_t delay_ms, loop_timer_cb *cb, void *arg,
                   struct loop_source **out);

/* Blocks signo for the process and delivers it here. Call before threads are made. */
int loop_add_signal(struct loop *loop, int signo, loop_signal_cb *cb, void *arg,
                    struct loop_source **out);

/* NULL is fine. */
void loop_remove(struct loop_source *source);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t loop_now_ms(void);

#endif
