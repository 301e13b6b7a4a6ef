/* SPDX-License-Identifier: MIT
 *
 * One bug of each kind that the sanitizer builds must find, chosen by the first argument. Exists to
 * be caught: see sanitizer.sh. Threads: two for "race".
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *touch(void *arg)
{
    shared++;
    return arg;
}

static int race(void)
{
    pthread_t t;

    if (pthread_create(&t, NULL, touch, NULL))
        return 1;
    shared++;
    pthread_join(t, NULL);
    return 0;
}

static int heap(size_t n)
{
    volatile char *p = malloc(n);

    if (!p)
        return 1;
    p[n] = 1;
    free((void *)p);
    return 0;
}

static int leak(size_t n)
{
    volatile char *p = malloc(n);

    if (!p)
        return 1;
    p[0] = 1;
    p = NULL;
    return 0;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    volatile int big = INT_MAX;

    if (strcmp(kind, "heap") == 0)
        return heap((size_t)argc * 8);
    if (strcmp(kind, "leak") == 0)
        return leak((size_t)argc * 8);
    if (strcmp(kind, "overflow") == 0)
        return printf("%d\n", big + argc) < 0;
    if (strcmp(kind, "race") == 0)
        return race();
    fputs("usage: sanitizer_bugs heap|leak|overflow|race\n", stderr);
    return 0;
}
