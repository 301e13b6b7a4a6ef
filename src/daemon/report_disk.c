/* SPDX-License-Identifier: MIT
 *
 * One disk, and tables of caches, as JSON. Figures come from memory that a worker writes: they are
 * read once each and believed to be nothing but numbers. Threads: the daemon's.
 */
#include "daemon/report.h"

#include <stddef.h>
#include <string.h>

#include "base/barrier.h"
#include "blkif/features.h"
#include "daemon/text.h"

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
    json_object_object_add(o, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
    json_object_object_add(o, key, json_object_new_boolean(value));
}

/* "" becomes null. */
static void add_text(struct json_object *o, const char *key, const char *value)
{
    char text[STORAGE_SPEC_MAX];

    text_copy(text, sizeof(text), value);
    json_object_object_add(o, key, text[0] ? json_object_new_string(text) : NULL);
}

static const struct {
    const char *name;
    size_t offset;
    bool sum; /* makes sense added up over the rings */
} counters[] = {
#define COUNTER(name, sum)                                                                         \
    {                                                                                              \
#name, offsetof(struct stats_ring, name), sum                                              \
    }
    COUNTER(oo_req, true),   COUNTER(rd_req, true),        COUNTER(wr_req, true),
    COUNTER(f_req, true),    COUNTER(ds_req, true),        COUNTER(rd_sect, true),
    COUNTER(wr_sect, true),  COUNTER(refused, true),       COUNTER(errors, true),
    COUNTER(inflight, true), COUNTER(responses, true),     COUNTER(notifies, true),
    COUNTER(wakeups, true),  COUNTER(empty_wakeups, true), COUNTER(persistent, true),
    COUNTER(mapped, true),   COUNTER(copied, true),        COUNTER(bounce_pages, true),
    COUNTER(purged, true),   COUNTER(merged, true),        COUNTER(enters, true),
    COUNTER(halted, false),  COUNTER(tid, false),
#undef COUNTER
};

static uint64_t counter(const struct stats_ring *ring, size_t offset)
{
    const uint64_t *p = (const void *)((const char *)ring + offset);

    return READ_ONCE(*p);
}

static struct json_object *ring_row(const struct stats_ring *ring)
{
    struct json_object *o = json_object_new_object();

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        add_u64(o, counters[i].name, counter(ring, counters[i].offset));
    return o;
}

/* Over all rows, so that figures of earlier connections with more rings still count. */
static struct json_object *sums(const struct stats_page *page)
{
    struct json_object *o = json_object_new_object();

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        uint64_t total = 0;
        for (unsigned r = 0; page && counters[i].sum && r < STATS_RINGS_MAX; r++)
            total += counter(&page->ring[r], counters[i].offset);
        if (counters[i].sum)
            add_u64(o, counters[i].name, total);
    }
    return o;
}

static struct json_object *features(const struct vbd *v)
{
    struct json_object *o = json_object_new_object();

    add_bool(o, "persistent", v->persistent);
    add_bool(o, "flush", v->info.can_flush);
    add_bool(o, "barrier", v->info.can_flush);
    add_bool(o, "discard", v->info.can_discard && !v->info.read_only && v->discard_wanted);
    add_bool(o, "discard_secure", v->info.can_discard_secure && !v->info.read_only);
    add_u64(o, "max_indirect_segments", v->daemon->config.limits.max_indirect);
    add_u64(o, "max_ring_page_order", v->daemon->config.limits.max_ring_page_order);
    add_u64(o, "max_queues", v->daemon->config.limits.max_queues);
    return o;
}

static struct json_object *rings(const struct vbd *v)
{
    struct json_object *array = json_object_new_array();

    for (uint32_t r = 0; v->stats && r < v->nr_rings && r < STATS_RINGS_MAX; r++)
        json_object_array_add(array, ring_row(&v->stats->ring[r]));
    return array;
}

static void add_storage(struct json_object *o, const struct vbd *v)
{
    add_text(o, "target", v->choice.spec);
    add_text(o, "mode", v->choice.spec[0] ? (v->choice.read_only ? "ro" : "rw") : "");
    add_bool(o, "shared", v->choice.shared);
    add_text(o, "engine", v->storage_known ? v->engine : "");
    add_text(o, "note", v->storage_known ? v->info.note : "");
    if (!v->storage_known) {
        json_object_object_add(o, "size_bytes", NULL);
        return;
    }
    add_u64(o, "size_bytes", v->info.size_bytes);
    add_u64(o, "physical_block_bytes", v->info.physical_block);
}

static void add_connection(struct json_object *o, const struct vbd *v)
{
    bool connected = v->phase == PHASE_CONNECTED;
    struct json_object *worker = json_object_new_object();

    add_u64(o, "queues", connected ? v->nr_rings : 0);
    add_u64(o, "ring_pages", connected ? v->ring_pages : 0);
    add_text(o, "protocol", connected ? blkif_abi_name(v->abi) : "");
    add_text(o, "halted", connected && v->halted ? v->halt_text.text : "");
    add_text(worker, "phase", vbd_phase_name(v->phase));
    add_u64(worker, "pid", v->worker ? (uint64_t)worker_pid(v->worker) : 0);
    json_object_object_add(o, "worker", worker);
}

struct json_object *report_disk(const struct vbd *v, bool full)
{
    struct json_object *o = json_object_new_object();
    struct errmsg waits = {""};

    add_text(o, "disk", v->dev.label);
    add_text(o, "domain", v->domain);
    add_text(o, "vdev", v->vdev);
    add_u64(o, "domid", v->dev.id.domid);
    add_u64(o, "devid", v->dev.id.devid);
    add_text(o, "backend", v->dev.nodename);
    add_text(o, "frontend", v->dev.otherend);
    add_text(o, "state", vbd_state_word(v));
    add_u64(o, "backend_state", v->dev.state);
    add_u64(o, "frontend_state", v->dev.otherend_state);
    add_u64(o, "seconds", (loop_now_ms() - v->dev.state_since_ms) / 1000);
    vbd_waits_for(v, &waits);
    add_text(o, "waits_for", waits.text);
    add_text(o, "error", v->dev.error.text);
    add_storage(o, v);
    add_connection(o, v);
    json_object_object_add(o, "stats", sums(v->stats));
    if (full) {
        json_object_object_add(o, "features", features(v));
        json_object_object_add(o, "rings", rings(v));
    }
    return o;
}

void report_caches(struct json_object *array, const char *owner, const struct cache_table *table)
{
    for (unsigned i = 0; i < CACHE_TABLE_MAX; i++) {
        struct cache_row row;

        memcpy(&row, &table->rows[i], sizeof(row));
        row.name[sizeof(row.name) - 1] = '\0';
        if (!row.name[0])
            continue;
        struct json_object *o = json_object_new_object();
        add_text(o, "owner", owner);
        add_text(o, "name", row.name);
        add_u64(o, "active", row.active);
        add_u64(o, "total", row.total);
        add_u64(o, "object_bytes", row.object_bytes);
        add_u64(o, "align_bytes", row.align_bytes);
        json_object_array_add(array, o);
    }
}
