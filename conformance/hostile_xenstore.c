/* SPDX-License-Identifier: MIT
 *
 * Nodes that are not what they should be. The backend gives the disk up (Closing) or, where nothing
 * hangs on the node, connects; it never follows a number it has not bounded. Thread: main.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conform.h"

static const char long_text[2049] = {[0 ... 2047] = '1'};

struct node {
    const char *name, *value; /* NULL: removed */
};

static void change(struct ctx *c, const struct node *n)
{
    node_write(c, n->name, n->value);
}

/* The error node is written where the guest may read it; where it may not, nobody can tell. */
static void gave_up(struct ctx *c)
{
    char path[HV_STORE_PATH_MAX], text[256];
    const char *rest = strstr(c->dev.backend_path, "/backend/");
    int rc;

    backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "with a node that cannot be");
    if (rest == NULL)
        return;
    snprintf(path, sizeof(path), "%.*s/error%.400s/error", (int)(rest - c->dev.backend_path),
             c->dev.backend_path, rest);
    rc = hv_store_read(c->dev.store, 0, path, text, sizeof(text));
    require(c, rc > 0 || rc == -EACCES, "the disk is given up without a reason in its error node");
}

/* Changed before the frontend says Initialised: not connected with. */
static void refused(struct ctx *c, const void *arg)
{
    change(c, arg);
    state_write(c, XS_INITIALISED);
    c->connected = true;
    gave_up(c);
}

static void bad_state(struct ctx *c, const void *arg)
{
    node_write(c, "state", arg);
    c->connected = true;
    gave_up(c);
}

/* Changed while connected: the connection is what it was. */
static void ignored(struct ctx *c, const void *arg)
{
    change(c, arg);
    state_write(c, XS_CONNECTED);
    for (unsigned n = 0; n < 4; n++) {
        disk_fill(c, SCRATCH, 8, n);
        disk_want(c, SCRATCH, 8, n);
    }
    require(c, backend_state(c) == XS_CONNECTED, "the backend left Connected");
}

/* Removed in the very moment of connecting: connected or given up, nothing in between. */
static void vanishing(struct ctx *c, const void *arg)
{
    static const struct connect prepared = {.prepared = true};
    static const char *const names[] = {"ring-ref", "event-channel", "protocol",
                                        "feature-persistent"};

    (void)arg;
    for (unsigned n = 0; n < times(c, 16, 1000); n++) {
        unsigned state;

        node_write(c, "num-ring-pages", NULL);
        state_write(c, XS_INITIALISED);
        node_write(c, names[n % 4], NULL);
        c->connected = true;
        state = backend_wait(c, BIT(XS_CONNECTED) | BIT(XS_CLOSING) | BIT(XS_CLOSED),
                             "a node removed at connecting");
        require(c, state != XS_INITWAIT, "not reached");
        nodes_restore(c);
        link_close(c);
        link_open(c, &prepared);
    }
}

/* Nothing listens for a frontend directory that has lost its state but its end. */
static void state_removed(struct ctx *c, const void *arg)
{
    (void)arg;
    disk_fill(c, SCRATCH, 8, 1);
    node_write(c, "state", NULL);
    backend_wait(c, BIT(0) | BIT(XS_CLOSED), "without a state");
    require(c, pages_end_all(c) == 0, "pages are still mapped");
    host(c, "reattach", NULL, 0);
    link_drop(c);
}

static void same_page_twice(struct ctx *c, const void *arg)
{
    char text[16];

    (void)arg;
    snprintf(text, sizeof(text), "%" PRIu32, c->q[0].raw.ring_refs[0]);
    node_write(c, "ring-ref1", text);
    state_write(c, XS_INITIALISED);
    c->connected = true;
    backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "with one page twice in the ring");
}

static void data_page_as_ring(struct ctx *c, const void *arg)
{
    char text[16];
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, false, &gref); /* read-only: no ring can be there */
    snprintf(text, sizeof(text), "%" PRIu32, gref);
    node_write(c, "ring-ref", text);
    state_write(c, XS_INITIALISED);
    c->connected = true;
    gave_up(c);
}

#define X "hostile_xenstore."
#define P                                                                                          \
    {                                                                                              \
        .prepared = true                                                                           \
    }
#define S(title) "HOSTILE §3 xenstore: " title
#define N(...)   (&(const struct node){__VA_ARGS__})
#define REFUSED(id, title, what, ...)                                                              \
    {                                                                                              \
        X id, S(title), MUST, what, 0, P, refused, N(__VA_ARGS__)                                  \
    }
