/* SPDX-License-Identifier: MIT
 *
 * Threads of the code under test as coroutines of the fuzzer's one thread, so that the same input
 * always does the same: pthread_create(), pthread_join() and sem_wait() are wrapped by the linker.
 * A fiber runs until it yields; the code between two yields is one step.
 */
#ifndef FUZZ_FIBER_H
#define FUZZ_FIBER_H

#include <stdbool.h>

#define FIBERS_MAX 8

/* Runs each fiber that has not ended once. True if there was one. */
bool fibers_step(void);
/* The same for one of them, counted in the order of their making since fibers_forget(). */
bool fiber_step(unsigned which);
/* Gives control back to whoever steps. */
void fiber_yield(void);
/* All have ended: numbers start at 0 again. */
void fibers_forget(void);

#endif
