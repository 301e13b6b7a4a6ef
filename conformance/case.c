/* SPDX-License-Identifier: MIT
 *
 * What a case can call: its ends, waiting, threads beside it, the host. Thread: main.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#define HOST_CANNOT 77 /* the host command's exit status when it cannot do a thing */

__attribute__((format(printf, 2, 0))) static void say(struct ctx *c, const char *fmt, va_list ap)
{
    vsnprintf(c->why, sizeof(c->why), fmt, ap);
    for (char *p = c->why; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == '#')
            *p = ' ';
}

void fail(struct ctx *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(c, fmt, ap);
    va_end(ap);
    c->failed = true;
    longjmp(c->out, 1);
}

void skip(struct ctx *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(c, fmt, ap);
    va_end(ap);
    c->skipped = true;
    longjmp(c->out, 1);
}

bool guarded(struct ctx *c, void (*fn)(struct ctx *c))
{
    if (setjmp(c->out) != 0)
        return false;
    fn(c);
    return true;
}

unsigned times(const struct ctx *c, unsigned few, unsigned many)
{
    return c->set->thorough ? many : few;
}

uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void wait_a_little(struct ctx *c, uint64_t start, const char *what)
{
    static const struct timespec pause = {.tv_nsec = 500000};

    require(c, now_ms() - start < WAIT_MS, "%s", what);
    nanosleep(&pause, NULL);
}

int host(struct ctx *c, const char *verb, char *out, size_t cap)
{
    char command[512], line[160];
    FILE *f;
    int status;

    if (c->set->host == NULL)
        skip(c, "needs --host");
    snprintf(command, sizeof(command), "%.400s %.100s", c->set->host, verb);
    f = popen(command, "r");
    require(c, f != NULL, "%s cannot be run", command);
    line[0] = '\0';
    if (fgets(line, sizeof(line), f) != NULL)
        line[strcspn(line, "\n")] = '\0';
    while (fgetc(f) != EOF)
        continue;
    status = pclose(f);
    if (WIFEXITED(status) && WEXITSTATUS(status) == HOST_CANNOT)
        skip(c, "the host cannot: %s", verb);
    require(c, WIFEXITED(status) && WEXITSTATUS(status) == 0, "on the host, %s: %s", verb, line);
    if (out != NULL)
        snprintf(out, cap, "%s", line);
    return 0;
}

static void *twist_run(void *arg)
{
    struct twist *t = arg;

    for (unsigned n = 0; !__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE); n++)
        t->turn(t->arg, n);
    return NULL;
}

void twist_start(struct ctx *c, void (*turn)(void *arg, unsigned n), void *arg, size_t bytes)
{
    struct twist *t = &c->twists[c->nr_twists];
    int rc;

    require(c, c->nr_twists < TWISTS_MAX && bytes <= sizeof(t->own),
            "the case starts more than %d threads", TWISTS_MAX);
    *t = (struct twist){.turn = turn, .arg = arg};
    if (bytes != 0)
        t->arg = memcpy(t->own, arg, bytes);
    rc = pthread_create(&t->thread, NULL, twist_run, t);
    require(c, rc == 0, "a thread cannot be started: %s", strerror(rc));
    c->nr_twists++;
}

void twists_stop(struct ctx *c)
{
    while (c->nr_twists != 0) {
        struct twist *t = &c->twists[--c->nr_twists];

        __atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
        pthread_join(t->thread, NULL);
    }
}
