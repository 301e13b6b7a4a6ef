/* SPDX-License-Identifier: MIT
 *
 * Event loop over epoll. A removed source is only marked and unlinked; its memory goes when no
 * batch of events that could still name it is being dispatched. Threads: see loop.h.
 */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define LOOP_BATCH 64

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

struct loop_source {
    struct loop *loop;
    struct loop_source *next, **link; /* the list it is on */
    enum source_kind kind;
    bool dead;
    int fd;
    uint64_t due_ms;
    union {
        loop_fd_cb *fd_cb;
        loop_timer_cb *timer_cb;
        loop_signal_cb *signal_cb;
    };
    void *arg;
};

struct loop {
    int epfd;
    bool stop;
    unsigned depth;             /* dispatches under way */
    struct loop_source *live;   /* descriptors and signals */
    struct loop_source *timers; /* soonest first */
    struct loop_source *dead;   /* to be freed when depth is 0 */
};

uint64_t loop_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void list_insert(struct loop_source **at, struct loop_source *s)
{
    s->next = *at;
    s->link = at;
    if (*at)
        (*at)->link = &s->next;
    *at = s;
}

static void list_remove(struct loop_source *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
}

static void free_list(struct loop_source **list)
{
    while (*list) {
        struct loop_source *s = *list;
        list_remove(s);
        free(s);
    }
}

int loop_create(struct loop **out)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epfd < 0) {
        int err = -errno;
        free(l);
        return err;
    }
    *out = l;
    return 0;
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    while (l->live)
        loop_remove(l->live);
    free_list(&l->timers);
    free_list(&l->dead);
    close(l->epfd);
    free(l);
}

static struct loop_source *source_new(struct loop *l, enum source_kind kind, int fd, void *arg)
{
    struct loop_source *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->loop = l;
    s->kind = kind;
    s->fd = fd;
    s->arg = arg;
    return s;
}

static int source_poll(struct loop_source *s, uint32_t events, struct loop_source **out)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};

    if (epoll_ctl(s->loop->epfd, EPOLL_CTL_ADD, s->fd, &ev)) {
        int err = -errno;
        free(s);
        return err;
    }
    list_insert(&s->loop->live, s);
    if (out)
        *out = s;
    return 0;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_cb *cb, void *arg,
                struct loop_source **out)
{
    struct loop_source *s = source_new(l, SOURCE_FD, fd, arg);

    if (!s)
        return -ENOMEM;
    s->fd_cb = cb;
    return source_poll(s, events, out);
}

int loop_set_events(struct loop_source *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};

    return epoll_ctl(s->loop->epfd, EPOLL_CTL_MOD, s->fd, &ev) ? -errno : 0;
}

int loop_add_timer(struct loop *l, uint64_t delay_ms, loop_timer_cb *cb, void *arg,
                   struct loop_source **out)
{
    struct loop_source *s = source_new(l, SOURCE_TIMER, -1, arg);

    if (!s)
        return -ENOMEM;
    s->timer_cb = cb;
    s->due_ms = loop_now_ms() + delay_ms;
    struct loop_source **at = &l->timers;
    while (*at && (*at)->due_ms <= s->due_ms)
        at = &(*at)->next;
    list_insert(at, s);
    if (out)
        *out = s;
    return 0;
}

int loop_add_signal(struct loop *l, int signo, loop_signal_cb *cb, void *arg,
                    struct loop_source **out)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signo);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct loop_source *s = source_new(l, SOURCE_SIGNAL, fd, arg);
    int err = -ENOMEM;
    if (s) {
        s->signal_cb = cb;
        err = source_poll(s, EPOLLIN, out);
    }
    if (err)
        close(fd);
    return err;
}

void loop_remove(struct loop_source *s)
{
    if (!s || s->dead)
        return;
    if (s->kind != SOURCE_TIMER)
        epoll_ctl(s->loop->epfd, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->kind == SOURCE_SIGNAL)
        close(s->fd);
    list_remove(s);
    s->dead = true;
    list_insert(&s->loop->dead, s);
    if (!s->loop->depth)
        free_list(&s->loop->dead);
}

static int timeout_until_timer(const struct loop *l, int timeout_ms)
{
    if (!l->timers)
        return timeout_ms;
    uint64_t now = loop_now_ms();
    uint64_t left = l->timers->due_ms > now ? l->timers->due_ms - now : 0;
    if (left > 3600 * 1000)
        left = 3600 * 1000;
    return timeout_ms < 0 || left < (uint64_t)timeout_ms ? (int)left : timeout_ms;
}

static void run_timers(struct loop *l)
{
    uint64_t now = loop_now_ms();

    while (l->timers && l->timers->due_ms <= now) {
        struct loop_source *s = l->timers;
        loop_timer_cb *cb = s->timer_cb;
        void *arg = s->arg;
        loop_remove(s);
        cb(arg);
    }
}

static void dispatch(struct loop_source *s, uint32_t events)
{
    if (s->dead)
        return;
    if (s->kind == SOURCE_FD) {
        s->fd_cb(s->arg, events);
        return;
    }
    struct signalfd_siginfo info;
    while (!s->dead && read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        s->signal_cb(s->arg, (int)info.ssi_signo);
}

int loop_run_once(struct loop *l, int timeout_ms)
{
    struct epoll_event events[LOOP_BATCH];
    int n = epoll_wait(l->epfd, events, LOOP_BATCH, timeout_until_timer(l, timeout_ms));

    if (n < 0 && errno != EINTR)
        return -errno;
    l->depth++;
    for (int i = 0; i < n; i++)
        dispatch(events[i].data.ptr, events[i].events);
    run_timers(l);
    l->depth--;
    if (!l->depth)
        free_list(&l->dead);
    return 0;
}

int loop_run(struct loop *l)
{
    int err = 0;

    while (!l->stop && !err)
        err = loop_run_once(l, -1);
    l->stop = false;
    return err;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}
