/* SPDX-License-Identifier: MIT
 *
 * Attaching and detaching a disk: the nodes, their permissions and the order of things are
 * libxl's (Xen 4.17). Not written: libxl's own records below /libxl.
 */
#include "loopd/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SCRIPT "/etc/xen/scripts/block-blkbackd"

enum { STATE_INIT_WAIT = 2, STATE_CLOSED = 6 };

int disk_name(struct disk *d, uint32_t domid, const char *vdev, const char *kind)
{
    *d = (struct disk){.domid = domid, .vdev = vdev, .kind = kind};
    int r = vdev_parse(vdev, &d->devid);
    if (r)
        return r;
    snprintf(d->back, sizeof(d->back), "/local/domain/0/backend/%s/%u/%u", kind, domid, d->devid);
    snprintf(d->front, sizeof(d->front), "/local/domain/%u/device/vbd/%u", domid, d->devid);
    return 0;
}

/* ---- Attach ---- */

static int put(struct ctl *c, hv_tx tx, const char *dir, const char *name, const char *value)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return hv_store_write(c->store, tx, path, value);
}

static int make_dir(struct ctl *c, hv_tx tx, const char *path, uint32_t owner, uint32_t reader)
{
    int r = hv_store_rm(c->store, tx, path);

    if (!r)
        r = hv_store_mkdir(c->store, tx, path);
    return r ? r : hv_store_set_perms(c->store, tx, path, owner, reader);
}

static int write_back(struct ctl *c, hv_tx tx, const struct disk *d, const char *target)
{
    char domid[12];
    int r = make_dir(c, tx, d->back, 0, d->domid);

    snprintf(domid, sizeof(domid), "%u", d->domid);
    const struct {
        const char *name, *value;
    } nodes[] = {
        {"frontend", d->front},
        {"frontend-id", domid},
        {"params", target},
        {"script", c->script ? c->script : DEFAULT_SCRIPT},
        {"online", "1"},
        {"removable", "0"},
        {"bootable", "1"},
        {"state", "1"},
        {"dev", d->vdev},
        {"type", "phy"},
        {"mode", c->readonly ? "r" : "w"},
        {"device-type", "disk"},
        {"discard-enable", "1"},
        {"direct-io-safe", "0"},
        {"specification", "xen"},
    };
    for (size_t i = 0; !r && i < sizeof(nodes) / sizeof(nodes[0]); i++)
        r = put(c, tx, d->back, nodes[i].name, nodes[i].value);
    return r;
}

static int write_front(struct ctl *c, hv_tx tx, const struct disk *d)
{
    char devid[12];
    int r = make_dir(c, tx, d->front, d->domid, 0);

    snprintf(devid, sizeof(devid), "%u", d->devid);
    const struct {
        const char *name, *value;
    } nodes[] = {
        {"backend", d->back},      {"backend-id", "0"},     {"state", "1"},
        {"virtual-device", devid}, {"device-type", "disk"},
    };
    for (size_t i = 0; !r && i < sizeof(nodes) / sizeof(nodes[0]); i++)
        r = put(c, tx, d->front, nodes[i].name, nodes[i].value);
    return r;
}

/* One transaction, as often as it takes. */
static int write_nodes(struct ctl *c, const struct disk *d, const char *target)
{
    int r;

    do {
        hv_tx tx;

        r = hv_store_begin(c->store, &tx);
        if (r)
            return r;
        r = hv_store_exists(c->store, tx, d->back);
        if (r > 0)
            r = -EEXIST;
        if (!r)
            r = write_back(c, tx, d, target);
        if (!r)
            r = write_front(c, tx, d);
        if (r) {
            hv_store_abort(c->store, tx);
            return r;
        }
        r = hv_store_commit(c->store, tx);
    } while (r == -EAGAIN);
    return r;
}

/* What the backend wrote into its error node, or nothing. */
static void read_error(struct ctl *c, const struct disk *d, char *buf, size_t cap)
{
    char path[160];

    snprintf(path, sizeof(path), "/local/domain/0/error/backend/%s/%u/%u/error", d->kind, d->domid,
             d->devid);
    if (hv_store_read(c->store, 0, path, buf, cap) <= 0)
        snprintf(buf, cap, "no error node; is blkbackd running with --hv loop:%s?", c->dir);
}

/* Removes the directory, and the one above it if it has become empty. */
static int remove_dir(struct ctl *c, hv_tx tx, const char *path)
{
    char up[96], **names;
    int r = hv_store_rm(c->store, tx, path);

    if (r)
        return r;
    snprintf(up, sizeof(up), "%s", path);
    *strrchr(up, '/') = '\0';
    int n = hv_store_list(c->store, tx, up, &names);
    if (n >= 0)
        free(names);
    return n == 0 ? hv_store_rm(c->store, tx, up) : 0;
}

