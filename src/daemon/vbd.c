/* SPDX-License-Identifier: MIT
 *
 * The vbd driver: which backend directories are its own, and the making and freeing of a disk.
 * Threads: the daemon's.
 */
#include "daemon/vbd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blkif/features.h"
#include "daemon/process.h"
#include "daemon/text.h"

#define OUR_SCRIPT "block-blkbackd"

static const char *const ids[] = {"vbd", "vbd3", NULL};

/* Kind vbd3 is never bound by the kernel. A vbd is ours if our hotplug script is to set it up. */
static bool claims(struct bus *bus, const struct xb_id *id, const char *dir)
{
    char script[256];

    if (bus->config->claim_all || strcmp(bus->config->kinds[id->kind], "vbd") != 0)
        return true;
    if (bus_read(bus, dir, "script", script, sizeof(script)) <= 0)
        return false;
    const char *base = strrchr(script, '/');
    return strcmp(base ? base + 1 : script, OUR_SCRIPT) == 0;
}

/* The frontend's directory, as the toolstack wrote it into our directory; held against where such
 * a directory has to be, so that a mistake there cannot make us read another domain's nodes. */
static bool read_frontend(struct bus *bus, const struct xb_id *id, const char *dir, char *out)
{
    char text[16], prefix[64];
    uint32_t domid;

    if (bus_read(bus, dir, "frontend", out, XB_OTHEREND_MAX) <= 0)
        return false;
    int len = snprintf(prefix, sizeof(prefix), "/local/domain/%u/device/", id->domid);
    if (bus_read(bus, dir, "frontend-id", text, sizeof(text)) <= 0 ||
        !blkif_number_parse(text, 0, UINT16_MAX, &domid) || domid != id->domid ||
        strncmp(out, prefix, (size_t)len) != 0) {
        log_warn("%s: frontend and frontend-id do not name a device of domain %u; not served", dir,
                 id->domid);
        return false;
    }
    return true;
}

static bool flag(struct bus *bus, const char *dir, const char *leaf, bool fallback)
{
    char text[8];
    int n = bus_read(bus, dir, leaf, text, sizeof(text));

    return n <= 0 ? fallback : strcmp(text, "0") != 0;
}

static void read_names(struct vbd *v, struct bus *bus, const struct xb_id *id, const char *dir)
{
    char text[128], path[64];

    if (bus_read(bus, dir, "dev", text, sizeof(text)) > 0)
        text_copy(v->vdev, sizeof(v->vdev), text);
    else
        snprintf(v->vdev, sizeof(v->vdev), "%u", id->devid);
    snprintf(v->dev.label, sizeof(v->dev.label), "%u:%s", id->domid, v->vdev);
    snprintf(path, sizeof(path), "/local/domain/%u", id->domid);
    if (bus_read(bus, path, "name", text, sizeof(text)) > 0)
        text_copy(v->domain, sizeof(v->domain), text);
}

/* Tells the toolstack and its user why the disk is not served. */
static void refuse(struct bus *bus, const char *dir)
{
    char path[XB_PATH_MAX];

    log_error("%s: refused: this daemon serves at most %d disks", dir, CONFIG_DISKS_MAX);
    snprintf(path, sizeof(path), "error/%s/error", dir);
    hv_store_printf(bus->store, 0, path, "%d this daemon serves at most %d disks", ENOSPC,
                    CONFIG_DISKS_MAX);
}

static int probe(struct bus *bus, const struct xb_id *id, const char *dir, enum xenbus_state state,
                 struct xb_device **out)
{
    char frontend[XB_OTHEREND_MAX], type[16];
    struct daemon *daemon = bus->owner;

    if (daemon->stopping || !claims(bus, id, dir) || !read_frontend(bus, id, dir, frontend))
        return 0;
    struct vbd *v = cache_take(daemon->vbds);
    if (!v) {
        refuse(bus, dir);
        return -ENOSPC;
    }
    memset(v, 0, sizeof(*v));
    v->daemon = daemon;
    v->stats_fd = v->old_pidfd = -1;
    v->online = true;
    memcpy(v->dev.otherend, frontend, sizeof(frontend));
    read_names(v, bus, id, dir);
    v->cdrom =
        bus_read(bus, dir, "device-type", type, sizeof(type)) > 0 && strcmp(type, "cdrom") == 0;
    v->removable = flag(bus, dir, "removable", false);
    v->discard_wanted = flag(bus, dir, "discard-enable", true);
    log_info("%s: found (%s, %s)", v->dev.label, dir, state_name(state));
    *out = &v->dev;
    return 0;
}

static void release(struct xb_device *dev)
{
    struct vbd *v = vbd_of(dev);

    if (dev->bus)
        log_info("%s: gone", dev->label);
    loop_remove(v->retry);
    loop_remove(v->old_source);
    if (v->old_pidfd >= 0)
        close(v->old_pidfd);
    stats_page_destroy(v->stats, v->stats_fd);
    if (v->worker)
        worker_free(v->worker);
    cache_give(v->daemon->vbds, v);
}

const struct xb_driver vbd_driver = {
    .name = "vbd",
    .ids = ids,
    .probe = probe,
    .remove = vbd_removed,
    .otherend_changed = vbd_changed,
    .release = release,
};
