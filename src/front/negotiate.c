/* SPDX-License-Identifier: MIT
 *
 * The frontend's half of the handshake, in the order Linux's xen-blkfront keeps: transport limits
 * at backend state 2, our rings and ports in one transaction, our state 3, the disk's properties at
 * backend state 4, our state 4. Rules: PROTOCOL notes of xen/io/blkif.h and xenbus.h.
 *
 * Threads: the one that owns the struct blkfront.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/internal.h"

#define BIT(state) (1u << (state))
/* From the toolstack's point of view a vanished directory is a refusal too. */
#define GONE (BIT(FRONT_XB_UNKNOWN) | BIT(FRONT_XB_CLOSING) | BIT(FRONT_XB_CLOSED))

static uint32_t timeout_ms(const struct blkfront *bf)
{
    return bf->opt.timeout_ms != 0 ? bf->opt.timeout_ms : FRONT_TIMEOUT_MS;
}

int front_switch(struct blkfront *bf, int state, struct errmsg *err)
{
    char path[HV_STORE_PATH_MAX];
    int rc;

    snprintf(path, sizeof(path), "%s/state", bf->frontend);
    rc = hv_store_printf(bf->store, 0, path, "%d", state);
    return rc < 0 ? errmsg_set(err, rc, "%s cannot be written: %s", path, strerror(-rc)) : 0;
}

int front_find_device(struct blkfront *bf, struct errmsg *err)
{
    char path[HV_STORE_PATH_MAX];
    uint64_t peer;
    int rc;

    snprintf(bf->frontend, sizeof(bf->frontend), "device/vbd/%" PRIu32, bf->opt.devid);
    snprintf(path, sizeof(path), "%s/backend", bf->frontend);
    rc = hv_store_read(bf->store, 0, path, bf->backend, sizeof(bf->backend));
    if (rc == -ENOENT || rc == 0)
        return errmsg_set(err, -ENOENT, "this domain has no disk %" PRIu32 ": attach it first",
                          bf->opt.devid);
    if (rc < 0)
        return errmsg_set(err, rc, "%s cannot be read: %s", path, strerror(-rc));
    rc = front_read_number(bf, bf->frontend, "backend-id", 0, 0x7fef, &peer, err);
    if (rc < 0)
        return rc;
    bf->peer = (uint32_t)peer;
    snprintf(path, sizeof(path), "%.*s/state", (int)sizeof(path) - 8, bf->backend);
    rc = hv_store_watch(bf->store, path, "be");
    return rc < 0 ? errmsg_set(err, rc, "%s cannot be watched: %s", path, strerror(-rc)) : 0;
}

/* Says why a wait for the backend ended without success. */
static int refused(struct blkfront *bf, int rc, const char *waited_for, struct errmsg *err)
{
    char text[200];
    int state = front_backend_state(bf);

    front_backend_error(bf, text, sizeof(text));
    if (text[0] != '\0')
        return errmsg_set(err, rc, "the backend refused: %s", text);
    if (state == FRONT_XB_UNKNOWN)
        return errmsg_set(err, -ENODEV,
                          "the backend is gone (no %.200s/state): attach the disk "
                          "again",
                          bf->backend);
    if (rc == -ETIMEDOUT)
        return errmsg_set(err, rc,
                          "the backend did not %s within %" PRIu32 " ms (it is in state %d): is "
                          "blkbackd running, and has the hotplug script finished?",
                          waited_for, timeout_ms(bf), state);
    if (rc == -ECONNREFUSED)
        return errmsg_set(err, rc,
                          "the backend refused and wrote no reason (state %d): see its log", state);
    return errmsg_set(err, rc, "the store failed: %s", strerror(-rc));
}

/* Brings a device that somebody left behind (a frontend that was killed, or closed before) back to
 * the start, as a kernel does after kexec: ours 5, 6, 1 while the backend goes 5, 6, 2. */
static int reset_device(struct blkfront *bf, int backend, struct errmsg *err)
{
    static const struct {
        int ours;
        unsigned theirs;
    } steps[] = {
        {FRONT_XB_CLOSING, BIT(FRONT_XB_CLOSING) | BIT(FRONT_XB_CLOSED)},
        {FRONT_XB_CLOSED, BIT(FRONT_XB_CLOSED)},
    };
    size_t first = backend == FRONT_XB_CONNECTED ? 0 : backend == FRONT_XB_CLOSING ? 1 : 2;

    for (size_t i = first; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int rc = front_switch(bf, steps[i].ours, err);

        if (rc < 0)
            return rc;
        rc = front_wait_backend(bf, steps[i].theirs, BIT(FRONT_XB_UNKNOWN), timeout_ms(bf));
        if (rc < 0)
            return refused(bf, rc, "let go of the former connection", err);
    }
    return front_switch(bf, FRONT_XB_INITIALISING, err);
}

