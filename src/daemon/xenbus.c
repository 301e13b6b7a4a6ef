/* SPDX-License-Identifier: MIT
 *
 * A device's nodes in the store: reading, switching state, saving errors. Nothing here writes into
 * a backend directory that is gone, since a write would bring it back. Threads: the daemon's.
 */
#include "daemon/bus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/text.h"

static int read_node(struct bus *bus, hv_tx tx, const char *dir, const char *leaf, char *buf,
                     size_t cap)
{
    char path[XB_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, leaf);

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    return bus->store ? hv_store_read(bus->store, tx, path, buf, cap) : -ENOTCONN;
}

int bus_read(struct bus *bus, const char *dir, const char *leaf, char *buf, size_t cap)
{
    return read_node(bus, 0, dir, leaf, buf, cap);
}

int xb_read(struct xb_device *dev, const char *leaf, char *buf, size_t cap)
{
    return read_node(dev->bus, 0, dev->nodename, leaf, buf, cap);
}

int xb_read_otherend(struct xb_device *dev, const char *leaf, char *buf, size_t cap)
{
    return read_node(dev->bus, 0, dev->otherend, leaf, buf, cap);
}

int xb_read_state(struct bus *bus, const char *dir, enum xenbus_state *out)
{
    char text[16];
    int n = read_node(bus, 0, dir, "state", text, sizeof(text));

    if (n == -ENOENT)
        *out = XB_UNKNOWN;
    else if (n == -EMSGSIZE || n == -EILSEQ || n == -EACCES)
        *out = XB_STATES;
    else if (n < 0)
        return n;
    else if (!state_parse(text, out))
        *out = XB_STATES;
    return 0;
}

int xb_write(struct xb_device *dev, hv_tx tx, const char *leaf, const char *fmt, ...)
{
    char path[XB_PATH_MAX], value[64];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        return -EMSGSIZE;
    n = snprintf(path, sizeof(path), "%s/%s", dev->nodename, leaf);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    return dev->bus->store ? hv_store_write(dev->bus->store, tx, path, value) : -ENOTCONN;
}

static void set_state(struct xb_device *dev, enum xenbus_state state)
{
    if (log_limit_ok(&dev->log_state))
        log_info("%s: %s -> %s (frontend %s)", dev->label, state_name(dev->state),
                 state_name(state), state_name(dev->otherend_state));
    dev->state = state;
    dev->state_since_ms = loop_now_ms();
}

static int update_once(struct xb_device *dev, xb_write_fn *write, void *arg,
                       enum xenbus_state state)
{
    struct hv_store *store = dev->bus->store;
    char text[16];
    hv_tx tx;
    int err = hv_store_begin(store, &tx);

    if (err)
        return err;
    /* Reading the node makes its removal a conflict with this transaction. */
    err = read_node(dev->bus, tx, dev->nodename, "state", text, sizeof(text));
    err = err == -ENOENT ? err : 0;
    if (!err && write)
        err = write(dev, tx, arg);
    if (!err && state != dev->state)
        err = xb_write(dev, tx, "state", "%d", (int)state);
    if (err) {
        hv_store_abort(store, tx);
        return err;
    }
    return hv_store_commit(store, tx);
}

int xb_update(struct xb_device *dev, xb_write_fn *write, void *arg, enum xenbus_state state)
{
    int err = -EAGAIN;

    if (!dev->bus->store)
        return -ENOTCONN;
    if (!write && state == dev->state)
        return 0;
    for (int i = 0; i < BUS_TX_TRIES && err == -EAGAIN; i++)
        err = update_once(dev, write, arg, state);
    if (err)
        return err;
    if (state != dev->state)
        set_state(dev, state);
    return 0;
}

int xb_switch_state(struct xb_device *dev, enum xenbus_state state)
{
    return xb_update(dev, NULL, NULL, state);
}

static void save_error(struct xb_device *dev, int err, const char *text)
{
    char path[XB_PATH_MAX];

    snprintf(path, sizeof(path), "error/%s/error", dev->nodename);
    if (strcmp(dev->error.text, text) == 0)
        return;
    text_copy(dev->error.text, sizeof(dev->error.text), text);
    dev->error_absent = false;
    if (log_limit_ok(&dev->log_error))
        log_error("%s: %s", dev->label, dev->error.text);
    if (dev->bus->store)
        hv_store_printf(dev->bus->store, 0, path, "%d %s", err < 0 ? -err : err, dev->error.text);
}

__attribute__((format(printf, 3, 0))) static void verror(struct xb_device *dev, int err,
                                                         const char *fmt, va_list ap)
{
    char text[ERRMSG_MAX];

    vsnprintf(text, sizeof(text), fmt, ap);
    text_printable(text);
    save_error(dev, err, text);
}

void xb_error(struct xb_device *dev, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    verror(dev, err, fmt, ap);
    va_end(ap);
}

void xb_fatal(struct xb_device *dev, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    verror(dev, err, fmt, ap);
    va_end(ap);
    if (dev->state != XB_CLOSING && dev->state != XB_CLOSED)
        xb_switch_state(dev, XB_CLOSING);
}

/* Removes error/<dir> and then each parent that has become empty, up to error/backend. */
void xb_error_clear(struct xb_device *dev)
{
    char path[XB_PATH_MAX];

    if (dev->error_absent || !dev->bus->store)
        return;
    dev->error_absent = true;
    dev->error.text[0] = '\0';
    snprintf(path, sizeof(path), "error/%s", dev->nodename);
    hv_store_rm(dev->bus->store, 0, path);
    for (int up = 0; up < 2; up++) {
        char **names = NULL;

        *strrchr(path, '/') = '\0';
        int n = hv_store_list(dev->bus->store, 0, path, &names);
        free(names);
        if (n != 0)
            return;
        hv_store_rm(dev->bus->store, 0, path);
    }
}
