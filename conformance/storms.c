/* SPDX-License-Identifier: MIT
 *
 * Too much of something. What else goes on must go on. Threads: main, and those that storm.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conform.h"

static const struct connect plain;

static void notify_turn(void *arg, unsigned n)
{
    (void)n;
    hv_evtchn_notify(arg);
}

static void reads(struct ctx *c, unsigned n)
{
    uint32_t gref;
    struct rq rq;

    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    while (n-- != 0)
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
}

/* Events without requests, as fast as one thread sends them. */
static void events(struct ctx *c, const void *arg)
{
    (void)arg;
    twist_start(c, notify_turn, c->q[0].raw.ev, 0);
    reads(c, times(c, 500, 500000));
}

/* The channel is closed on the backend's side in the middle of such a storm. */
static void closed_in_storm(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = times(c, 10, 2000); n != 0; n--) {
        twist_start(c, notify_turn, c->q[0].raw.ev, 0);
        reads(c, 5);
        state_write(c, XS_CLOSING);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "closing in a storm of events");
        state_write(c, XS_CLOSED);
        backend_wait(c, BIT(XS_CLOSED), "closing in a storm of events");
        twists_stop(c);
        link_close(c);
        link_open(c, &plain);
    }
}

/* State 4 again and again: watch events without end. */
static void same_state(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = times(c, 4000, 1000000); n != 0; n--)
        state_write(c, XS_CONNECTED);
    reads(c, 50);
    require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
}

/* All nodes of the frontend, nothing that means anything. */
static void other_nodes(struct ctx *c, const void *arg)
{
    char text[16];

    (void)arg;
    for (unsigned n = times(c, 2000, 1000000); n != 0; n--) {
        snprintf(text, sizeof(text), "%u", n);
        node_write(c, n % 2 != 0 ? "feature-persistent" : "noise", text);
    }
    reads(c, 50);
}

/* States at top speed, nobody waits for an answer, requests in the ring. */
static void toggles(struct ctx *c, const void *arg)
{
    static const unsigned states[] = {XS_CLOSING, XS_CLOSED,    XS_INITIALISING, XS_CONNECTED,
                                      XS_CLOSED,  XS_CONNECTED, XS_CLOSING,      XS_INITIALISED};

    (void)arg;
    for (unsigned n = times(c, 12, 5000); n != 0; n--) {
        uint32_t gref;

        pages_new(c, 1, true, &gref);
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        for (unsigned i = 0; i < 40; i++)
            state_write(c, states[(i + n) % 8]);
        link_settle(c);
        link_open(c, &plain);
    }
}

/* The same, and while it goes on events come without end. */
static void toggles_and_events(struct ctx *c, const void *arg)
{
    for (unsigned n = 0; n < 3; n++) {
        twist_start(c, notify_turn, c->q[0].raw.ev, 0);
        for (unsigned i = 0; i < 30; i++)
            state_write(c, i % 2 == 0 ? XS_CLOSED : XS_CONNECTED);
        state_write(c, XS_CLOSED);
        backend_wait(c, BIT(XS_CLOSED), "after many states");
        twists_stop(c); /* its channel is closed next */
        link_settle(c);
        link_open(c, &plain);
    }
    (void)arg;
    reads(c, 10);
}

static void quiet_again(struct ctx *c, const void *arg)
{
    uint64_t start = now_ms();

    (void)arg;
    twist_start(c, notify_turn, c->q[0].raw.ev, 0);
    reads(c, 100);
    twists_stop(c);
    /* After the storm it sleeps as before: it asks for an event for the next request. */
    while (READ_ONCE(c->q[0].raw.shared->req_event) != c->q[0].req_prod + 1)
        wait_a_little(c, start, "after a storm the backend does not ask for events any more");
    reads(c, 500);
}

#define EVENTS "HOSTILE §1 XSA-332"

// clang-format off
static const struct conform_case cases[] = {
    {"storms.events", EVENTS, MUST, "events without requests do not stop requests", 0, {0}, events,
     NULL},
    {"storms.quiet-again", EVENTS, MUST, "no wake-up is lost after a storm", 0, {0}, quiet_again,
     NULL},
    {"storms.closed-in-storm", "HOSTILE §1 XSA-441", MUST, "closing in a storm of events", 0, {0},
     closed_in_storm, NULL},
    {"storms.same-state", "HOSTILE §1 XSA-349", MUST, "one state written thousands of times", 0,
     {0}, same_state, NULL},
    {"storms.other-nodes", "HOSTILE §2 node watched too broadly", MUST,
     "thousands of writes to other nodes", 0, {0}, other_nodes, NULL},
    {"storms.toggles", "HOSTILE §1 XSA-350", MUST, "states at top speed with requests in the ring",
     0, {0}, toggles, NULL},
    {"storms.toggles-and-events", "HOSTILE §1 XSA-528", MUST, "the same in a storm of events", 0,
     {0}, toggles_and_events, NULL},
};
// clang-format on
SUITE(storms);