int front_wait_init(struct blkfront *bf, struct errmsg *err)
{
    int backend = front_backend_state(bf);
    uint64_t ours;
    int rc;

    rc = front_read_number(bf, bf->frontend, "state", FRONT_XB_INITIALISING, 8, &ours, err);
    if (rc < 0)
        return rc;
    if (backend >= FRONT_XB_CONNECTED || ours != FRONT_XB_INITIALISING) {
        rc = reset_device(bf, backend, err);
        if (rc < 0)
            return rc;
    }
    /* A backend may skip InitWait and wait in Initialised (xen/io/blkif.h, startup). */
    rc = front_wait_backend(bf, BIT(FRONT_XB_INIT_WAIT) | BIT(FRONT_XB_INITIALISED),
                            BIT(FRONT_XB_UNKNOWN), timeout_ms(bf));
    return rc < 0 ? refused(bf, rc, "offer the disk", err) : 0;
}

/* One queue's nodes under prefix: "" or "queue-N/". */
static int write_queue(struct blkfront *bf, hv_tx tx, const struct front_queue *q,
                       const char *prefix)
{
    char path[HV_STORE_PATH_MAX];
    int rc;

    for (uint32_t i = 0; i < 1u << bf->ring_order; i++) {
        if (bf->ring_order == 0)
            snprintf(path, sizeof(path), "%s/%sring-ref", bf->frontend, prefix);
        else
            snprintf(path, sizeof(path), "%s/%sring-ref%" PRIu32, bf->frontend, prefix, i);
        rc = hv_store_printf(bf->store, tx, path, "%" PRIu32, q->ring_refs[i]);
        if (rc < 0)
            return rc;
    }
    snprintf(path, sizeof(path), "%s/%sevent-channel", bf->frontend, prefix);
    return hv_store_printf(bf->store, tx, path, "%" PRIu32, q->port);
}

static int write_queues(struct blkfront *bf, hv_tx tx)
{
    char prefix[24];
    int rc = 0;

    if (bf->nr_queues == 1)
        return write_queue(bf, tx, &bf->queues[0], "");
    for (uint32_t i = 0; i < bf->nr_queues && rc >= 0; i++) {
        snprintf(prefix, sizeof(prefix), "queue-%" PRIu32 "/", i);
        rc = write_queue(bf, tx, &bf->queues[i], prefix);
    }
    return rc;
}

/* Nodes of an earlier connection with another shape would be read together with ours. */
static int remove_stale(struct blkfront *bf, hv_tx tx)
{
    static const char *const stale[] = {"ring-ref", "queue-", "event-channel", "ring-page-order",
                                        "multi-queue-num-queues"};
    char path[HV_STORE_PATH_MAX];
    char **names;
    int n = hv_store_list(bf->store, tx, bf->frontend, &names);
    int rc = 0;

    if (n < 0)
        return n;
    for (int i = 0; i < n && rc >= 0; i++)
        for (size_t s = 0; s < sizeof(stale) / sizeof(stale[0]); s++)
            if (strncmp(names[i], stale[s], strlen(stale[s])) == 0) {
                snprintf(path, sizeof(path), "%s/%s", bf->frontend, names[i]);
                rc = hv_store_rm(bf->store, tx, path);
                break;
            }
    free(names);
    return rc;
}

/* Nodes that stand once for the whole device. absent: leave the node out. */
static int write_shared(struct blkfront *bf, hv_tx tx)
{
    const struct {
        const char *name;
        uint32_t value;
        bool absent;
    } numbers[] = {
        {"ring-page-order", bf->ring_order, bf->ring_order == 0},
        {"multi-queue-num-queues", bf->nr_queues, bf->nr_queues == 1},
        {"feature-persistent", !bf->opt.no_persistent, false},
    };
    char path[HV_STORE_PATH_MAX];
    int rc;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].absent)
            continue;
        snprintf(path, sizeof(path), "%s/%s", bf->frontend, numbers[i].name);
        rc = hv_store_printf(bf->store, tx, path, "%" PRIu32, numbers[i].value);
        if (rc < 0)
            return rc;
    }
    snprintf(path, sizeof(path), "%s/protocol", bf->frontend);
    return hv_store_write(bf->store, tx, path, bf->abi->name);
}

