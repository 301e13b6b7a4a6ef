/* SPDX-License-Identifier: MIT
 *
 * One ring of one disk: its thread, its io_uring, its grants. The stages of a request are the files
 * of this folder, in the order consume, grants, submit, complete, respond; schedule.c is the loop.
 *
 * Threads: ring_start(), ring_stop() and ring_destroy() belong to the worker's control thread; all
 * else happens on the ring's own thread.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/stats.h"
#include "blkif/check.h"
#include "blkif/layout.h"
#include "engine/engine.h"
#include "hv/hv.h"
#include "ring/gate.h"

/* Why a ring was stopped for good (HALT: no answer, no busy loop, until disconnect). */
enum ring_halt {
    RING_RUNNING = 0,
    RING_HALT_OVERFLOW = 1, /* the guest's req_prod is impossible (CVE-2010-4247) */
    RING_HALT_IO = 2,       /* our own io_uring or event channel failed */
};

struct ring_config {
    char thread_name[16]; /* "<domid>.<dev>-<n>", as the kernel driver's threads */
    uint32_t index;       /* of this ring in its disk */
    uint32_t domid;       /* the guest */
    struct hv *hv;
    uint32_t port;    /* the frontend's event channel */
    uint32_t nr_refs; /* pages of the ring: 1, 2, 4, 8, 16 */
    uint32_t refs[BLKIF_RING_PAGES_MAX];
    enum blkif_abi abi;
    bool persistent;               /* latched at connect: both sides said 1 */
    uint32_t persistent_max;       /* grants kept mapped; further ones are copied */
    uint32_t persistent_unused_ms; /* unmapped when not used for so long; 0: never */
    struct blkif_limits limits;
    struct engine *engine;    /* shared by the disk's rings; outlives them */
    struct ring_gate *gate;   /* shared by the disk's rings; outlives them */
    struct stats_ring *stats; /* this ring's row */
    /* Written to (8 bytes) when the ring halts or comes to rest; the control thread's eventfd. */
    int event_fd;
};

struct ring;

/* Maps the ring's pages, binds the port, opens the engine's channel and starts the thread. On
 * failure everything is undone and err says why. */
int ring_start(const struct ring_config *config, struct ring **out, struct errmsg *err);

/* Asks the thread to take no further request, to finish and answer those taken, and to end. Returns
 * at once; ring_destroy() waits. */
void ring_stop(struct ring *ring);

/* Pause: takes no further request; those taken are finished and answered. event_fd tells when
 * ring_resting() may have become true. Requests wait in the ring meanwhile; none is lost. */
void ring_pause(struct ring *ring, bool on);
bool ring_resting(const struct ring *ring);

/* The disk has another size now, in 512-byte sectors; requests taken from now on are held to it. */
void ring_resize(struct ring *ring, uint64_t sectors);

/* Waits for the thread, unmaps every grant, unbinds the port. */
void ring_destroy(struct ring *ring);

#endif
