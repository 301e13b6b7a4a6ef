/* SPDX-License-Identifier: MIT
 *
 * daemon/worker.h without a process: writes down what the daemon asks, and answers when the test
 * lets it. Threads: one.
 */
#ifndef TESTS_DAEMON_FAKE_WORKER_H
#define TESTS_DAEMON_FAKE_WORKER_H

#include <stdbool.h>

#include "daemon/worker.h"

struct fake_workers {
    /* What to do; reset by fake_workers_reset(). */
    bool silent;     /* answer nothing */
    int refuse;      /* answer the next SETUP or CONNECT with VBD_FAILED: negative errno */
    bool cannot_run; /* worker_start() fails */
    /* What was asked, in all. */
    unsigned started, setups, connects, disconnects, quits;
    unsigned living;
    struct vbd_setup setup;     /* the last */
    struct vbd_connect connect; /* the last */
};

extern struct fake_workers fake_workers;

void fake_workers_reset(void);
/* Delivers what is due, one event; false when there was none. */
bool fake_workers_deliver(void);
/* Every living worker dies; the events are delivered as above. */
void fake_workers_die(void);
/* Answers what was left unanswered while `silent`. */
void fake_workers_speak(void);

#endif