static int publish_once(struct blkfront *bf)
{
    hv_tx tx;
    int rc = hv_store_begin(bf->store, &tx);

    if (rc < 0)
        return rc;
    rc = remove_stale(bf, tx);
    if (rc >= 0)
        rc = write_queues(bf, tx);
    if (rc >= 0)
        rc = write_shared(bf, tx);
    if (rc < 0) {
        hv_store_abort(bf->store, tx);
        return rc;
    }
    return hv_store_commit(bf->store, tx);
}

int front_publish(struct blkfront *bf, struct errmsg *err)
{
    uint64_t deadline = front_now_ms() + timeout_ms(bf);
    int rc;

    do {
        rc = publish_once(bf);
    } while (rc == -EAGAIN && front_now_ms() < deadline);
    return rc < 0 ? errmsg_set(err, rc, "%s cannot be written: %s", bf->frontend, strerror(-rc))
                  : 0;
}

int front_wait_connected(struct blkfront *bf, struct errmsg *err)
{
    int rc;

    bf->published = true;
    rc = front_switch(bf, FRONT_XB_INITIALISED, err);
    if (rc < 0)
        return rc;
    rc = front_wait_backend(bf, BIT(FRONT_XB_CONNECTED), GONE, timeout_ms(bf));
    return rc < 0 ? refused(bf, rc, "connect", err) : 0;
}

int front_read_properties(struct blkfront *bf, struct errmsg *err)
{
    uint64_t sectors, sector_size, physical, info, flush, barrier, discard, secure, granularity,
        alignment, persistent, indirect;
    const struct {
        const char *name;
        uint64_t fallback, max;
        uint64_t *value;
    } nodes[] = {
        {"sectors", UINT64_MAX, UINT64_MAX, &sectors},
        {"sector-size", BLKIF_SECTOR, 1u << 16, &sector_size},
        {"physical-sector-size", 0, UINT32_MAX, &physical},
        {"info", 0, UINT32_MAX, &info},
        {"feature-flush-cache", 0, UINT32_MAX, &flush},
        {"feature-barrier", 0, UINT32_MAX, &barrier},
        {"feature-discard", 0, UINT32_MAX, &discard},
        {"discard-secure", 0, UINT32_MAX, &secure},
        {"discard-granularity", 0, UINT32_MAX, &granularity},
        {"discard-alignment", 0, UINT32_MAX, &alignment},
        {"feature-persistent", 0, UINT32_MAX, &persistent},
        {"feature-max-indirect-segments", 0, UINT32_MAX, &indirect},
    };

    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        int rc = front_read_number(bf, bf->backend, nodes[i].name, nodes[i].fallback, nodes[i].max,
                                   nodes[i].value, err);
        if (rc < 0)
            return rc;
    }
    if (sectors == UINT64_MAX || sectors > UINT64_MAX / BLKIF_SECTOR)
        return errmsg_set(err, -EPROTO, "the backend published no usable size (%.200s/sectors)",
                          bf->backend);
    if (sector_size < BLKIF_SECTOR || (sector_size & (sector_size - 1)) != 0)
        return errmsg_set(err, -EPROTO, "the backend published a sector-size of %" PRIu64,
                          sector_size);
    bf->persistent = persistent != 0 && !bf->opt.no_persistent;
    bf->info = (struct blkfront_info){
        .sectors = sectors,
        .sector_size = (uint32_t)sector_size,
        .physical_sector_size = physical != 0 ? (uint32_t)physical : (uint32_t)sector_size,
        .info_bits = (uint32_t)info,
        .read_only = (info & 4) != 0, /* VDISK_READONLY */
        .persistent = bf->persistent,
        .flush = flush != 0,
        .barrier = barrier != 0,
        .discard = discard != 0,
        .discard_secure = discard != 0 && secure != 0,
        .discard_granularity = granularity != 0 ? (uint32_t)granularity : (uint32_t)sector_size,
        .discard_alignment = (uint32_t)alignment,
        .max_indirect = (uint32_t)indirect,
        .queues = bf->nr_queues,
        .ring_order = bf->ring_order,
        .ring_entries = bf->queues[0].ring.entries,
        .protocol = bf->abi->name,
    };
    return 0;
}

void front_say_closed(struct blkfront *bf)
{
    if (front_switch(bf, FRONT_XB_CLOSING, NULL) == 0)
        front_wait_backend(bf, BIT(FRONT_XB_CLOSING) | BIT(FRONT_XB_CLOSED), BIT(FRONT_XB_UNKNOWN),
                           timeout_ms(bf));
    if (front_switch(bf, FRONT_XB_CLOSED, NULL) == 0)
        front_wait_backend(bf, BIT(FRONT_XB_CLOSED), BIT(FRONT_XB_UNKNOWN), timeout_ms(bf));
}
