/* SPDX-License-Identifier: MIT
 *
 * A worker: one disk, one process. It owns the descriptors the daemon gave it and what the messages
 * of base/vbdmsg.h say, nothing else; it reads no path and no xenstore.
 *
 * Threads: the control thread runs everything here; each ring has a thread of its own.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/loop.h"
#include "base/stats.h"
#include "base/vbdmsg.h"
#include "engine/engine.h"
#include "hv/hv.h"
#include "ring/ring.h"

struct worker {
    struct loop *loop;
    int sock;
    int event_fd; /* the rings write here when they halt or come to rest */
    struct vbd_setup setup;
    struct stats_page *stats;
    struct hv *hv;
    struct engine_info info;
    struct engine *engine;
    uint32_t nr_rings;
    struct ring *rings[VBD_RINGS_MAX];
    struct ring_gate *gate;
    bool halt_told[VBD_RINGS_MAX];
    bool pausing; /* VBD_PAUSE has not been answered yet */
};

/* control.c: one message from the daemon; false when the worker should end. */
bool control_receive(struct worker *w);
/* control.c: a ring has halted or come to rest: tells the daemon what it should know. */
void control_rings_changed(struct worker *w);

/* vbd.c: what the messages ask for. 0 or a negative errno with the reason in err. */
int vbd_setup_disk(struct worker *w, const struct vbd_setup *setup, const int *fds, size_t nfds,
                   struct errmsg *err);
int vbd_connect_rings(struct worker *w, const struct vbd_connect *msg, struct errmsg *err);
/* Finishes and answers what was taken, unmaps, unbinds. Nothing to do is fine. */
void vbd_disconnect_rings(struct worker *w);
/* After a disconnect: everything else that setup made. */
void vbd_release(struct worker *w);

#endif
