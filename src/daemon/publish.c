/* SPDX-License-Identifier: MIT
 *
 * What the backend says in its own directory: only what the data path can do. Threads: the
 * daemon's.
 */
#include "daemon/vbd.h"

#include <stdio.h>

#include "blkif/features.h"

struct node {
    const char *leaf;
    uint64_t value;
};

static int write_nodes(struct xb_device *dev, hv_tx tx, const struct node *nodes, size_t n)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i++)
        err = xb_write(dev, tx, nodes[i].leaf, "%llu", (unsigned long long)nodes[i].value);
    return err;
}

static int write_limits(struct xb_device *dev, hv_tx tx, void *arg)
{
    const struct vbd_limits *limits = arg;
    const struct node nodes[] = {
        {"max-ring-page-order", limits->max_ring_page_order},
        {"multi-queue-max-queues", limits->max_queues},
        {"feature-max-indirect-segments", limits->max_indirect},
    };
    char path[XB_PATH_MAX];
    /* Without indirect requests the node must not be there: the kernel's driver, unbound in our
     * favour, may have left one. */
    size_t n = limits->max_indirect ? 3 : 2;

    if (n == 2) {
        snprintf(path, sizeof(path), "%s/feature-max-indirect-segments", dev->nodename);
        int err = hv_store_rm(dev->bus->store, tx, path);
        if (err)
            return err;
    }
    return write_nodes(dev, tx, nodes, n);
}

int vbd_publish_limits(struct vbd *v)
{
    return xb_update(&v->dev, write_limits, &v->daemon->config.limits, XB_INITWAIT);
}

static int write_storage(struct xb_device *dev, hv_tx tx, void *arg)
{
    return xb_write(dev, tx, "storage", "open");
}

int vbd_publish_storage(struct vbd *v)
{
    return xb_update(&v->dev, write_storage, NULL, v->dev.state);
}

uint32_t vbd_info_bits(const struct vbd *v)
{
    return (v->cdrom ? BLKIF_INFO_CDROM : 0) | (v->removable ? BLKIF_INFO_REMOVABLE : 0) |
           (v->info.read_only ? BLKIF_INFO_READONLY : 0);
}

static int write_device(struct xb_device *dev, hv_tx tx, void *arg)
{
    const struct vbd *v = arg;
    const struct engine_info *info = &v->info;
    bool discard = info->can_discard && !info->read_only;
    const struct node nodes[] = {
        {"feature-persistent", v->daemon->config.limits.persistent},
        {"feature-flush-cache", info->can_flush},
        {"feature-barrier", info->can_flush},
        {"feature-discard", discard},
        {"sectors", info->size_bytes / BLKIF_SECTOR},
        {"sector-size", BLKIF_SECTOR},
        {"physical-sector-size", info->physical_block},
        {"info", vbd_info_bits(v)},
        {"discard-granularity", info->discard_granularity},
        {"discard-alignment", info->discard_alignment},
        {"discard-secure", info->can_discard_secure},
    };

    return write_nodes(dev, tx, nodes, discard ? 11 : 8);
}

int vbd_publish_device(struct vbd *v)
{
    return xb_update(&v->dev, write_device, v, XB_CONNECTED);
}
