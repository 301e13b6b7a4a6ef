/* SPDX-License-Identifier: MIT
 *
 * Discovery: lists backend directories and offers unknown ones to the driver. Threads: the
 * daemon's.
 */
#include "daemon/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blkif/features.h"

static uint32_t hash_of(const struct xb_id *id)
{
    return (id->kind * 31 + id->domid * 2654435761u + id->devid * 40503u) % BUS_HASH;
}

struct xb_device *bus_find(const struct bus *bus, const struct xb_id *id)
{
    struct xb_device *dev = bus->hash[hash_of(id)];

    while (dev &&
           (dev->id.kind != id->kind || dev->id.domid != id->domid || dev->id.devid != id->devid))
        dev = dev->hash_next;
    return dev;
}

static int enlist(struct bus *bus, struct xb_device *dev)
{
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        if (bus->slots[i])
            continue;
        bus->slots[i] = dev;
        dev->slot = i;
        dev->generation = ++bus->next_generation;
        dev->hash_next = bus->hash[hash_of(&dev->id)];
        bus->hash[hash_of(&dev->id)] = dev;
        bus->nr_devices++;
        return 0;
    }
    return -ENOSPC;
}

void bus_delist(struct bus *bus, struct xb_device *dev)
{
    struct xb_device **p = &bus->hash[hash_of(&dev->id)];

    while (*p && *p != dev)
        p = &(*p)->hash_next;
    if (*p)
        *p = dev->hash_next;
    bus->slots[dev->slot] = NULL;
    bus->nr_devices--;
}

/* May a directory in that state be taken? A new one is Initialising; InitWait, too, is early
 * enough (the kernel's driver was there first and has been unbound). Closing on a directory
 * that nobody serves is a toolstack that waits for Closed. Other states are taken only when the
 * daemon starts: they are of disks that the one before us served. */
static bool may_take(enum xenbus_state state, bool adopt)
{
    return state == XB_INITIALISING || state == XB_INITWAIT || state == XB_CLOSING ||
           (adopt && (state == XB_INITIALISED || state == XB_CONNECTED || state == XB_CLOSED));
}

static void probe(struct bus *bus, const struct xb_id *id, bool adopt)
{
    char dir[XB_NODENAME_MAX];
    enum xenbus_state state;
    struct xb_device *dev = NULL;

    if (bus_find(bus, id))
        return;
    snprintf(dir, sizeof(dir), "backend/%s/%u/%u", bus->config->kinds[id->kind], id->domid,
             id->devid);
    if (xb_read_state(bus, dir, &state) || !may_take(state, adopt))
        return;
    if (bus->driver->probe(bus, id, dir, state, &dev) || !dev)
        return;
    dev->bus = bus;
    dev->driver = bus->driver;
    dev->id = *id;
    dev->state = state;
    dev->state_since_ms = loop_now_ms();
    memcpy(dev->nodename, dir, sizeof(dir));
    if (enlist(bus, dev)) {
        bus->driver->release(dev);
        return;
    }
    xb_watch_otherend(dev);
    bus_mark(dev);
}

static void scan_domain(struct bus *bus, unsigned kind, uint32_t domid, bool adopt)
{
    char dir[XB_PATH_MAX], **names = NULL;

    snprintf(dir, sizeof(dir), "backend/%s/%u", bus->config->kinds[kind], domid);
    int n = hv_store_list(bus->store, 0, dir, &names);
    for (int i = 0; i < n; i++) {
        struct xb_id id = {.kind = kind, .domid = domid};
        if (blkif_number_parse(names[i], 0, INT32_MAX, &id.devid))
            probe(bus, &id, adopt);
    }
    free(names);
}

static void scan_kind(struct bus *bus, unsigned kind, bool adopt)
{
    char dir[XB_PATH_MAX], **names = NULL;

    snprintf(dir, sizeof(dir), "backend/%s", bus->config->kinds[kind]);
    int n = hv_store_list(bus->store, 0, dir, &names);
    for (int i = 0; i < n; i++) {
        uint32_t domid;
        if (blkif_number_parse(names[i], 0, UINT16_MAX, &domid))
            scan_domain(bus, kind, domid, adopt);
    }
    free(names);
}

void bus_scan(struct bus *bus)
{
    for (unsigned k = 0; bus->store && k < bus->config->nr_kinds; k++) {
        if (!bus->scan[k])
            continue;
        bool adopt = bus->scan_adopt[k];
        bus->scan[k] = bus->scan_adopt[k] = false;
        scan_kind(bus, k, adopt);
    }
    unsigned n = bus->nr_pending;
    bus->nr_pending = 0;
    for (unsigned i = 0; bus->store && i < n; i++)
        probe(bus, &bus->pending[i], false);
}
