/* SPDX-License-Identifier: MIT
 *
 * Connecting legally, closing legally, and coming back from wherever a case left the disk.
 * Thread: main.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

static void take_queues(struct ctx *c)
{
    for (uint32_t i = 0; i < c->nr_queues; i++) {
        struct queue *q = &c->q[i];

        front_raw_queue(c->bf, i, &q->raw);
        q->req_prod = q->pushed = q->rsp_cons = *q->raw.req_prod_pvt;
        q->asked = calloc(q->raw.entries, sizeof(*q->asked));
        require(c, q->asked != NULL, "out of memory");
    }
}

/* Pages for data, the queues, the device: once the library has made its part. */
static void adopt(struct ctx *c, const struct connect *how)
{
    int rc;

    c->how = *how;
    c->connected = !how->prepared;
    c->nr_queues = how->queues != 0 ? how->queues : 1;
    c->disk_page = NULL;
    memset(c->blocks, 0, sizeof(c->blocks));
    front_raw_device(c->bf, &c->dev);
    rc = hv_share_open(c->dev.hv, &c->share);
    require(c, rc == 0, "no pages can be granted: %s", strerror(-rc));
    c->q = calloc(c->nr_queues, sizeof(*c->q));
    require(c, c->q != NULL, "out of memory");
    take_queues(c);
}

int link_try(struct ctx *c, const struct connect *how)
{
    const struct blkfront_options options = {.hv = c->set->hv,
                                             .devid = c->set->devid,
                                             .protocol = how->protocol,
                                             .queues = how->queues,
                                             .ring_order = how->order,
                                             .no_persistent = how->no_persistent,
                                             .timeout_ms = WAIT_MS};
    const struct front_raw_options raw = {.first_index = how->first_index,
                                          .prepare_only = how->prepared};
    int rc = front_raw_open(&options, &raw, &c->bf, c->why, sizeof(c->why));

    if (rc == 0)
        adopt(c, how);
    else
        c->bf = NULL;
    return rc;
}

void link_open(struct ctx *c, const struct connect *how)
{
    char why[sizeof(c->why)];

    if (link_try(c, how) == 0)
        return;
    snprintf(why, sizeof(why), "%s", c->why);
    fail(c, "a legal connection is refused: %s", why);
}

void link_finish(struct ctx *c)
{
    state_write(c, XS_INITIALISED);
    backend_wait(c, BIT(XS_CONNECTED), "connecting");
    state_write(c, XS_CONNECTED);
    c->connected = true;
}

static void let_go(struct ctx *c)
{
    for (uint32_t i = 0; c->q != NULL && i < c->nr_queues; i++)
        free(c->q[i].asked);
    free(c->q);
    c->q = NULL;
    if (c->share != NULL)
        hv_share_close(c->share);
    c->share = NULL;
    if (c->bf != NULL)
        front_raw_vanish(c->bf);
    c->bf = NULL;
    c->connected = false;
}

void link_drop(struct ctx *c)
{
    let_go(c);
}

/* Nothing of ours may be mapped any more: neither data nor rings. */
static void want_pages_back(struct ctx *c)
{
    unsigned busy = pages_end_all(c);

    for (uint32_t i = 0; i < c->nr_queues; i++) {
        const struct front_raw_queue *raw = &c->q[i].raw;

        busy += hv_share_end(raw->share, raw->shared, raw->pages) != 0;
    }
    require(c, busy == 0, "the backend is Closed and still maps %u blocks of pages", busy);
}

static unsigned own_state(struct ctx *c)
{
    char path[128], text[8];

    snprintf(path, sizeof(path), "%s/state", c->dev.frontend_path);
    if (hv_store_read(c->dev.store, 0, path, text, sizeof(text)) != 1 || text[0] < '0')
        return 0;
    return (unsigned)(text[0] - '0');
}

static void say_closed(struct ctx *c)
{
    if (own_state(c) != XS_CLOSED) {
        state_write(c, XS_CLOSING);
        backend_wait(c, BIT(XS_CLOSING) | BIT(XS_CLOSED), "closing");
        state_write(c, XS_CLOSED);
    }
    backend_wait(c, BIT(XS_CLOSED), "closed");
}

void link_close(struct ctx *c)
{
    say_closed(c);
    want_pages_back(c);
    let_go(c);
}

void link_settle(struct ctx *c)
{
    uint64_t start = now_ms();

    say_closed(c);
    for (unsigned n = 0; backend_state(c) != XS_INITWAIT; n++) {
        if (n % 1000 == 0) {
            state_write(c, XS_CLOSED);
            backend_wait(c, BIT(XS_CLOSED), "closed");
            state_write(c, XS_INITIALISING);
        }
        wait_a_little(c, start, "the backend does not come back to InitWait");
    }
    want_pages_back(c);
    let_go(c);
}

/* A state that the library can start from. */
static void mend_state(struct ctx *c)
{
    unsigned state = own_state(c);

    if (state < XS_INITIALISING || state > XS_CLOSED)
        state_write(c, XS_CLOSED);
}

static bool said_something(struct ctx *c)
{
    return c->connected || backend_state(c) != XS_INITWAIT;
}

static void restore(struct ctx *c)
{
    nodes_restore(c);
    mend_state(c);
    if (said_something(c))
        link_settle(c);
}

void link_restore(struct ctx *c)
{
    twists_stop(c);
    if (c->bf != NULL)
        guarded(c, restore);
    let_go(c);
}

void link_proves(struct ctx *c)
{
    static const struct connect plain;

    link_open(c, &plain);
    if (c->offer->info.read_only) {
        uint32_t gref;
        struct rq rq;

        pages_new(c, 1, true, &gref);
        rq = rq_rw(BLKIF_OP_READ, 0, &gref, 1);
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    } else {
        uint32_t seed = (uint32_t)now_ms();

        disk_fill(c, 8, PAGE_SECTORS, seed);
        disk_want(c, 8, PAGE_SECTORS, seed);
    }
    link_close(c);
}

int link_read_offer(struct ctx *c, struct offer *out)
{
    static const struct connect plain;
    int rc = link_try(c, &plain);

    if (rc != 0)
        return rc;
    blkfront_get_info(c->bf, &out->info);
    out->max_queues = (uint32_t)node_number(c, "multi-queue-max-queues", 1);
    out->max_order = (uint32_t)node_number(c, "max-ring-page-order", 0);
    if (out->max_queues > QUEUES_MAX)
        out->max_queues = QUEUES_MAX;
    return 0;
}
