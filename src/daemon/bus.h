/* SPDX-License-Identifier: MIT
 *
 * The xenbus of this daemon: finds backend directories backend/<kind>/<domid>/<devid>, matches them
 * to a driver, and tells the driver that something about a device has changed.
 *
 * Watches are levels, not edges: an event only marks its device, and a marked device is looked at
 * once, by reading the store again, however many events there were. There is one watch for each
 * kind and one for each frontend's state; nothing a guest can do makes a list grow.
 *
 * Paths are relative to this domain's own directory, as the kernel's xenbus has them.
 *
 * Threads: the daemon's only one. Errors: negative errno; -ENOENT from the functions that write
 * means that the backend directory is gone and nothing was written.
 */
#ifndef DAEMON_BUS_H
#define DAEMON_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "blkif/state.h"
#include "daemon/config.h"
#include "hv/store.h"

#define XB_NODENAME_MAX  64  /* "backend/<kind>/<domid>/<devid>" */
#define XB_OTHEREND_MAX  128 /* the frontend's directory */
#define XB_LABEL_MAX     40  /* "3:xvda" */
#define XB_PATH_MAX      256 /* one of the above and a node's name */
#define BUS_HASH         1024
#define BUS_PENDING_MAX  256    /* directories to be looked at; more: the kinds are listed again */
#define BUS_DRAIN_MAX    4096   /* events taken before devices are looked at */
#define BUS_TX_TRIES     64     /* a transaction that conflicts is tried again */
#define BUS_TICK_MS      10000u /* every device is looked at that often without an event */
#define BUS_RECONNECT_MS 1000u

struct bus;
struct xb_device;

/* Where a device is: its kind (index into bus->kinds), the frontend's domain, its number there. */
struct xb_id {
    unsigned kind;
    uint32_t domid, devid;
};

struct xb_driver {
    const char *name;
    const char *const *ids; /* kinds it serves, NULL-terminated */

    /* The directory dir was found; state is what its state node says. Decides whether it is this
     * driver's and makes the device, with its otherend and label. 0 with *out NULL: not ours. */
    int (*probe)(struct bus *bus, const struct xb_id *id, const char *dir, enum xenbus_state state,
                 struct xb_device **out);

    /* The backend directory is gone: stop without writing anything. May be called again until the
     * device says `finished`. */
    void (*remove)(struct xb_device *dev);

    /* Something at either end changed, or may have. stored: our state node. theirs: the
     * frontend's state, XB_UNKNOWN if it is absent, XB_STATES if it is not a state. */
    void (*otherend_changed)(struct xb_device *dev, enum xenbus_state stored,
                             enum xenbus_state theirs);

    /* The last look: frees the device, which is on no list any more. */
    void (*release)(struct xb_device *dev);
};

struct xb_device {
    struct bus *bus;
    const struct xb_driver *driver;
    struct xb_id id;
    uint32_t slot, generation;
    struct xb_device *hash_next, *dirty_next;
    bool dirty;
    bool finished; /* set by the driver: release at the end of this look */
    bool watching; /* the frontend's state is watched */
    enum xenbus_state state, otherend_state;
    uint64_t state_since_ms; /* of the pair of them */
    char nodename[XB_NODENAME_MAX];
    char otherend[XB_OTHEREND_MAX];
    char label[XB_LABEL_MAX]; /* printable */
    struct errmsg error;      /* as in the store's error node; "" when there is none */
    bool error_absent;        /* that node is known not to be there */
    struct log_limit log_state, log_error;
};

struct bus {
    struct loop *loop;
    const struct daemon_config *config;
    struct hv_store *store; /* NULL while the connection is lost */
    const struct xb_driver *driver;
    void *owner; /* the driver's */
    struct xb_device *slots[CONFIG_DISKS_MAX];
    unsigned nr_devices;
    uint32_t next_generation;
    struct xb_device *hash[BUS_HASH];
    struct xb_device *dirty_head, **dirty_tail;
    struct xb_id pending[BUS_PENDING_MAX];
    unsigned nr_pending;
    bool scan[CONFIG_KINDS_MAX];       /* list this kind again */
    bool scan_adopt[CONFIG_KINDS_MAX]; /* ... and take over devices that are under way */
    struct loop_source *fd_source, *tick, *again;
    uint64_t events; /* watch events taken, ever */
    uint64_t looks;  /* devices looked at, ever */
};

/* store is taken over. Registers driver for every configured kind and looks at what is there.
 * -ENOTSUP with err set: no driver serves a configured kind. */
int bus_start(struct bus *bus, struct loop *loop, const struct daemon_config *config,
              struct hv_store *store, const struct xb_driver *driver, void *owner,
              struct errmsg *err);
/* No more events, no more looks. Devices stay. */
void bus_quiesce(struct bus *bus);
/* Releases what is left and closes the store. */
void bus_stop(struct bus *bus);

void bus_mark(struct xb_device *dev);
struct xb_device *bus_find(const struct bus *bus, const struct xb_id *id);

/* Used between bus.c, scan.c and watch.c. */
int bus_watch_roots(struct bus *bus);
void bus_drain(struct bus *bus);
void bus_work(
    struct bus *bus); /* scans, probes, looks; until nothing is left or it has been long */
void bus_scan(struct bus *bus);
void bus_schedule(struct bus *bus);
void bus_store_lost(struct bus *bus);
int xb_watch_otherend(struct xb_device *dev);
void bus_delist(struct bus *bus, struct xb_device *dev);

/* ---- watch.c ----------------------------------------------------------------------------------
 */

/* Watches the formatted path for dev. On error the device goes to Closing and the error is saved in
 * the store. One watch for each device: what it fires for is its frontend. */
int xb_watch_pathfmt(struct xb_device *dev, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void xb_unwatch(struct xb_device *dev);

/* ---- xenbus.c ---------------------------------------------------------------------------------
 */

/* Read <dir>/<leaf>: as hv_store_read(). */
int bus_read(struct bus *bus, const char *dir, const char *leaf, char *buf, size_t cap);
int xb_read(struct xb_device *dev, const char *leaf, char *buf, size_t cap);
int xb_read_otherend(struct xb_device *dev, const char *leaf, char *buf, size_t cap);

/* XB_UNKNOWN if absent, XB_STATES if it is not a state; negative when it could not be read. */
int xb_read_state(struct bus *bus, const char *dir, enum xenbus_state *out);

/* Writes nodes and then our state in one transaction, only if the directory is still there, and
 * again as often as it conflicts. write may be NULL; state is not written when it is what it was.
 */
typedef int xb_write_fn(struct xb_device *dev, hv_tx tx, void *arg);
int xb_update(struct xb_device *dev, xb_write_fn *write, void *arg, enum xenbus_state state);
int xb_switch_state(struct xb_device *dev, enum xenbus_state state);
int xb_write(struct xb_device *dev, hv_tx tx, const char *leaf, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Saves "<errno> text" in error/<backend directory>/error, and logs it. err: negative errno. */
void xb_error(struct xb_device *dev, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As xb_error(), and our state becomes Closing. */
void xb_fatal(struct xb_device *dev, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The error is over: removes it from the store. */
void xb_error_clear(struct xb_device *dev);

#endif
