/* SPDX-License-Identifier: MIT
 *
 * What both ends say in the store, and every legal way to say it. Thread: main.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conform.h"

#define SECTOR SCRATCH

static void works(struct ctx *c)
{
    disk_fill(c, SECTOR, PAGE_SECTORS, 1);
    disk_want(c, SECTOR, PAGE_SECTORS, 1);
}

static void limits(struct ctx *c, const void *arg)
{
    char text[8];

    require(c, backend_state(c) == XS_INITWAIT, "the backend is not in InitWait");
    require(c, node_number(c, "max-ring-page-order", 0) <= 4, "max-ring-page-order is above 4");
    require(c, node_number(c, "multi-queue-max-queues", 1) >= 1, "multi-queue-max-queues is 0");
    require(c, node_number(c, "feature-max-indirect-segments", 0) <= BLKIF_SEGS_INDIRECT_MAX,
            "feature-max-indirect-segments is above what grant references can carry");
    if (arg != NULL)
        require(c, node_read(c, arg, text, sizeof(text)) > 0, "%s is absent in InitWait",
                (const char *)arg);
}

static void properties(struct ctx *c, const void *arg)
{
    static const struct {
        const char *name;
        uint64_t max;
    } flags[] = {{"feature-persistent", 1}, {"feature-flush-cache", 1}, {"feature-barrier", 1},
                 {"feature-discard", 1},    {"discard-secure", 1},      {"info", 7}};

    (void)arg;
    require(c, node_number(c, "sectors", 0) > 0, "no sectors, or 0");
    require(c, node_number(c, "info", 8) != 8, "no info");
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        require(c, node_number(c, flags[i].name, 0) <= flags[i].max, "%s is above %" PRIu64,
                flags[i].name, flags[i].max);
}

static void info_bits(struct ctx *c, const void *arg)
{
    char mode[8];
    bool read_only = (node_number(c, "info", 0) & 4) != 0;

    (void)arg;
    if (node_read(c, "mode", mode, sizeof(mode)) < 1)
        skip(c, "no mode node");
    require(c, read_only || mode[0] == 'w', "mode is '%s' and info does not say read-only", mode);
}

static void sector_size(struct ctx *c, const void *arg)
{
    uint64_t logical = node_number(c, "sector-size", 0);
    uint64_t physical = node_number(c, "physical-sector-size", logical);

    (void)arg;
    require(c, logical == BLKIF_SECTOR, "sector-size is %" PRIu64, logical);
    require(c, physical >= logical && (physical & (physical - 1)) == 0,
            "physical-sector-size is %" PRIu64, physical);
}

static void discard_nodes(struct ctx *c, const void *arg)
{
    uint64_t granularity = node_number(c, "discard-granularity", 0);
    uint64_t alignment = node_number(c, "discard-alignment", UINT64_MAX);

    (void)arg;
    require(c, granularity >= BLKIF_SECTOR && granularity % BLKIF_SECTOR == 0,
            "discard-granularity is %" PRIu64, granularity);
    require(c, alignment != UINT64_MAX, "discard-granularity without discard-alignment");
}

/* Nodes changed before state 3, then a legal connection. */
struct change {
    const char *name, *value;
};

static void connects_with(struct ctx *c, const void *arg)
{
    for (const struct change *ch = arg; ch->name != NULL; ch++)
        node_write(c, ch->name, ch->value);
    link_finish(c);
    works(c);
}

static void ref_is_ref0(struct ctx *c, const void *arg)
{
    char text[16];

    (void)arg;
    snprintf(text, sizeof(text), "%" PRIu32, c->q[0].raw.ring_refs[0]);
    node_write(c, "ring-page-order", "0");
    node_write(c, "ring-ref0", text);
    node_write(c, "ring-ref", NULL);
    link_finish(c);
    works(c);
}

static void straight_to_connected(struct ctx *c, const void *arg)
{
    (void)arg;
    state_write(c, XS_CONNECTED);
    backend_wait(c, BIT(XS_CONNECTED), "after our Connected without Initialised");
    c->connected = true;
    works(c);
}

/* A value of feature-persistent that is not "1": grants are not kept. */
static void persistent_off(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page;
    struct rq rq;

    node_write(c, "feature-persistent", arg);
    link_finish(c);
    page = pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SECTOR, &gref, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    pages_want_end(c, page, "after a read");
}

/* Says a state again: nothing happens to the connection. */
static void said_again(struct ctx *c, const void *arg)
{
    static const unsigned states[] = {XS_CONNECTED, XS_CONNECTED, XS_INITIALISED, XS_CONNECTED};

    (void)arg;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        state_write(c, states[i]);
        works(c);
        require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
    }
}

static void plain(struct ctx *c, const void *arg)
{
    (void)arg;
    works(c);
    require(c, backend_state(c) == XS_CONNECTED, "the backend is not Connected");
}

