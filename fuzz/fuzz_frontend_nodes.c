/* SPDX-License-Identifier: MIT
 *
 * What a frontend wrote into its directory, whatever that is: what is accepted is within what was
 * offered and is what the nodes say; what is refused is refused with a line for a person.
 *
 * Input: four bytes of limits, then lines "node=value"; a value that begins with '!' makes reading
 * the node fail. Threads: one.
 */
#include <ctype.h>
#include <errno.h>

#include "blkif/features.h"
#include "daemon/negotiate.h"
#include "input.h"

#define NODES_MAX 256

static struct node {
    const char *leaf, *value;
    size_t leaf_len, value_len;
} nodes[NODES_MAX];
static unsigned nr_nodes;

static void take_nodes(const char *at, size_t left)
{
    nr_nodes = 0;
    while (left && nr_nodes < NODES_MAX) {
        const char *end = memchr(at, '\n', left);
        size_t line = end ? (size_t)(end - at) : left;
        const char *eq = memchr(at, '=', line);
        if (eq)
            nodes[nr_nodes++] =
                (struct node){at, eq + 1, (size_t)(eq - at), line - (size_t)(eq - at) - 1};
        line += end != NULL;
        at += line;
        left -= line;
    }
}

static const struct node *find(const char *leaf)
{
    for (unsigned i = 0; i < nr_nodes; i++)
        if (nodes[i].leaf_len == strlen(leaf) && !memcmp(nodes[i].leaf, leaf, nodes[i].leaf_len))
            return &nodes[i];
    return NULL;
}

/* As hv_store_read(). */
static int read_node(void *arg, const char *leaf, char *buf, size_t cap)
{
    static const int errors[] = {-EACCES, -EMSGSIZE, -EILSEQ, -EIO, -ENOENT, -EAGAIN};
    const struct node *n = find(leaf);

    CHECK(arg == nodes && cap > 0 && leaf[0]);
    memset(buf, 'x', cap); /* a failed read leaves anything */
    if (!n)
        return -ENOENT;
    if (n->value_len >= 2 && n->value[0] == '!')
        return errors[(unsigned char)n->value[1] % 6];
    if (n->value_len >= cap)
        return -EMSGSIZE;
    if (memchr(n->value, '\0', n->value_len))
        return -EILSEQ;
    memcpy(buf, n->value, n->value_len);
    buf[n->value_len] = '\0';
    return (int)n->value_len;
}

/* The node says exactly this number, or is not there and need not be. */
static bool says(const char *leaf, uint32_t number)
{
    const struct node *n = find(leaf);
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", number);

    return n && n->value_len == (size_t)len && !memcmp(n->value, text, (size_t)len);
}

static void check_ring(const struct vbd_connect *c, unsigned q)
{
    const struct vbd_ring_params *r = &c->ring[q];
    char prefix[32] = "", leaf[64];

    if (c->nr_rings > 1)
        snprintf(prefix, sizeof(prefix), "queue-%u/", q);
    snprintf(leaf, sizeof(leaf), "%sevent-channel", prefix);
    CHECK(says(leaf, r->port) && r->port >= 1 && r->port <= EVTCHN_PORT_MAX);
    for (unsigned i = 0; i < r->nr_refs; i++) {
        char single[64];
        snprintf(leaf, sizeof(leaf), "%sring-ref%u", prefix, i);
        snprintf(single, sizeof(single), "%sring-ref", prefix);
        CHECK(says(leaf, r->refs[i]) || (r->nr_refs == 1 && says(single, r->refs[i])));
        CHECK(r->refs[i] != 0 && r->refs[i] != UINT32_MAX);
    }
}

static void check_distinct(const struct vbd_connect *c)
{
    unsigned pages = c->ring[0].nr_refs, n = c->nr_rings * pages;

    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            CHECK(c->ring[i / pages].refs[i % pages] != c->ring[j / pages].refs[j % pages]);
    for (unsigned i = 0; i < c->nr_rings; i++)
        for (unsigned j = 0; j < i; j++)
            CHECK(c->ring[i].port != c->ring[j].port);
}

static void check_accepted(const struct vbd_connect *c, const struct vbd_limits *l)
{
    uint32_t pages = c->ring[0].nr_refs;

    CHECK(c->head.magic == VBD_MSG_MAGIC && c->head.type == VBD_CONNECT &&
          c->head.bytes == sizeof(*c));
    CHECK(c->abi < BLKIF_ABIS && c->persistent <= 1);
    CHECK(!c->persistent || (l->persistent && says("feature-persistent", 1)));
    CHECK(c->nr_rings >= 1 && c->nr_rings <= l->max_queues && c->nr_rings <= VBD_RINGS_MAX);
    CHECK(c->nr_rings == 1 || says("multi-queue-num-queues", c->nr_rings));
    CHECK(pages && !(pages & (pages - 1)) && pages <= 1u << l->max_ring_page_order);
    CHECK(pages <= VBD_REFS_MAX);
    for (unsigned q = 0; q < c->nr_rings; q++) {
        CHECK(c->ring[q].nr_refs == pages);
        check_ring(c, q);
    }
    check_distinct(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct vbd_limits limits = {.max_ring_page_order = take8(&in) % 5,
                                .max_queues = 1 + take8(&in) % VBD_RINGS_MAX,
                                .max_indirect = take8(&in),
                                .persistent = take8(&in) & 1};
    struct vbd_connect c;
    struct errmsg err = {""};

    take_nodes((const char *)in.at, in.left);
    int ret = negotiate(read_node, nodes, &limits, &c, &err);
    CHECK(ret <= NEG_REFUSED);
    if (ret == NEG_OK)
        check_accepted(&c, &limits);
    if (ret != NEG_REFUSED)
        return 0;
    CHECK(err.text[0] && strlen(err.text) < sizeof(err.text));
    for (const char *p = err.text; *p; p++)
        CHECK(isprint((unsigned char)*p));
    return 0;
}
