/* SPDX-License-Identifier: MIT
 *
 * The same little thing often: what is left over adds up, and the host's check sees it. Thread:
 * main.
 */
#include "conform.h"

static const struct connect plain;

static void connections(struct ctx *c, const void *arg)
{
    const struct connect *how = arg;

    for (unsigned n = times(c, 25, 10000); n != 0; n--) {
        link_close(c);
        link_open(c, how);
    }
}

/* Connecting fails at its last step, when the rings are to be mapped. */
static void failures(struct ctx *c, const void *arg)
{
    static const struct connect prepared = {.prepared = true};
    const char *node = arg;

    for (unsigned n = times(c, 15, 10000); n != 0; n--) {
        node_write(c, node, "268435200");
        state_write(c, XS_INITIALISED);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "with a node that cannot be");
        c->connected = true;
        nodes_restore(c);
        link_close(c);
        link_open(c, &prepared);
    }
}

/* Each connection dies with grants mapped and requests in flight. */
static void deaths(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = times(c, 15, 10000); n != 0; n--) {
        uint32_t gref[BLKIF_SEGS_PER_REQUEST];
        struct rq rq;

        pages_new(c, BLKIF_SEGS_PER_REQUEST, true, gref);
        rq = rq_rw(BLKIF_OP_READ, SCRATCH, gref, BLKIF_SEGS_PER_REQUEST);
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        for (uint32_t i = 0; i < c->q[0].raw.entries; i++)
            rq_put(c, 0, &rq);
        rq_push(c, 0);
        link_drop(c);
        link_open(c, &plain);
    }
}

/* Errors of every kind in turn, without end. */
static void errors(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = times(c, 3000, 1000000); n != 0; n--) {
        struct rq rq = {.op = (uint8_t)(n % 7), .nr = (uint16_t)(n % 13), .sector = n % 3 - 1ull};

        for (unsigned i = 0; i < BLKIF_SEGS_PER_REQUEST; i++)
            rq.seg[i] = (struct blkif_segment){.gref = GREF_NEVER + n, .last_sect = n % 9};
        if (rq.op == BLKIF_OP_DISCARD)
            rq.sector = UINT64_MAX;
        rq_do(c, 0, &rq);
    }
}

#define FLAT "HOSTILE §1 CVE-2010-3699"

// clang-format off
static const struct conform_case cases[] = {
    {"leaks.connections", FLAT, MUST, "connections come and go", 0, {0}, connections, &plain},
    {"leaks.connections-of-queues", FLAT, MUST, "connections of two queues come and go", 0,
     {.queues = 2}, connections, &(const struct connect){.queues = 2}},
    {"leaks.bad-ring", FLAT, MUST, "rings that cannot be mapped", 0, {.prepared = true}, failures,
     "ring-ref"},
    {"leaks.bad-port", FLAT, MUST, "ports that cannot be bound", 0, {.prepared = true}, failures,
     "event-channel"},
    {"leaks.deaths", "HOSTILE §3 close: death", MUST, "frontends that die with requests in flight",
     0, {0}, deaths, NULL},
    {"leaks.errors", "HOSTILE §2 nr_segments 0", MUST, "errors of every kind", 0, {0}, errors,
     NULL},
};
// clang-format on
SUITE(leaks);
