/* SPDX-License-Identifier: MIT
 *
 * A disk's situation in words. Threads: the daemon's.
 */
#include "daemon/vbd.h"

static const char *const phase_names[] = {
    [PHASE_NONE] = "none",           [PHASE_STARTING] = "starting",
    [PHASE_READY] = "ready",         [PHASE_CONNECTING] = "connecting",
    [PHASE_CONNECTED] = "connected", [PHASE_DISCONNECTING] = "disconnecting",
    [PHASE_QUITTING] = "ending",
};

const char *vbd_phase_name(enum vbd_phase phase)
{
    return phase_names[phase];
}

const char *vbd_state_word(const struct vbd *v)
{
    if (v->dropped)
        return "failed";
    if (v->gone)
        return "closing";
    switch (v->dev.state) {
    case XB_CONNECTED:
        return v->phase == PHASE_CONNECTED ? "connected" : "reattaching";
    case XB_CLOSING:
        return "closing";
    case XB_CLOSED:
        return "closed";
    default:
        return "waiting";
    }
}

static unsigned long long seconds_since(uint64_t then_ms)
{
    return (unsigned long long)((loop_now_ms() - then_ms) / 1000);
}

static bool waits_for_worker(const struct vbd *v, struct errmsg *out)
{
    unsigned long long s = seconds_since(v->phase_since_ms);
    int pid = v->worker ? (int)worker_pid(v->worker) : 0;

    switch (v->phase) {
    case PHASE_STARTING:
        errmsg_set(out, 0, "its worker process %d to open the storage (%llu s)", pid, s);
        return true;
    case PHASE_CONNECTING:
        errmsg_set(out, 0, "its worker process %d to connect the rings (%llu s)", pid, s);
        return true;
    case PHASE_DISCONNECTING:
    case PHASE_QUITTING:
        errmsg_set(out, 0, "its worker process %d to finish the I/O in flight (%llu s)", pid, s);
        return true;
    default:
        return false;
    }
}

static bool waits_for_guest(const struct vbd *v, struct errmsg *out)
{
    int theirs = (int)v->dev.otherend_state;
    unsigned long long s = seconds_since(v->dev.state_since_ms);

    if (v->dev.state == XB_CLOSING && !v->dropped) {
        errmsg_set(out, 0,
                   "the guest to let go of the disk (frontend state %d, %llu s); unmount it "
                   "there, or detach with force",
                   theirs, s);
        return true;
    }
    if (v->dev.state != XB_INITWAIT && v->dev.state != XB_INITIALISING)
        return false;
    if (v->no_target)
        errmsg_set(out, 0, "the hotplug script to name its storage (%llu s)", s);
    else if (theirs == XB_INITIALISING)
        errmsg_set(out, 0,
                   "the guest: it has not loaded its disk driver yet (frontend state 1, %llu s)",
                   s);
    else
        errmsg_set(out, 0, "the guest (frontend state %d, %llu s)", theirs, s);
    return true;
}

bool vbd_waits_for(const struct vbd *v, struct errmsg *out)
{
    if (waits_for_worker(v, out))
        return true;
    if (v->old_source) {
        errmsg_set(out, 0, "process %d, a worker of an earlier daemon, to finish its I/O",
                   (int)v->old_pid);
        return true;
    }
    if (v->retry) {
        errmsg_set(out, 0, "its storage to open again; the guest's I/O waits");
        return true;
    }
    return waits_for_guest(v, out);
}
