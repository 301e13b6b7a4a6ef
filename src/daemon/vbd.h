/* SPDX-License-Identifier: MIT
 *
 * One virtual disk: the driver's side of a bus device, its storage and its worker.
 *
 * What is to be done is worked out from levels each time something may have changed: what the store
 * says, what the worker's phase is, whether the storage is open. One step is taken, and the event
 * that ends it brings the next look.
 *
 * Threads: the daemon's.
 */
#ifndef DAEMON_VBD_H
#define DAEMON_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stats.h"
#include "blkif/layout.h"
#include "daemon/bus.h"
#include "daemon/daemon.h"
#include "daemon/storage.h"
#include "daemon/worker.h"
#include "engine/engine.h"

#define VBD_RETRY_MS 5000u /* a disk of a running guest whose storage does not open: try again */

enum vbd_phase {
    PHASE_NONE,          /* no worker */
    PHASE_STARTING,      /* VBD_SETUP sent */
    PHASE_READY,         /* no ring connected */
    PHASE_CONNECTING,    /* VBD_CONNECT sent */
    PHASE_CONNECTED,     /* serving */
    PHASE_DISCONNECTING, /* VBD_DISCONNECT sent */
    PHASE_QUITTING,      /* told to go, or dead; its exit is awaited */
};

struct vbd {
    struct xb_device dev; /* first: the bus knows only this */
    struct daemon *daemon;
    struct worker *worker;
    enum vbd_phase phase;
    uint64_t phase_since_ms;

    bool gone;                      /* the backend directory is no more: write nothing */
    bool reborn;                    /* ... or was replaced by a new one: begin anew */
    bool dropped;                   /* we gave up: serve nothing until the frontend starts again */
    enum xenbus_state dropped_with; /* what the frontend's state was then */
    bool limits_said;               /* since we have it */
    bool online;                    /* as last read: false when the toolstack wants it gone */
    bool storage_said;              /* the node storage=open was written for this worker */
    bool no_target;                 /* as last read: nothing names the storage yet */
    enum xenbus_state connect_with; /* the frontend's state when VBD_CONNECT was sent */
    bool failed_connecting;         /* the failure below is the answer to that */
    int failure;                    /* of the worker, not yet dealt with: negative errno */
    struct errmsg failure_text;
    struct loop_source *retry;
    int old_pidfd; /* of the worker of a daemon before this one, still finishing; -1: none */
    pid_t old_pid;
    struct loop_source *old_source;

    char vdev[VBD_NAME_MAX]; /* "xvda"; printable */
    char domain[64];         /* the guest's name, printable, or "" */
    bool cdrom, removable, discard_wanted;

    struct storage_choice choice; /* valid from the first try to open */
    bool storage_known;           /* info is that of the open storage */
    char engine[ENGINE_NAME_MAX];
    struct engine_info info;

    struct stats_page *stats; /* NULL before the first worker */
    int stats_fd;

    enum blkif_abi abi; /* these four: of the present or last connection */
    bool persistent;
    uint32_t nr_rings, ring_pages;
    uint64_t halted; /* rings stopped for good, one bit each */
    struct errmsg halt_text;
};

extern const struct xb_driver vbd_driver;

static inline struct vbd *vbd_of(struct xb_device *dev)
{
    return (struct vbd *)dev;
}

/* ---- fsm.c ------------------------------------------------------------------------------------
 */
void vbd_changed(struct xb_device *dev, enum xenbus_state stored, enum xenbus_state theirs);
void vbd_removed(struct xb_device *dev);
/* err: negative errno. The device goes to Closing, its error is saved, its rings are dropped. */
void vbd_give_up(struct vbd *v, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- serve.c: towards a running ring; each call takes the next step there -----------------------
 */
void vbd_open_storage(struct vbd *v);
void vbd_serve(struct vbd *v);

/* ---- attach.c: the worker ----------------------------------------------------------------------
 */
void vbd_set_phase(struct vbd *v, enum vbd_phase phase);
int vbd_start_worker(struct vbd *v, struct engine_desc *desc, struct errmsg *err);
/* True while an earlier daemon's worker still has the disk; its end brings the next look. */
bool vbd_wait_for_old(struct vbd *v);
/* True when no ring is connected; otherwise the next step there has been taken. */
bool vbd_idle(struct vbd *v);
/* True when there is no worker; otherwise it has been told to go. */
bool vbd_stopped(struct vbd *v);

/* ---- publish.c ---------------------------------------------------------------------------------
 */

/* The transport limits, and InitWait. */
int vbd_publish_limits(struct vbd *v);
/* storage=open: the word that the hotplug script waits for. */
int vbd_publish_storage(struct vbd *v);
/* The device's properties, and Connected. */
int vbd_publish_device(struct vbd *v);
/* The `info` node's bits. */
uint32_t vbd_info_bits(const struct vbd *v);

/* ---- waits.c -----------------------------------------------------------------------------------
 */

/* One word for people: "waiting", "connected", "closing", "closed", "failed". */
const char *vbd_state_word(const struct vbd *v);
/* What the disk waits for, as a line for people; false when it waits for nothing. */
bool vbd_waits_for(const struct vbd *v, struct errmsg *out);

const char *vbd_phase_name(enum vbd_phase phase);

#endif
