/* SPDX-License-Identifier: MIT
 *
 * A disk's state machine: the table of blkif/state.h, and what each of its actions does here.
 * Every path may be taken again before it has finished: each looks at what is and takes the next
 * step. Threads: the daemon's.
 */
#include "daemon/vbd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A write that finds the directory gone: nothing is written from now on. */
static void noted(struct vbd *v, int err)
{
    if (err == -ENOENT)
        v->gone = true;
    else if (err)
        log_warn("%s: cannot write to xenstore: %s", v->dev.label, strerror(-err));
    if (v->gone)
        bus_mark(&v->dev);
}

static void switch_to(struct vbd *v, enum xenbus_state state)
{
    noted(v, xb_switch_state(&v->dev, state));
}

void vbd_give_up(struct vbd *v, int err, const char *fmt, ...)
{
    char text[ERRMSG_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    v->dropped = true;
    v->dropped_with = v->dev.otherend_state;
    if (!v->gone)
        xb_fatal(&v->dev, err, "%s", text);
    bus_mark(&v->dev);
}

static void do_nothing(struct vbd *v)
{
}

/* A fresh start: whatever was connected is dropped, the limits are said, the old error is over. */
static void do_initwait(struct vbd *v)
{
    if (!vbd_idle(v))
        return;
    v->dropped = false;
    loop_remove(v->retry);
    v->retry = NULL;
    xb_error_clear(&v->dev);
    v->limits_said = true;
    noted(v, vbd_publish_limits(v));
}

static void do_connect(struct vbd *v)
{
    v->dropped = false;
    vbd_serve(v);
}

static void do_closing(struct vbd *v)
{
    switch_to(v, XB_CLOSING);
}

/* For good: the worker first, so that whoever sees Closed finds the storage closed too. */
static void leave(struct vbd *v)
{
    if (!vbd_stopped(v)) {
        if (v->dev.state == XB_CONNECTED)
            switch_to(v, XB_CLOSING);
        return;
    }
    switch_to(v, XB_CLOSED);
    xb_error_clear(&v->dev); /* the log keeps it */
    v->dev.finished = true;
}

static void do_close(struct vbd *v)
{
    if (!v->online) {
        leave(v);
        return;
    }
    if (!vbd_idle(v)) {
        if (v->dev.state == XB_CONNECTED)
            switch_to(v, XB_CLOSING);
        return;
    }
    switch_to(v, XB_CLOSED);
}

static void do_fatal(struct vbd *v)
{
    if (v->dev.otherend_state < XB_STATES)
        vbd_give_up(v, -EPROTO, "the frontend went to %s while this end was %s",
                    state_name(v->dev.otherend_state), state_name(v->dev.state));
    else
        vbd_give_up(v, -EINVAL, "the frontend's state is not a state");
}

static void (*const do_action[])(struct vbd *v) = {
    [ACT_NONE] = do_nothing,    [ACT_INITWAIT] = do_initwait, [ACT_CONNECT] = do_connect,
    [ACT_CLOSING] = do_closing, [ACT_CLOSE] = do_close,       [ACT_GONE] = leave,
    [ACT_FATAL] = do_fatal,
};

/* The toolstack has written our state (5, to detach), or replaced the directory (1). */
static void take_stored(struct vbd *v, enum xenbus_state stored)
{
    if (stored == v->dev.state)
        return;
    if (stored == XB_INITIALISING) {
        v->reborn = true;
    } else if (stored == XB_CLOSING && v->dev.state != XB_CLOSED) {
        log_info("%s: the toolstack asks to close it", v->dev.label);
        v->dev.state = XB_CLOSING;
    }
}

static bool serving(const struct vbd *v)
{
    return v->phase == PHASE_CONNECTING || v->phase == PHASE_CONNECTED ||
           v->phase == PHASE_DISCONNECTING;
}

/* The table's answer, with what the table cannot know. */
static enum state_action decide(struct vbd *v, enum xenbus_state theirs)
{
    enum state_action action = state_action(v->dev.state, theirs);
    bool closing = v->dev.state == XB_CLOSING || v->dev.state == XB_CLOSED;

    /* Being detached: it does not come back, and a guest that uses no ring is not waited for. */
    if (closing && !v->online && action != ACT_GONE) {
        bool in_use = serving(v) && (theirs == XB_CONNECTED || theirs == XB_CLOSING);
        return in_use ? ACT_NONE : ACT_CLOSE;
    }
    /* We gave up on it: the same state that the frontend was in then is no fresh start. */
    if (v->dropped && theirs == v->dropped_with && action != ACT_GONE && action != ACT_CLOSE)
        return ACT_NONE;
    v->dropped_with = XB_STATES + 1u; /* seen to move */
    return action;
}

static void read_online(struct vbd *v)
{
    char text[8];
    int n = xb_read(&v->dev, "online", text, sizeof(text));

    if (n >= 0 || n == -ENOENT || n == -EMSGSIZE)
        v->online = n == 1 && text[0] == '1';
}

/* Once in InitWait the storage is opened as soon as it has a name; a disk whose guest kept running
 * while we were away is connected again without a word in the store. */
static void go_on(struct vbd *v, enum xenbus_state theirs)
{
    if (v->dev.finished || v->gone || v->dropped)
        return;
    if (v->dev.state == XB_INITWAIT && !v->limits_said) {
        v->limits_said = true; /* the kernel's driver, now unbound, may have said others */
        noted(v, vbd_publish_limits(v));
    }
    if (v->dev.state == XB_INITWAIT && !v->storage_said && v->phase >= PHASE_READY &&
        v->phase <= PHASE_CONNECTED) {
        v->storage_said = true;
        noted(v, vbd_publish_storage(v));
    }
    if (v->dev.state == XB_INITWAIT)
        vbd_open_storage(v);
    else if (v->dev.state == XB_CONNECTED && v->phase != PHASE_CONNECTED &&
             (theirs == XB_INITIALISED || theirs == XB_CONNECTED))
        vbd_serve(v);
}

static void begin_anew(struct vbd *v)
{
    if (!vbd_stopped(v))
        return;
    log_info("%s: its directory was replaced", v->dev.label);
    xb_error_clear(&v->dev);
    v->dev.finished = true; /* the bus finds the new directory again */
}

void vbd_changed(struct xb_device *dev, enum xenbus_state stored, enum xenbus_state theirs)
{
    struct vbd *v = vbd_of(dev);

    if (v->daemon->stopping)
        return;
    if (v->gone || v->reborn) {
        begin_anew(v);
        return;
    }
    take_stored(v, stored);
    if (v->reborn) {
        begin_anew(v);
        return;
    }
    if (v->failure) {
        int err = v->failure;
        v->failure = 0;
        vbd_give_up(v, err, "%s", v->failure_text.text);
        /* What failed was asked for then; a frontend that died meanwhile and begins anew is heard.
         */
        if (v->failed_connecting)
            v->dropped_with = v->connect_with;
    }
    read_online(v);
    do_action[decide(v, theirs)](v);
    if (v->dropped && !v->dev.finished)
        vbd_stopped(v);
    go_on(v, theirs);
}

void vbd_removed(struct xb_device *dev)
{
    struct vbd *v = vbd_of(dev);

    v->gone = true;
    if (!vbd_stopped(v))
        return;
    xb_error_clear(dev);
    dev->finished = true;
}
