/* SPDX-License-Identifier: MIT
 *
 * A daemon inside the test: the real bus, state machine and reports over a store and workers that
 * the test holds. The rig plays the toolstack and the guest. Threads: one.
 */
#ifndef TESTS_DAEMON_RIG_H
#define TESTS_DAEMON_RIG_H

#include "check.h"

#include "daemon/vbd.h"
#include "fake_store.h"
#include "fake_worker.h"

#define RIG_BACK  "backend/vbd/3/51712"
#define RIG_FRONT "/local/domain/3/device/vbd/51712"
#define RIG_DEVID 51712

extern struct daemon rig;

/* A store without disks, a daemon that runs. For cmocka's setup and teardown. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* The daemon ends, as by SIGTERM; and a new one starts on the same store. */
void rig_stop(void);
void rig_start(void);

/* Runs until there is nothing left to do. */
void rig_run(void);

/* Writes what libxl writes for a disk of domain domid: backend and frontend, both Initialising. */
void rig_attach(unsigned domid, unsigned devid);
/* As the hotplug script: names the storage of 3:51712. */
void rig_target(const char *target);
/* The guest's nodes, good ones. */
void rig_front_nodes(void);
void rig_front(const char *state);
/* The disk of 3:51712 is in a full connection: our state 4, theirs 4. */
void rig_connect(void);

int rig_ours(void);        /* our state in the store; -1 absent */
struct vbd *rig_vbd(void); /* of 3:51712; NULL when the daemon does not have it */
const char *rig_error(void);

#endif