#define STATE(id, what, value)                                                                     \
    {X "state-" id, S("state"), MUST, what, 0, P, bad_state, value},                               \
    {                                                                                              \
        X "state-" id "-connected", S("state"), MUST, what ", while connected", 0, {0}, bad_state, \
            value                                                                                  \
    }
#define PORT(id, what, value)                                                                      \
    REFUSED("port-" id, "references", "an event channel " what, "event-channel", value)
#define REF(id, what, value)                                                                       \
    REFUSED("ref-" id, "references", "a ring reference " what, "ring-ref", value)
#define ORDER(id, what, value)                                                                     \
    REFUSED("order-" id, "ring-page-order", "ring-page-order " what, "ring-page-order", value)
#define ABI(id, what, value)                                                                       \
    REFUSED("protocol-" id, "protocol", "a protocol " what, "protocol", value)
#define QUEUES(id, what, value)                                                                    \
    REFUSED("queues-" id, "queues", "multi-queue-num-queues " what, "multi-queue-num-queues", value)
#define IGNORED(id, what, name, value)                                                             \
    {                                                                                              \
        X id, "HOSTILE §1 XSA-57", MUST, what, NEED_WRITE, {0}, ignored, N(name, value)            \
    }

// clang-format off
static const struct conform_case cases[] = {
    STATE("99", "state 99", "99"),
    STATE("negative", "state -1", "-1"),
    STATE("letter", "state 4x", "4x"),
    STATE("empty", "an empty state", ""),
    STATE("long", "a state of 2 KiB", long_text),
    {X "state-removed", S("state"), MUST, "no state: as Closed, and gone", NEED_HOST | NEED_WRITE,
     {0}, state_removed, NULL},
    PORT("absent", "that is not there", NULL),
    PORT("0", "0", "0"),
    PORT("max", "2^32 - 1", "4294967295"),
    PORT("word", "that is no number", "here"),
    PORT("unbound", "nobody allocated", "1999"),
    PORT("long", "of 2 KiB", long_text),
    REF("absent", "that is not there", NULL),
    REF("0", "0", "0"),
    REF("max", "2^32 - 1", "4294967295"),
    REF("beyond", "2^32", "4294967296"),
    REF("negative", "-1", "-1"),
    REF("word", "that is no number", "8 "),
    REF("never-granted", "nobody granted", "268435200"),
    {X "ref-read-only", S("references"), MUST, "a ring in a read-only page", 0, P,
     data_page_as_ring, NULL},
    {X "ref-twice", S("references"), MUST, "one page twice in a ring", NEED_RINGS, {.order = 1,
     .prepared = true}, same_page_twice, NULL},
    ORDER("negative", "-1", "-1"),
    ORDER("5", "5", "5"),
    ORDER("31", "31", "31"),
    ORDER("32", "32", "32"),
    ORDER("64", "64", "64"),
    ORDER("2-32", "2^32", "4294967296"),
    ORDER("blank", "with a blank", "1 "),
    ABI("unknown", "nobody knows", "sparc-abi"),
    ABI("empty", "that is empty", ""),
    ABI("long", "of 2 KiB", long_text),
    QUEUES("0", "0", "0"),
    QUEUES("65", "65", "65"),
    QUEUES("2-32", "2^32", "4294967296"),
    QUEUES("negative", "-1", "-1"),
    {X "queues-without-nodes", S("queues"), MUST, "two queues and no queue-N", NEED_QUEUES, P,
     refused, N("multi-queue-num-queues", "2")},
    IGNORED("backend-rewritten", "the guest rewrites backend", "backend", "/local/domain/0"),
    IGNORED("backend-id-rewritten", "the guest rewrites backend-id", "backend-id", "7"),
    IGNORED("device-rewritten", "the guest rewrites virtual-device", "virtual-device", "1"),
    IGNORED("ref-rewritten", "ring-ref while connected", "ring-ref", "1"),
    IGNORED("port-rewritten", "event-channel while connected", "event-channel", "1"),
    IGNORED("protocol-rewritten", "protocol while connected", "protocol", "sparc-abi"),
    {X "vanishing", "HOSTILE §3 xenstore: other nodes", MUST,
     "nodes removed in the moment of connecting", 0, P, vanishing, NULL},
};
// clang-format on
SUITE(hostile_xenstore);
