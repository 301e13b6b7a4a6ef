/* SPDX-License-Identifier: MIT
 *
 * The frontend's nodes. Threads: the caller's.
 */
#include "daemon/negotiate.h"

#include <stdio.h>
#include <string.h>

#include "blkif/features.h"
#include "daemon/text.h"

#define VALUE_MAX 64 /* longer values are refused unread */
#define LEAF_MAX  64

struct reader {
    node_read_fn *read;
    void *arg;
    const struct vbd_limits *limits;
    struct errmsg *err;
};

/* 1: read; 0: absent; NEG_* is not used here: negative errno, -EBADMSG for what no store of ours
 * is to blame for. */
static int get(struct reader *r, const char *leaf, char *value)
{
    int n = r->read(r->arg, leaf, value, VALUE_MAX);

    if (n == -ENOENT)
        return 0;
    if (n == -EMSGSIZE || n == -EILSEQ || n == -EACCES) {
        errmsg_set(r->err, n, "the frontend's %s %s", leaf,
                   n == -EACCES ? "may not be read by this domain" : "is not a short text");
        return -EBADMSG;
    }
    return n < 0 ? n : 1;
}

static int refuse(struct reader *r, const char *leaf, char *value, uint32_t min, uint32_t max)
{
    text_printable(value);
    errmsg_set(r->err, 0, "the frontend's %s is '%s', which is not a number from %u to %u", leaf,
               value, min, max);
    return NEG_REFUSED;
}

static int trouble(int err)
{
    return err == -EBADMSG ? NEG_REFUSED : err;
}

/* A number that may be absent: *found says. */
static int number(struct reader *r, const char *leaf, uint32_t min, uint32_t max, uint32_t *out,
                  bool *found)
{
    char value[VALUE_MAX];
    int n = get(r, leaf, value);

    *found = n == 1;
    if (n < 0)
        return trouble(n);
    if (n == 1 && !blkif_number_parse(value, min, max, out))
        return refuse(r, leaf, value, min, max);
    return NEG_OK;
}

static int required(struct reader *r, const char *leaf, uint32_t min, uint32_t max, uint32_t *out)
{
    bool found;
    int ret = number(r, leaf, min, max, out, &found);

    if (ret || found)
        return ret;
    errmsg_set(r->err, 0, "the frontend's %s is missing", leaf);
    return NEG_REFUSED;
}

static int read_abi(struct reader *r, struct vbd_connect *out)
{
    char value[VALUE_MAX];
    enum blkif_abi abi;
    int n = get(r, "protocol", value);

    if (n < 0)
        return trouble(n);
    if (!blkif_abi_parse(n == 1 ? value : NULL, &abi)) {
        text_printable(value);
        errmsg_set(r->err, 0, "the frontend's protocol '%s' is not one this backend knows", value);
        return NEG_REFUSED;
    }
    out->abi = abi;
    return NEG_OK;
}

static int read_persistent(struct reader *r, struct vbd_connect *out)
{
    char value[VALUE_MAX];
    int n = get(r, "feature-persistent", value);

    if (n < 0 && n != -EBADMSG)
        return n;
    out->persistent = r->limits->persistent && n == 1 && strcmp(value, "1") == 0;
    return NEG_OK;
}

/* The grant references of one queue; prefix: "" or "queue-N/". have_order: the frontend wrote
 * ring-page-order, so that its references are ring-ref0 and on; but with order 0 some write
 * ring-ref all the same. */
static int read_refs(struct reader *r, const char *prefix, bool have_order,
                     struct vbd_ring_params *ring)
{
    char leaf[LEAF_MAX];
    bool found = false;
    int ret;

    for (uint32_t i = 0; have_order && i < ring->nr_refs; i++) {
        snprintf(leaf, sizeof(leaf), "%sring-ref%u", prefix, i);
        if (ring->nr_refs == 1)
            ret = number(r, leaf, 1, UINT32_MAX - 1, &ring->refs[i], &found);
        else
            ret = required(r, leaf, 1, UINT32_MAX - 1, &ring->refs[i]);
        if (ret)
            return ret;
    }
    if (found || ring->nr_refs > 1)
        return NEG_OK;
    snprintf(leaf, sizeof(leaf), "%sring-ref", prefix);
    return required(r, leaf, 1, UINT32_MAX - 1, &ring->refs[0]);
}

static int read_ring(struct reader *r, const char *prefix, bool have_order, uint32_t pages,
                     struct vbd_ring_params *ring)
{
    char leaf[LEAF_MAX];

    ring->nr_refs = pages;
    snprintf(leaf, sizeof(leaf), "%sevent-channel", prefix);
    int ret = required(r, leaf, 1, EVTCHN_PORT_MAX, &ring->port);
    return ret ? ret : read_refs(r, prefix, have_order, ring);
}

/* One page twice in the rings, or one port for two queues, is a frontend's mistake. */
static int check_distinct(struct reader *r, const struct vbd_connect *c)
{
    uint32_t pages = c->ring[0].nr_refs;
    uint32_t n = c->nr_rings * pages;

    for (uint32_t i = 0; i < n; i++) {
        const struct vbd_ring_params *a = &c->ring[i / pages];
        for (uint32_t j = i + 1; j < n; j++) {
            const struct vbd_ring_params *b = &c->ring[j / pages];
            if (a->refs[i % pages] == b->refs[j % pages] || (a != b && a->port == b->port)) {
                errmsg_set(r->err, 0,
                           "the frontend gave the same ring page or event channel twice");
                return NEG_REFUSED;
            }
        }
    }
    return NEG_OK;
}

static int read_rings(struct reader *r, struct vbd_connect *out)
{
    uint32_t order = 0, queues = 1;
    bool have_order, have_queues;
    int ret = number(r, "ring-page-order", 0, r->limits->max_ring_page_order, &order, &have_order);

    if (!ret)
        ret = number(r, "multi-queue-num-queues", 1, r->limits->max_queues, &queues, &have_queues);
    if (ret)
        return ret;
    out->nr_rings = queues;
    for (uint32_t q = 0; q < queues && !ret; q++) {
        char prefix[24] = "";
        if (queues > 1)
            snprintf(prefix, sizeof(prefix), "queue-%u/", q);
        ret = read_ring(r, prefix, have_order, 1u << order, &out->ring[q]);
    }
    return ret ? ret : check_distinct(r, out);
}

int negotiate(node_read_fn *read, void *arg, const struct vbd_limits *limits,
              struct vbd_connect *out, struct errmsg *err)
{
    struct reader r = {.read = read, .arg = arg, .limits = limits, .err = err};

    memset(out, 0, sizeof(*out));
    out->head = (struct vbd_head){VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_CONNECT, sizeof(*out)};
    int ret = read_abi(&r, out);
    if (!ret)
        ret = read_persistent(&r, out);
    return ret ? ret : read_rings(&r, out);
}
