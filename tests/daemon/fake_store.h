/* SPDX-License-Identifier: MIT
 *
 * hv/store.h over a tree in this process, so that a test sees each write the daemon makes, decides
 * when a transaction conflicts, and plays the toolstack and the guest without a race. It has one
 * domain's view, with every permission. Watches fire as xenstored's do: for the node, for its
 * parents' watches, and for watches below a node that is removed.
 *
 * Threads: one.
 */
#ifndef TESTS_DAEMON_FAKE_STORE_H
#define TESTS_DAEMON_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "hv/store.h"

/* Somebody else's doing. Paths as everywhere: absolute, or relative to this domain. */
void fake_put(const char *path, const char *value);
void fake_rm(const char *path);
/* "" with *there false when the node is not there. The text stays until the next call. */
const char *fake_get(const char *path, bool *there);

/* How many nodes there are at and below path. */
unsigned fake_count(const char *path);
unsigned fake_watches(void);

/* Writes and removals that the daemon has made at or below path since fake_forget(). */
unsigned fake_writes(const char *path);
void fake_forget(void);

/* The next n commits conflict. */
void fake_conflict(unsigned n);
/* Reading this node fails so (a negative errno); NULL: no more. */
void fake_unreadable(const char *path, int err);
/* The toolstack removes path just before the next transaction begins. */
void fake_vanish(const char *path);
/* The connection breaks: hv_store_next_watch() says so, everything else fails. */
void fake_break(void);

void fake_reset(void);

#endif
