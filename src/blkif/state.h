/* SPDX-License-Identifier: MIT
 *
 * The backend's state machine as data: what to do for each pair of (our xenbus state, the
 * frontend's). Pure. Source: xen/io/xenbus.h for the states; the behaviour of Linux's
 * xen-blkback/xenbus.c frontend_changed() and PROTOCOL's edges for the actions.
 */
#ifndef BLKIF_STATE_H
#define BLKIF_STATE_H

#include <stdbool.h>

enum xenbus_state {
    XB_UNKNOWN = 0, /* node absent or gone */
    XB_INITIALISING = 1,
    XB_INITWAIT = 2,
    XB_INITIALISED = 3,
    XB_CONNECTED = 4,
    XB_CLOSING = 5,
    XB_CLOSED = 6,
    XB_RECONFIGURING = 7,
    XB_RECONFIGURED = 8,
    XB_STATES = 9,
};

enum state_action {
    ACT_NONE,     /* nothing to do */
    ACT_INITWAIT, /* drop an old connection if there is one, (re)publish the transport limits and go
                     to InitWait: first probe, or a guest that began anew (kexec) */
    ACT_CONNECT,  /* drop an old connection if there is one, read the frontend's nodes, connect the
                     rings; waits in place if the storage is not there yet */
    ACT_CLOSING,  /* go to Closing: stop taking requests, finish those taken */
    ACT_CLOSE,    /* disconnect, go to Closed; forget the device if it is not online */
    ACT_GONE,  /* the frontend's directory is gone: disconnect, go to Closed, forget the device */
    ACT_FATAL, /* the frontend's state is not one it may be in: error node, then as CLOSING */
};

/* ours and theirs are checked: out of range is ACT_FATAL.
 *
 * Ask when theirs, ours (the toolstack may write it) or `online` has changed. ACT_INITWAIT from
 * Closing is for a change of theirs with online=1 only: a disk we gave up while the frontend waited
 * in Initialising stays in Closing. Every action may come again: a state that is there already is
 * not written again, or our own watch would never rest. */
enum state_action state_action(enum xenbus_state ours, enum xenbus_state theirs);

/* "Connected"; "state 42?" is never needed: out of range gives "invalid". */
const char *state_name(enum xenbus_state s);
const char *state_action_name(enum state_action a);

/* Reads a state node's text: a decimal number 0..8, nothing else (no sign, space, leading zero or
 * trailing byte). False if it is not one; *out is untouched then. */
bool state_parse(const char *text, enum xenbus_state *out);

#endif
