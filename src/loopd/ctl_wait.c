/* SPDX-License-Identifier: MIT
 *
 * Waiting for a state node: a watch, and a deadline.
 */
#include "loopd/ctl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"

static int read_state(struct ctl *c, const char *path)
{
    char buf[16], *end;

    if (hv_store_read(c->store, 0, path, buf, sizeof(buf)) < 0)
        return -1;
    long v = strtol(buf, &end, 10);
    return *end || end == buf || v < 0 || v > 99 ? -1 : (int)v;
}

static int drain(struct ctl *c)
{
    char path[16], token[16];
    int r;

    while ((r = hv_store_next_watch(c->store, path, sizeof(path), token, sizeof(token))) > 0)
        ;
    return r;
}

int wait_state(struct ctl *c, const char *path, int state, unsigned timeout_ms, int *last)
{
    uint64_t end = loop_now_ms() + timeout_ms, now = end - timeout_ms;
    int r = hv_store_watch(c->store, path, "wait");

    if (r)
        return r;
    while ((*last = read_state(c, path)) != state && now < end) {
        struct pollfd p = {.fd = hv_store_fd(c->store), .events = POLLIN};

        if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
            r = -errno;
        if (!r)
            r = drain(c);
        if (r)
            break;
        now = loop_now_ms();
    }
    hv_store_unwatch(c->store, path, "wait");
    if (r)
        return r;
    return *last == state ? 0 : -ETIMEDOUT;
}
