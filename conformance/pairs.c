/* SPDX-License-Identifier: MIT
 *
 * Every state a frontend can write, twice, while the backend is in each of its own. What the
 * backend does is its own affair as long as it does not break: the runner wants the pages back and
 * a fresh connection afterwards. Thread: main.
 */
#include <string.h>

#include "conform.h"

static void go_to(struct ctx *c, unsigned backend)
{
    switch (backend) {
    case XS_CLOSING:
        state_write(c, XS_CLOSING);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "after our Closing");
        break;
    case XS_CLOSED:
        state_write(c, XS_CLOSED);
        backend_wait(c, BIT(XS_CLOSED), "after our Closed");
        break;
    default: /* InitWait and Connected are where the case starts */
        break;
    }
}

struct pair {
    unsigned backend, frontend;
};

static void twice(struct ctx *c, const void *arg)
{
    const struct pair *p = arg;

    go_to(c, p->backend);
    state_write(c, p->frontend);
    state_write(c, p->frontend);
    c->connected = true; /* whatever it is, it is to be closed */
    if (p->frontend == XS_INITIALISED || p->frontend == XS_CONNECTED ||
        p->frontend == XS_INITIALISING)
        return;
    if (p->frontend == XS_CLOSED)
        backend_wait(c, BIT(XS_CLOSED), "after our Closed");
}

#define PAIR(name, be, fe, ...)                                                                    \
    {                                                                                              \
        "teardown.pair-" name "-" #fe, "HOSTILE §3 xenstore: state pairs", MUST,                   \
            "backend " name ", frontend " #fe " twice", 0, __VA_ARGS__, twice,                     \
            &(const struct pair)                                                                   \
        {                                                                                          \
            be, fe                                                                                 \
        }                                                                                          \
    }
#define ROW(name, be, ...)                                                                         \
    PAIR(name, be, 1, __VA_ARGS__), PAIR(name, be, 2, __VA_ARGS__),                                \
        PAIR(name, be, 3, __VA_ARGS__), PAIR(name, be, 4, __VA_ARGS__),                            \
        PAIR(name, be, 5, __VA_ARGS__), PAIR(name, be, 6, __VA_ARGS__),                            \
        PAIR(name, be, 7, __VA_ARGS__), PAIR(name, be, 8, __VA_ARGS__),                            \
        PAIR(name, be, 9, __VA_ARGS__)

// clang-format off
static const struct conform_case cases[] = {
    ROW("initwait", XS_INITWAIT, {.prepared = true}),
    ROW("connected", XS_CONNECTED, {0}),
    ROW("closing", XS_CLOSING, {0}),
    ROW("closed", XS_CLOSED, {0}),
};
// clang-format on
SUITE(pairs);
