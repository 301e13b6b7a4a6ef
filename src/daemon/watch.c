/* SPDX-License-Identifier: MIT
 *
 * Watches: making them, taking their events, and turning each event into a mark. The token says
 * whom it is for: "k<kind>" for a kind's root, "d<slot>.<generation>" for a device's frontend. A
 * stale token (its device is gone) matches nothing. Threads: the daemon's.
 */
#include "daemon/bus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blkif/features.h"

#define TOKEN_MAX 32

static void device_token(const struct xb_device *dev, char *out)
{
    snprintf(out, TOKEN_MAX, "d%u.%u", dev->slot, dev->generation);
}

int xb_watch_pathfmt(struct xb_device *dev, const char *fmt, ...)
{
    char path[XB_PATH_MAX], token[TOKEN_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    int err = n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG : 0;
    device_token(dev, token);
    if (!err)
        err = dev->bus->store ? hv_store_watch(dev->bus->store, path, token) : -ENOTCONN;
    if (err) {
        xb_fatal(dev, err, "cannot watch %s: %s", n < 0 ? "" : path, strerror(-err));
        return err;
    }
    dev->watching = true;
    return 0;
}

int xb_watch_otherend(struct xb_device *dev)
{
    return xb_watch_pathfmt(dev, "%s/state", dev->otherend);
}

void xb_unwatch(struct xb_device *dev)
{
    char path[XB_PATH_MAX], token[TOKEN_MAX];

    if (!dev->watching)
        return;
    dev->watching = false;
    snprintf(path, sizeof(path), "%s/state", dev->otherend);
    device_token(dev, token);
    if (dev->bus->store)
        hv_store_unwatch(dev->bus->store, path, token);
}

int bus_watch_roots(struct bus *bus)
{
    for (unsigned k = 0; k < bus->config->nr_kinds; k++) {
        char path[XB_PATH_MAX], token[TOKEN_MAX];

        snprintf(path, sizeof(path), "backend/%s", bus->config->kinds[k]);
        snprintf(token, sizeof(token), "k%u", k);
        int err = hv_store_watch(bus->store, path, token);
        if (err)
            return err;
    }
    return 0;
}

/* Takes "/<word>" off the front of *p into word. False at the end of the path. */
static bool next_word(const char **p, char *word, size_t cap)
{
    if (**p != '/')
        return false;
    size_t len = strcspn(++*p, "/");
    if (len == 0 || len >= cap)
        return false;
    memcpy(word, *p, len);
    word[len] = '\0';
    *p += len;
    return true;
}

/* Which of a backend's own nodes matter; the rest are mostly our own writes. */
static bool leaf_matters(const char *leaf)
{
    static const char *const leaves[] = {
        "",
        "/state",
        "/online",
        "/frontend",
        "/physical-device",
        "/physical-device-path",
        "/hotplug-status",
    };

    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (strcmp(leaf, leaves[i]) == 0)
            return true;
    }
    return false;
}

static void add_pending(struct bus *bus, const struct xb_id *id)
{
    for (unsigned i = 0; i < bus->nr_pending; i++) {
        if (memcmp(&bus->pending[i], id, sizeof(*id)) == 0)
            return;
    }
    if (bus->nr_pending == BUS_PENDING_MAX)
        bus->scan[id->kind] = true;
    else
        bus->pending[bus->nr_pending++] = *id;
}

/* Something above single devices changed: look at the kind as a whole. */
static void mark_kind(struct bus *bus, unsigned kind)
{
    bus->scan[kind] = true;
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        if (bus->slots[i] && bus->slots[i]->id.kind == kind)
            bus_mark(bus->slots[i]);
    }
}

static void root_event(struct bus *bus, unsigned kind, const char *path)
{
    char word[16], root[XB_PATH_MAX];
    struct xb_id id = {.kind = kind};

    snprintf(root, sizeof(root), "backend/%s", bus->config->kinds[kind]);
    const char *p = strstr(path, root);
    if (!p)
        return;
    p += strlen(root);
    if (!next_word(&p, word, sizeof(word)) || *p == '\0') {
        mark_kind(bus, kind);
        return;
    }
    if (!blkif_number_parse(word, 0, UINT16_MAX, &id.domid) || !next_word(&p, word, sizeof(word)) ||
        !blkif_number_parse(word, 0, INT32_MAX, &id.devid) || !leaf_matters(p))
        return;
    struct xb_device *dev = bus_find(bus, &id);
    if (dev)
        bus_mark(dev);
    else if (strcmp(p, "/online") != 0)
        add_pending(bus, &id);
}

static void dispatch(struct bus *bus, const char *path, const char *token)
{
    unsigned slot, generation;

    if (sscanf(token, "k%u", &slot) == 1) {
        if (slot < bus->config->nr_kinds)
            root_event(bus, slot, path);
    } else if (sscanf(token, "d%u.%u", &slot, &generation) == 2) {
        struct xb_device *dev = slot < CONFIG_DISKS_MAX ? bus->slots[slot] : NULL;
        if (dev && dev->generation == generation)
            bus_mark(dev);
    }
}

void bus_drain(struct bus *bus)
{
    char path[HV_STORE_PATH_MAX], token[TOKEN_MAX];

    for (unsigned i = 0; bus->store && i < BUS_DRAIN_MAX; i++) {
        int n = hv_store_next_watch(bus->store, path, sizeof(path), token, sizeof(token));
        if (n == 0)
            return;
        if (n < 0) {
            bus_store_lost(bus);
            return;
        }
        bus->events++;
        dispatch(bus, path, token);
    }
    bus_schedule(bus); /* there may be more; let others run first */
}