static int remove_nodes(struct ctl *c, const struct disk *d)
{
    int r;

    do {
        hv_tx tx;

        r = hv_store_begin(c->store, &tx);
        if (r)
            return r;
        r = remove_dir(c, tx, d->back);
        if (!r)
            r = remove_dir(c, tx, d->front);
        if (r) {
            hv_store_abort(c->store, tx);
            return r;
        }
        r = hv_store_commit(c->store, tx);
    } while (r == -EAGAIN);
    return r;
}

/* The device is there; tell the backend. */
static enum ctl_status plug(struct ctl *c, const struct disk *d, const char *target)
{
    if (c->script)
        return script_run(c, d, c->script, "add");
    int r = put(c, 0, d->back, "physical-device-path", target);
    return r ? ctl_fail(CTL_FAILED, "cannot write physical-device-path: %s", strerror(-r)) : CTL_OK;
}

enum ctl_status disk_attach(struct ctl *c, const struct disk *d, const char *target)
{
    char path[128], why[512];
    int last, r = write_nodes(c, d, target);

    if (r == -EEXIST)
        return ctl_fail(CTL_BUSY, "domain %u has a disk %s already: detach it first", d->domid,
                        d->vdev);
    if (r)
        return ctl_fail(CTL_FAILED, "cannot write the disk's nodes: %s", strerror(-r));
    snprintf(path, sizeof(path), "%s/state", d->back);
    r = wait_state(c, path, STATE_INIT_WAIT, WAIT_STATE_MS, &last);
    if (!r) {
        enum ctl_status status = plug(c, d, target);

        if (status != CTL_OK)
            disk_detach(c, d, true);
        return status;
    }
    read_error(c, d, why, sizeof(why));
    remove_nodes(c, d);
    if (r != -ETIMEDOUT)
        return ctl_fail(CTL_FAILED, "cannot wait for the backend: %s", strerror(-r));
    return ctl_fail(CTL_TIMEOUT, "the backend of %s did not get ready in %u s (state %d): %s",
                    d->vdev, WAIT_STATE_MS / 1000, last, why);
}

/* ---- Detach ---- */

/* online=0 and state=5, unless the backend has ended already. 1: told, 0: nothing to wait for. */
static int tell_to_close(struct ctl *c, const struct disk *d)
{
    char path[128], state[8];
    int r;

    snprintf(path, sizeof(path), "%s/state", d->back);
    do {
        hv_tx tx;

        r = hv_store_begin(c->store, &tx);
        if (r)
            return r;
        int n = hv_store_read(c->store, tx, path, state, sizeof(state));
        if (n == -ENOENT || (n > 0 && !strcmp(state, "6"))) {
            hv_store_abort(c->store, tx);
            return 0;
        }
        r = put(c, tx, d->back, "online", "0");
        if (!r)
            r = put(c, tx, d->back, "state", "5");
        if (r) {
            hv_store_abort(c->store, tx);
            return r;
        }
        r = hv_store_commit(c->store, tx);
    } while (r == -EAGAIN);
    return r ? r : 1;
}

/* The script's "remove", if the script has been here at all. */
static void unplug(struct ctl *c, const struct disk *d)
{
    char path[128], script[256];

    snprintf(path, sizeof(path), "%s/hotplug-status", d->back);
    if (hv_store_exists(c->store, 0, path) != 1)
        return;
    snprintf(path, sizeof(path), "%s/script", d->back);
    if (hv_store_read(c->store, 0, path, script, sizeof(script)) > 0 && !access(script, X_OK))
        script_run(c, d, script, "remove");
}

enum ctl_status disk_detach(struct ctl *c, const struct disk *d, bool force)
{
    char path[128];
    int last = -1, r = hv_store_exists(c->store, 0, d->back);

    if (r == 0)
        return ctl_fail(CTL_NOT_FOUND, "domain %u has no disk %s (see blkback-loopctl list)",
                        d->domid, d->vdev);
    if (force && r > 0)
        r = hv_store_rm(c->store, 0, d->front) ? -EIO : 1;
    if (r > 0)
        r = tell_to_close(c, d);
    if (r < 0)
        return ctl_fail(CTL_FAILED, "cannot tell the backend of %s to close: %s", d->vdev,
                        strerror(-r));
    snprintf(path, sizeof(path), "%s/state", d->back);
    r = r ? wait_state(c, path, STATE_CLOSED, WAIT_STATE_MS, &last) : 0;
    if (r && last != -1 && !force)
        return ctl_fail(CTL_TIMEOUT,
                        "the backend of %s did not close in %u s (state %d): the guest may still "
                        "use it; --force takes it away",
                        d->vdev, WAIT_STATE_MS / 1000, last);
    unplug(c, d);
    int removed = remove_nodes(c, d);
    if (removed)
        return ctl_fail(CTL_FAILED, "cannot remove the nodes of %s: %s", d->vdev,
                        strerror(-removed));
    if (r && last != -1)
        return ctl_fail(CTL_TIMEOUT,
                        "the backend of %s did not close in %u s (state %d); its nodes are removed "
                        "all the same",
                        d->vdev, WAIT_STATE_MS / 1000, last);
    return CTL_OK;
}
