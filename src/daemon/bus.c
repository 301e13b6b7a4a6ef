/* SPDX-License-Identifier: MIT
 *
 * The bus: drains events, looks once at each marked device, and makes the connection to the store
 * again when it is lost. Threads: the daemon's.
 */
#include "daemon/bus.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define ROUNDS_MAX 16 /* of drain and look before the loop gets its turn */

void bus_mark(struct xb_device *dev)
{
    struct bus *bus = dev->bus;

    if (dev->dirty)
        return;
    dev->dirty = true;
    dev->dirty_next = NULL;
    *bus->dirty_tail = dev;
    bus->dirty_tail = &dev->dirty_next;
    bus_schedule(bus);
}

static struct xb_device *next_dirty(struct bus *bus)
{
    struct xb_device *dev = bus->dirty_head;

    if (!dev)
        return NULL;
    bus->dirty_head = dev->dirty_next;
    if (!bus->dirty_head)
        bus->dirty_tail = &bus->dirty_head;
    dev->dirty = false;
    return dev;
}

static void unmark(struct bus *bus, struct xb_device *dev)
{
    struct xb_device **p = &bus->dirty_head;

    if (!dev->dirty)
        return;
    while (*p != dev)
        p = &(*p)->dirty_next;
    *p = dev->dirty_next;
    if (!*p)
        bus->dirty_tail = p;
    dev->dirty = false;
}

static void release(struct bus *bus, struct xb_device *dev)
{
    struct xb_id id = dev->id;

    unmark(bus, dev);
    xb_unwatch(dev);
    bus_delist(bus, dev);
    bus->driver->release(dev);
    /* A new directory of the same name may have come while the old device went. */
    if (bus->nr_pending < BUS_PENDING_MAX)
        bus->pending[bus->nr_pending++] = id;
    else
        bus->scan[id.kind] = true;
}

static void look(struct bus *bus, struct xb_device *dev)
{
    enum xenbus_state stored, theirs;

    bus->looks++;
    if (xb_read_state(bus, dev->nodename, &stored))
        return;
    if (stored == XB_UNKNOWN) {
        dev->driver->remove(dev);
    } else if (xb_read_state(bus, dev->otherend, &theirs) == 0) {
        if (theirs != dev->otherend_state)
            dev->state_since_ms = loop_now_ms();
        dev->otherend_state = theirs;
        dev->driver->otherend_changed(dev, stored, theirs);
    }
    if (dev->finished)
        release(bus, dev);
}

static bool idle(const struct bus *bus)
{
    bool scan = false;

    for (unsigned k = 0; k < bus->config->nr_kinds; k++)
        scan |= bus->scan[k];
    return !bus->dirty_head && !bus->nr_pending && !scan;
}

static void look_at_dirty(struct bus *bus)
{
    struct xb_device *last = NULL, *dev;

    /* Only those marked by now: a device that marks itself again waits for the next round. */
    for (dev = bus->dirty_head; dev; dev = dev->dirty_next)
        last = dev;
    while (last && bus->store && (dev = next_dirty(bus)) != NULL) {
        bool end = dev == last;
        look(bus, dev);
        if (end)
            return;
    }
}

void bus_work(struct bus *bus)
{
    for (int i = 0; bus->store && i < ROUNDS_MAX; i++) {
        bus_drain(bus);
        if (!bus->store || idle(bus))
            return;
        bus_scan(bus);
        look_at_dirty(bus);
    }
    bus_schedule(bus);
}

static void on_again(void *arg)
{
    struct bus *bus = arg;

    bus->again = NULL;
    bus_work(bus);
}

void bus_schedule(struct bus *bus)
{
    if (!bus->again && bus->loop)
        loop_add_timer(bus->loop, 0, on_again, bus, &bus->again);
}

static void on_store(void *arg, uint32_t events)
{
    bus_work(arg);
}

static void mark_all(struct bus *bus)
{
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        if (bus->slots[i])
            bus_mark(bus->slots[i]);
    }
}

static void on_tick(void *arg)
{
    struct bus *bus = arg;

    mark_all(bus);
    loop_add_timer(bus->loop, BUS_TICK_MS, on_tick, bus, &bus->tick);
}

static int attach_store(struct bus *bus)
{
    int err =
        loop_add_fd(bus->loop, hv_store_fd(bus->store), EPOLLIN, on_store, bus, &bus->fd_source);

    if (!err)
        err = bus_watch_roots(bus);
    for (unsigned k = 0; k < bus->config->nr_kinds; k++)
        bus->scan[k] = bus->scan_adopt[k] = true;
    bus_schedule(bus);
    return err;
}

static void on_reconnect(void *arg)
{
    struct bus *bus = arg;
    struct errmsg err;

    bus->again = NULL;
    if (hv_store_open(bus->config->hv, &bus->store, &err)) {
        bus->store = NULL;
        loop_add_timer(bus->loop, BUS_RECONNECT_MS, on_reconnect, bus, &bus->again);
        return;
    }
    log_info("connected to xenstore again");
    if (attach_store(bus)) {
        bus_store_lost(bus);
        return;
    }
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        if (bus->slots[i])
            xb_watch_otherend(bus->slots[i]);
    }
    mark_all(bus);
}

/* Disks go on; only news is missed until the connection is back. */
void bus_store_lost(struct bus *bus)
{
    if (!bus->store)
        return;
    log_error("the connection to xenstore is lost; disks go on, trying to connect again");
    loop_remove(bus->fd_source);
    bus->fd_source = NULL;
    hv_store_close(bus->store);
    bus->store = NULL;
    loop_remove(bus->again);
    bus->again = NULL;
    loop_add_timer(bus->loop, BUS_RECONNECT_MS, on_reconnect, bus, &bus->again);
}

static bool driver_serves(const struct xb_driver *driver, const char *kind)
{
    for (const char *const *id = driver->ids; *id; id++) {
        if (strcmp(*id, kind) == 0)
            return true;
    }
    return false;
}

int bus_start(struct bus *bus, struct loop *loop, const struct daemon_config *config,
              struct hv_store *store, const struct xb_driver *driver, void *owner,
              struct errmsg *err)
{
    memset(bus, 0, sizeof(*bus));
    bus->loop = loop;
    bus->config = config;
    bus->store = store;
    bus->driver = driver;
    bus->owner = owner;
    bus->dirty_tail = &bus->dirty_head;
    for (unsigned k = 0; k < config->nr_kinds; k++) {
        if (!driver_serves(driver, config->kinds[k]))
            return errmsg_set(err, -ENOTSUP, "no driver serves the backend kind '%s'; see --kinds",
                              config->kinds[k]);
    }
    int ret = attach_store(bus);
    if (ret)
        return errmsg_set(err, ret, "cannot watch backend directories in xenstore: %s",
                          strerror(-ret));
    return loop_add_timer(loop, BUS_TICK_MS, on_tick, bus, &bus->tick);
}

void bus_quiesce(struct bus *bus)
{
    loop_remove(bus->fd_source);
    loop_remove(bus->tick);
    loop_remove(bus->again);
    bus->fd_source = bus->tick = bus->again = NULL;
    bus->loop = NULL;
}

void bus_stop(struct bus *bus)
{
    bus_quiesce(bus);
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        if (bus->slots[i])
            release(bus, bus->slots[i]);
    }
    if (bus->store)
        hv_store_close(bus->store);
    bus->store = NULL;
}
