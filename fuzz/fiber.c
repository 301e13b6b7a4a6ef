/* SPDX-License-Identifier: MIT
 *
 * See fiber.h. AddressSanitizer is told of each change of stack.
 */
#include "fiber.h"

#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <semaphore.h>
#include <ucontext.h>

#include "input.h"

#define STACK_BYTES (256u << 10)
#define JOIN_STEPS  10000

struct fiber {
    ucontext_t context;
    unsigned char *stack; /* kept for the next fiber */
    void *fake_stack;
    bool used, ended;
    void *(*run)(void *);
    void *arg;
};

__typeof__(pthread_create) __wrap_pthread_create;
__typeof__(pthread_join) __wrap_pthread_join;
__typeof__(pthread_setname_np) __wrap_pthread_setname_np;
__typeof__(sem_wait) __wrap_sem_wait;

static struct fiber fibers[FIBERS_MAX];
static unsigned nr_fibers;
static struct fiber *current;
static ucontext_t outside;
static const void *outside_stack;
static size_t outside_bytes;

static void leave(struct fiber *f)
{
    void **keep = f->ended ? NULL : &f->fake_stack;

    current = NULL;
    __sanitizer_start_switch_fiber(keep, outside_stack, outside_bytes);
    swapcontext(&f->context, &outside);
    __sanitizer_finish_switch_fiber(f->fake_stack, &outside_stack, &outside_bytes);
}

static void entry(void)
{
    struct fiber *f = current;

    __sanitizer_finish_switch_fiber(NULL, &outside_stack, &outside_bytes);
    f->run(f->arg);
    f->ended = true;
    leave(f);
}

static void enter(struct fiber *f)
{
    void *fake;

    CHECK(!current);
    current = f;
    __sanitizer_start_switch_fiber(&fake, f->stack, STACK_BYTES);
    swapcontext(&outside, &f->context);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

bool fiber_step(unsigned which)
{
    if (which >= nr_fibers || fibers[which].ended)
        return false;
    enter(&fibers[which]);
    return true;
}

bool fibers_step(void)
{
    bool any = false;

    for (unsigned i = 0; i < nr_fibers; i++)
        any |= fiber_step(i);
    return any;
}

void fiber_yield(void)
{
    CHECK(current);
    leave(current);
}

void fibers_forget(void)
{
    for (unsigned i = 0; i < nr_fibers; i++)
        CHECK(fibers[i].ended);
    nr_fibers = 0;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
    CHECK(nr_fibers < FIBERS_MAX);
    struct fiber *f = &fibers[nr_fibers];
    if (!f->stack)
        f->stack = malloc(STACK_BYTES);
    f->ended = false;
    f->fake_stack = NULL;
    f->run = run;
    f->arg = arg;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, entry, 0);
    *t = (pthread_t)nr_fibers++;
    (void)a;
    return 0;
}

int __wrap_pthread_join(pthread_t t, void **result)
{
    CHECK(t < nr_fibers);
    for (unsigned n = 0; !fibers[t].ended; n++) {
        CHECK(n < JOIN_STEPS); /* a thread that was told to stop does not end */
        fibers_step();
    }
    (void)result;
    return 0;
}

int __wrap_pthread_setname_np(pthread_t t, const char *name)
{
    (void)t;
    CHECK(strlen(name) < 16);
    return 0;
}

int __wrap_sem_wait(sem_t *sem)
{
    for (unsigned n = 0; sem_trywait(sem); n++) {
        CHECK(n < JOIN_STEPS);
        fibers_step();
    }
    return 0;
}
