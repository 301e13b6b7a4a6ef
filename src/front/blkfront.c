/* SPDX-License-Identifier: MIT
 *
 * Opening and closing a frontend, and what it says about itself.
 *
 * Threads: the one that owns the struct blkfront.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/internal.h"
#include "front/raw.h"

static int check_options(struct blkfront *bf, struct errmsg *err)
{
    const char *protocol = bf->opt.protocol != NULL ? bf->opt.protocol : "x86_64-abi";

    bf->abi = front_abi_find(protocol);
    if (bf->abi == NULL)
        return errmsg_set(err, -EINVAL, "unknown protocol '%s': x86_64-abi or x86_32-abi",
                          protocol);
    if (bf->opt.ring_order > BLKIF_RING_PAGE_ORDER_MAX)
        return errmsg_set(err, -EINVAL, "ring order %u is above %u", bf->opt.ring_order,
                          BLKIF_RING_PAGE_ORDER_MAX);
    if (bf->opt.queues > FRONT_QUEUES_MAX)
        return errmsg_set(err, -EINVAL, "%u queues are above %u", bf->opt.queues, FRONT_QUEUES_MAX);
    if (bf->opt.queues == 0)
        bf->opt.queues = 1;
    if (bf->opt.end_grants)
        bf->opt.no_persistent = true;
    return 0;
}

static uint32_t smaller(uint32_t a, uint64_t b)
{
    return a < b ? a : (uint32_t)b;
}

/* Queues and ring size as wished, within what the backend offers; then allocates them. */
static int make_queues(struct blkfront *bf, struct errmsg *err)
{
    uint64_t queues, order;
    int rc;

    rc = front_read_number(bf, bf->backend, "multi-queue-max-queues", 1, UINT32_MAX, &queues, err);
    if (rc == 0)
        rc = front_read_number(bf, bf->backend, "max-ring-page-order", 0, UINT32_MAX, &order, err);
    if (rc < 0)
        return rc;
    bf->nr_queues = smaller(bf->opt.queues, queues != 0 ? queues : 1);
    bf->ring_order = smaller(bf->opt.ring_order, order);
    bf->queues = calloc(bf->nr_queues, sizeof(*bf->queues));
    if (bf->queues == NULL)
        return errmsg_set(err, -ENOMEM, "out of memory for %u queues", bf->nr_queues);
    for (uint32_t i = 0; i < bf->nr_queues; i++) {
        rc = front_queue_open(bf, &bf->queues[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Whatever kept us from there, the caller hears one code for it. */
static int reach_hypervisor(struct blkfront *bf, struct errmsg *err)
{
    if (hv_open(bf->opt.hv, &bf->hv, err) == 0 && hv_store_open(bf->opt.hv, &bf->store, err) == 0)
        return 0;
    return -EHOSTUNREACH;
}

static int prepare(struct blkfront *bf, struct errmsg *err)
{
    int rc = check_options(bf, err);

    if (rc == 0)
        rc = reach_hypervisor(bf, err);
    if (rc == 0)
        rc = front_find_device(bf, err);
    if (rc == 0)
        rc = front_wait_init(bf, err);
    if (rc == 0)
        rc = make_queues(bf, err);
    if (rc == 0)
        rc = front_publish(bf, err);
    return rc;
}

static void choose_segments(struct blkfront *bf)
{
    uint32_t offered = bf->opt.no_indirect ? 0 : bf->info.max_indirect;

    bf->segs_max = BLKIF_SEGS_PER_REQUEST;
    if (offered > BLKIF_SEGS_PER_REQUEST)
        bf->segs_max = smaller(FRONT_SEGS_MAX, offered);
}

static int connect_device(struct blkfront *bf, struct errmsg *err)
{
    int rc = front_wait_connected(bf, err);

    if (rc == 0)
        rc = front_read_properties(bf, err);
    if (rc < 0)
        return rc;
    choose_segments(bf);
    for (uint32_t i = 0; i < bf->nr_queues; i++) {
        rc = front_queue_size(&bf->queues[i], err);
        if (rc < 0)
            return rc;
    }
    return front_switch(bf, FRONT_XB_CONNECTED, err);
}

static void release(struct blkfront *bf)
{
    for (uint32_t i = 0; bf->queues != NULL && i < bf->nr_queues; i++)
        front_queue_close(&bf->queues[i]);
    free(bf->queues);
    if (bf->store != NULL)
        hv_store_close(bf->store);
    if (bf->hv != NULL)
        hv_close(bf->hv);
    free(bf);
}

static void give_text(const struct errmsg *err, char *error, size_t error_bytes)
{
    if (error != NULL && error_bytes != 0)
        snprintf(error, error_bytes, "%s", err->text);
}

int front_raw_open(const struct blkfront_options *options, const struct front_raw_options *raw,
                   struct blkfront **out, char *error, size_t error_bytes)
{
    struct blkfront *bf = calloc(1, sizeof(*bf));
    struct errmsg err = {""};
    int rc;

    if (bf == NULL)
        return -ENOMEM;
    bf->opt = *options;
    bf->first_index = raw->first_index;
    rc = prepare(bf, &err);
    if (rc == 0 && !raw->prepare_only)
        rc = connect_device(bf, &err);
    if (rc < 0) {
        give_text(&err, error, error_bytes);
        blkfront_close(bf);
        return rc;
    }
    *out = bf;
    return 0;
}

int blkfront_open(const struct blkfront_options *options, struct blkfront **out, char *error,
                  size_t error_bytes)
{
    struct front_raw_options usual = {0};

    return front_raw_open(options, &usual, out, error, error_bytes);
}

int front_raw_connect(struct blkfront *bf, char *error, size_t error_bytes)
{
    struct errmsg err = {""};
    int rc = connect_device(bf, &err);

    if (rc < 0)
        give_text(&err, error, error_bytes);
    return rc;
}

/* What is in flight gets its time to be answered; a backend that does not answer keeps nobody. */
static void drain(struct blkfront *bf, uint32_t queue)
{
    uint64_t deadline = front_now_ms() + FRONT_TIMEOUT_MS;

    while (bf->queues[queue].in_flight != 0 && front_now_ms() < deadline) {
        blkfront_kick(bf, queue);
        if (blkfront_poll(bf, queue, 100) < 0 || front_backend_state(bf) != FRONT_XB_CONNECTED)
            break;
    }
}

void blkfront_close(struct blkfront *bf)
{
    if (bf->published) {
        for (uint32_t i = 0; i < bf->nr_queues; i++)
            drain(bf, i);
        front_say_closed(bf);
        for (uint32_t i = 0; i < bf->nr_queues; i++)
            blkfront_fail(bf, i);
    }
    release(bf);
}

void front_raw_vanish(struct blkfront *bf)
{
    for (uint32_t i = 0; i < bf->nr_queues; i++)
        blkfront_fail(bf, i);
    release(bf);
}

void blkfront_get_info(const struct blkfront *bf, struct blkfront_info *info)
{
    *info = bf->info;
}

uint32_t blkfront_max_sectors(const struct blkfront *bf)
{
    return bf->segs_max * FRONT_SECTORS_PER_PAGE;
}

int blkfront_events_fd(const struct blkfront *bf)
{
    return hv_store_fd(bf->store);
}

int blkfront_events(struct blkfront *bf)
{
    char path[HV_STORE_PATH_MAX], token[16];
    uint64_t sectors;
    int rc;

    rc = hv_store_next_watch(bf->store, path, sizeof(path), token, sizeof(token));
    if (rc <= 0)
        return rc;
    while (rc > 0)
        rc = hv_store_next_watch(bf->store, path, sizeof(path), token, sizeof(token));
    if (front_backend_state(bf) != FRONT_XB_CONNECTED)
        return -ENOTCONN;
    /* A backend that has resized the disk writes its state again (Linux: blkfront_connect()). */
    rc = front_read_number(bf, bf->backend, "sectors", bf->info.sectors, UINT64_MAX / BLKIF_SECTOR,
                           &sectors, NULL);
    if (rc < 0 || sectors == bf->info.sectors)
        return 0;
    bf->info.sectors = sectors;
    return 1;
}

void front_raw_queue(struct blkfront *bf, uint32_t queue, struct front_raw_queue *out)
{
    struct front_queue *q = &bf->queues[queue];

    *out = (struct front_raw_queue){
        .shared = q->ring.shared,
        .pages = 1u << bf->ring_order,
        .entries = q->ring.entries,
        .slot_bytes = q->ring.slot_bytes,
        .ring_refs = q->ring_refs,
        .port = q->port,
        .ev = q->ev,
        .share = q->share,
        .req_prod_pvt = &q->ring.req_prod_pvt,
        .rsp_cons = &q->ring.rsp_cons,
    };
}

void *front_raw_slot(struct blkfront *bf, uint32_t queue, uint32_t index)
{
    return fring_slot(&bf->queues[queue].ring, index);
}

void front_raw_device(struct blkfront *bf, struct front_raw_device *out)
{
    *out = (struct front_raw_device){.hv = bf->hv,
                                     .store = bf->store,
                                     .peer = bf->peer,
                                     .frontend_path = bf->frontend,
                                     .backend_path = bf->backend};
}
