/* SPDX-License-Identifier: MIT
 *
 * The disk of a worker: its storage and its rings. Thread: control.
 */
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/cache.h"
#include "base/log.h"

/* As the kernel driver's persistent_grant_unused_seconds. */
#define PERSISTENT_UNUSED_MS 60000u

_Static_assert(sizeof(struct engine_desc) <= VBD_ENGINE_DESC_MAX, "engine_desc fits its message");
_Static_assert(VBD_RINGS_MAX <= STATS_RINGS_MAX, "each ring has a row");
_Static_assert(VBD_REFS_MAX == BLKIF_RING_PAGES_MAX, "a ref for each page");

static int map_stats(struct worker *w, int fd, struct errmsg *err)
{
    struct stat st;

    if (fstat(fd, &st) || (size_t)st.st_size < sizeof(struct stats_page))
        return errmsg_set(err, -EINVAL, "the statistics page is too small");
    void *page = mmap(NULL, sizeof(struct stats_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return errmsg_set(err, -errno, "cannot map the statistics page: %s", strerror(errno));
    w->stats = page;
    if (w->stats->magic != STATS_MAGIC || w->stats->version != STATS_VERSION)
        return errmsg_set(err, -EPROTO, "the statistics page is of another version");
    memset(&w->stats->caches, 0, sizeof(w->stats->caches)); /* an earlier worker's rows */
    cache_table_use(&w->stats->caches);
    return 0;
}

static int start_engine(struct worker *w, const int *fds, size_t nfds, struct errmsg *err)
{
    struct engine_desc desc;

    memcpy(&desc, w->setup.engine_desc, sizeof(desc));
    desc.engine[sizeof(desc.engine) - 1] = '\0';
    if (w->setup.engine_desc_bytes != sizeof(desc) || desc.nr_fds != nfds ||
        nfds > ENGINE_FDS_MAX) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        return errmsg_set(err, -EPROTO, "the storage came with %zu descriptors of %u", nfds,
                          desc.nr_fds);
    }
    for (size_t i = 0; i < nfds; i++)
        desc.fds[i] = fds[i];
    const struct engine_ops *ops = engine_find(desc.engine);
    if (!ops) {
        engine_desc_close(&desc);
        return errmsg_set(err, -ENOENT, "no storage engine is called %s", desc.engine);
    }
    w->info = desc.info;
    return ops->start(&desc, &w->engine, err);
}

int vbd_setup_disk(struct worker *w, const struct vbd_setup *setup, const int *fds, size_t nfds,
                   struct errmsg *err)
{
    w->setup = *setup;
    w->setup.name[VBD_NAME_MAX - 1] = '\0';
    w->setup.hv[VBD_HV_SPEC_MAX - 1] = '\0';
    if (nfds < 1)
        return errmsg_set(err, -EPROTO, "no statistics page came with the set-up");
    int ret = map_stats(w, fds[0], err);
    close(fds[0]);
    if (ret) {
        for (size_t i = 1; i < nfds; i++)
            close(fds[i]);
        return ret;
    }
    ret = start_engine(w, fds + 1, nfds - 1, err);
    if (ret)
        return ret;
    return hv_open(w->setup.hv, &w->hv, err);
}

static struct blkif_limits limits_of(const struct worker *w)
{
    const struct engine_info *info = &w->info;

    return (struct blkif_limits){
        .nr_sectors = info->size_bytes / BLKIF_SECTOR,
        .block_sectors = info->logical_block / BLKIF_SECTOR,
        .max_indirect = (uint16_t)w->setup.max_indirect,
        .read_only = w->setup.read_only || info->read_only,
        .can_flush = info->can_flush,
        .can_barrier = info->can_flush,
        .can_discard = info->can_discard,
        .can_discard_secure = info->can_discard_secure,
    };
}

static int start_ring(struct worker *w, const struct vbd_connect *msg, uint32_t i,
                      struct errmsg *err)
{
    const struct vbd_ring_params *p = &msg->ring[i];
    struct ring_config c = {
        .index = i,
        .domid = w->setup.domid,
        .hv = w->hv,
        .port = p->port,
        .nr_refs = p->nr_refs,
        .abi = (enum blkif_abi)msg->abi,
        .persistent = msg->persistent == 1,
        .persistent_max = w->setup.persistent_max,
        .persistent_unused_ms = PERSISTENT_UNUSED_MS,
        .limits = limits_of(w),
        .engine = w->engine,
        .gate = w->gate,
        .stats = &w->stats->ring[i],
        .event_fd = w->event_fd,
    };

    memcpy(c.refs, p->refs, sizeof(c.refs));
    snprintf(c.thread_name, sizeof(c.thread_name), "%hu.%.6s-%hhu", (uint16_t)w->setup.domid,
             w->setup.name, (uint8_t)i);
    WRITE_ONCE(c.stats->halted, RING_RUNNING);
    w->halt_told[i] = false;
    return ring_start(&c, &w->rings[i], err);
}

static bool connect_sane(const struct vbd_connect *msg)
{
    if (msg->abi >= BLKIF_ABIS || !msg->nr_rings || msg->nr_rings > VBD_RINGS_MAX)
        return false;
    for (uint32_t i = 0; i < msg->nr_rings; i++) {
        uint32_t n = msg->ring[i].nr_refs;
        if (!n || n > VBD_REFS_MAX || (n & (n - 1)))
            return false;
    }
    return true;
}

int vbd_connect_rings(struct worker *w, const struct vbd_connect *msg, struct errmsg *err)
{
    if (!w->engine || !w->hv)
        return errmsg_set(err, -EPROTO, "connect before set-up");
    if (!connect_sane(msg))
        return errmsg_set(err, -EINVAL, "the parameters of the rings are out of bounds");
    vbd_disconnect_rings(w); /* as the kernel driver does first: there may be an old connection */
    int ret = ring_gate_create(msg->nr_rings, &w->gate);
    if (ret)
        return errmsg_set(err, ret, "no memory for %u rings", msg->nr_rings);
    while (w->nr_rings < msg->nr_rings) {
        ret = start_ring(w, msg, w->nr_rings, err);
        if (ret) {
            vbd_disconnect_rings(w);
            return ret;
        }
        w->nr_rings++;
    }
    WRITE_ONCE(w->stats->nr_rings, w->nr_rings);
    return 0;
}

void vbd_disconnect_rings(struct worker *w)
{
    /* All stop at the same time; one that is busy does not keep the others open. */
    for (uint32_t i = 0; i < w->nr_rings; i++)
        ring_stop(w->rings[i]);
    for (uint32_t i = 0; i < w->nr_rings; i++) {
        ring_destroy(w->rings[i]);
        w->rings[i] = NULL;
    }
    w->nr_rings = 0;
    ring_gate_destroy(w->gate);
    w->gate = NULL;
}

void vbd_release(struct worker *w)
{
    if (w->engine)
        engine_ops_of(w->engine)->stop(w->engine);
    w->engine = NULL;
    hv_close(w->hv);
    w->hv = NULL;
}
