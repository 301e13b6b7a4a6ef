/* SPDX-License-Identifier: MIT
 *
 * The way to a served disk: storage, worker, frontend's nodes, rings, Connected. Threads: the
 * daemon's.
 */
#include "daemon/vbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_ours(void *arg, const char *leaf, char *buf, size_t cap)
{
    return xb_read(arg, leaf, buf, cap);
}

static int read_theirs(void *arg, const char *leaf, char *buf, size_t cap)
{
    return xb_read_otherend(arg, leaf, buf, cap);
}

static void on_retry(void *arg)
{
    struct vbd *v = arg;

    v->retry = NULL;
    bus_mark(&v->dev);
}

/* A guest that is running loses its disk if we say Closing; so its error is saved, its I/O waits,
 * and the storage is tried again. A disk that was never connected fails at once. */
static void storage_failed(struct vbd *v, int err, const struct errmsg *text)
{
    if (v->dev.state != XB_CONNECTED) {
        vbd_give_up(v, err, "%s", text->text);
        return;
    }
    xb_error(&v->dev, err, "%s", text->text);
    loop_add_timer(v->daemon->loop, VBD_RETRY_MS, on_retry, v, &v->retry);
}

void vbd_open_storage(struct vbd *v)
{
    struct engine_desc desc;
    struct errmsg err = {""};

    if (v->phase != PHASE_NONE || v->retry || vbd_wait_for_old(v))
        return;
    int n = storage_choose(read_ours, &v->dev, &v->choice, &err);
    if (n > 0 && v->no_target)
        v->limits_said = false; /* the hotplug script is done: whoever was there before us is not */
    v->no_target = n == 0;
    if (n == 0)
        return;
    if (n > 0)
        n = storage_open(&v->choice, &desc, &err);
    if (n == 0)
        n = vbd_start_worker(v, &desc, &err);
    if (n < 0)
        storage_failed(v, n, &err);
}

/* What the frontend is held to: a guest that kept running while we were away, to what an earlier
 * daemon offered it, whatever this one would offer. */
static struct vbd_limits offered(struct vbd *v)
{
    struct vbd_limits limits = v->daemon->config.limits;
    char text[8];

    if (v->dev.state != XB_CONNECTED)
        return limits;
    limits.max_ring_page_order = BLKIF_RING_PAGE_ORDER_MAX;
    limits.max_queues = VBD_RINGS_MAX;
    limits.persistent =
        xb_read(&v->dev, "feature-persistent", text, sizeof(text)) == 1 && text[0] == '1';
    return limits;
}

static void connect_rings(struct vbd *v)
{
    struct vbd_connect *c = malloc(sizeof(*c));
    struct errmsg err = {""};

    if (!c) {
        vbd_give_up(v, -ENOMEM, "out of memory");
        return;
    }
    struct vbd_limits limits = offered(v);
    int ret = negotiate(read_theirs, &v->dev, &limits, c, &err);
    if (ret == NEG_REFUSED) {
        vbd_give_up(v, -EINVAL, "%s", err.text);
    } else if (ret == 0) {
        v->abi = c->abi;
        v->persistent = c->persistent;
        v->nr_rings = c->nr_rings;
        v->ring_pages = c->ring[0].nr_refs;
        v->halted = 0;
        v->connect_with = v->dev.otherend_state;
        vbd_set_phase(v, PHASE_CONNECTING);
        worker_connect(v->worker, c); /* if that fails the worker's exit says so */
    } else {
        log_warn("%s: cannot read the frontend's nodes: %s", v->dev.label, strerror(-ret));
    }
    free(c);
}

void vbd_serve(struct vbd *v)
{
    if (v->phase == PHASE_NONE) {
        vbd_open_storage(v);
    } else if (v->phase == PHASE_READY) {
        connect_rings(v);
    } else if (v->phase == PHASE_CONNECTED && v->dev.state != XB_CONNECTED) {
        int err = vbd_publish_device(v);
        if (err == -ENOENT)
            v->gone = true;
        else if (err)
            vbd_give_up(v, err, "cannot publish the device's properties: %s", strerror(-err));
        else
            xb_error_clear(&v->dev);
        if (v->gone)
            bus_mark(&v->dev);
    }
}
