/* SPDX-License-Identifier: MIT
 *
 * One worker process (blkbackd-vbd) as the daemon sees it: started, spoken to (base/vbdmsg.h),
 * watched, ended. Everything is asynchronous; what happened is told by events.
 *
 * What a worker says is checked: it has touched guest memory. A worker that breaks the exchange is
 * killed.
 *
 * Threads: the loop's.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/vbdmsg.h"

/* How a worker is started, and for how long it is waited for before it is killed. */
struct worker_rules {
    const char *program;
    const char *name;   /* of the disk, \"3:xvda\" */
    uint64_t answer_ms; /* for READY and CONNECTED */
    uint64_t finish_ms; /* for DISCONNECTED and the exit: its I/O in flight has to end */
};

struct worker;

enum worker_event_type {
    WORKER_READY,
    WORKER_CONNECTED,
    WORKER_DISCONNECTED,
    WORKER_REFUSED, /* VBD_FAILED as the answer to SETUP or CONNECT; err and text */
    WORKER_HALTED,  /* ring and reason; text */
    WORKER_EXITED,  /* the last event: the process is gone; text: how. Then worker_free(). */
};

struct worker_event {
    enum worker_event_type type;
    int err;
    uint32_t ring, reason;
    struct errmsg text; /* printable */
};

typedef void worker_event_cb(void *owner, const struct worker_event *event);

/* Starts rules->program with its socket as descriptor VBD_SOCKET_FD, in a process group of its own.
 */
int worker_start(struct loop *loop, const struct worker_rules *rules, worker_event_cb *cb,
                 void *owner, struct worker **out, struct errmsg *err);
pid_t worker_pid(const struct worker *worker);

/* One exchange at a time. A negative answer means that the worker cannot be spoken to; it has been
 * killed and WORKER_EXITED follows. fds stay the caller's. */
int worker_setup(struct worker *worker, struct vbd_setup *setup, const int *fds, size_t nfds);
int worker_connect(struct worker *worker, const struct vbd_connect *connect);
int worker_disconnect(struct worker *worker);

/* Asks it to finish and exit, at any time; WORKER_EXITED follows, no other event does. Killed if
 * it takes longer than finish_ms. */
void worker_quit(struct worker *worker);

/* After WORKER_EXITED, from its callback on. */
void worker_free(struct worker *worker);

#endif