static void waits(struct ctx *c, const void *arg)
{
    (void)arg;
    state_write(c, XS_INITIALISING);
    link_finish(c); /* had it left InitWait for anything but Connected, this would not come */
    works(c);
}

#define P                                                                                          \
    {                                                                                              \
        .prepared = true                                                                           \
    }
#define SAYS(...)                                                                                  \
    (const struct change[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define EDGES "PROTOCOL §2 states"
#define GIVEN "PROTOCOL §2 frontend's nodes"
#define KEPT  "PROTOCOL §3.15"

// clang-format off
static const struct conform_case cases[] = {
    {"negotiation.limits", "PROTOCOL §2 limits", MUST, "transport limits in InitWait make sense",
     0, P, limits, NULL},
    {"negotiation.says-ring-order", "PROTOCOL §2 limits", SHOULD, "max-ring-page-order is offered",
     0, P, limits, "max-ring-page-order"},
    {"negotiation.says-queues", "PROTOCOL §2 limits", SHOULD, "multi-queue-max-queues is offered",
     0, P, limits, "multi-queue-max-queues"},
    {"negotiation.says-indirect", "PROTOCOL §2 limits", SHOULD,
     "feature-max-indirect-segments is offered", NEED_INDIRECT, P, limits,
     "feature-max-indirect-segments"},
    {"negotiation.properties", "PROTOCOL §2 properties", MUST,
     "the disk's properties are there, as numbers, in Connected", 0, {0}, properties, NULL},
    {"negotiation.info", "PROTOCOL §2 properties", MUST, "a disk of mode r says so in info", 0,
     {0}, info_bits, NULL},
    {"negotiation.sector-size", "PROTOCOL §3.9", SHOULD,
     "sector-size is 512, physical-sector-size a power of two", 0, {0}, sector_size, NULL},
    {"negotiation.discard-nodes", "PROTOCOL §3.13", MUST,
     "discard granularity and alignment are published together", NEED_DISCARD, {0}, discard_nodes,
     NULL},
    {"negotiation.initialised", EDGES, MUST, "Initialised connects", NEED_WRITE, {0}, plain, NULL},
    {"negotiation.straight-to-connected", EDGES, MUST, "Connected without Initialised connects",
     NEED_WRITE, P, straight_to_connected, NULL},
    {"negotiation.waits-in-initwait", EDGES, MUST, "InitWait lasts until the frontend is ready",
     NEED_WRITE, P, waits, NULL},
    {"negotiation.said-again", EDGES, MUST, "a state written again changes nothing", NEED_WRITE,
     {0}, said_again, NULL},
    {"negotiation.order-0-ring-ref", GIVEN, MUST, "ring-page-order 0 with ring-ref connects",
     NEED_WRITE, P, connects_with, SAYS({"ring-page-order", "0"})},
    {"negotiation.order-0-ring-ref0", "HOSTILE §2 ring-ref0", MUST,
     "ring-page-order 0 with ring-ref0 alone connects", NEED_WRITE, P, ref_is_ref0, NULL},
    {"negotiation.no-protocol-is-32", GIVEN, MUST, "no protocol node means x86_32-abi", NEED_WRITE,
     {.protocol = "x86_32-abi", .prepared = true}, connects_with, SAYS({"protocol", NULL})},
    {"negotiation.one-queue-said", GIVEN, MUST, "multi-queue-num-queues 1 keeps top-level nodes",
     NEED_WRITE, P, connects_with, SAYS({"multi-queue-num-queues", "1"})},
    {"negotiation.num-ring-pages", "HOSTILE §3 xenstore: other nodes", MUST,
     "the old num-ring-pages is ignored", NEED_WRITE, P, connects_with, SAYS({"num-ring-pages",
     "7"})},
    {"negotiation.unknown-nodes", "HOSTILE §3 xenstore: other nodes", MUST,
     "nodes nobody knows are ignored", NEED_WRITE, P, connects_with,
     SAYS({"feature-from-the-future", "99"}, {"feature-large-sector-size", "1"})},
    {"negotiation.no-persistent-node", KEPT, MUST, "no feature-persistent: grants are not kept",
     NEED_WRITE, P, persistent_off, NULL},
    {"negotiation.persistent-0", KEPT, MUST, "feature-persistent 0: grants are not kept", 0, P,
     persistent_off, "0"},
    {"negotiation.persistent-2", "HOSTILE §3 xenstore: feature-persistent", SHOULD,
     "feature-persistent 2 is not 1", 0, P, persistent_off, "2"},
    {"negotiation.persistent-word", "HOSTILE §3 xenstore: feature-persistent", MUST,
     "feature-persistent that is no number is not 1", 0, P, persistent_off, "yes"},
    {"negotiation.persistent-empty", "HOSTILE §3 xenstore: feature-persistent", MUST,
     "an empty feature-persistent is not 1", 0, P, persistent_off, ""},
};
// clang-format on
SUITE(negotiation);
