/* SPDX-License-Identifier: MIT
 *
 * Which storage a backend directory names, and opening it. Threads: the daemon's; opening blocks.
 */
#ifndef DAEMON_STORAGE_H
#define DAEMON_STORAGE_H

#include <stdbool.h>

#include "base/error.h"
#include "daemon/negotiate.h"
#include "engine/engine.h"

#define STORAGE_SPEC_MAX 1024 /* bytes with NUL */

struct storage_choice {
    char spec[STORAGE_SPEC_MAX]; /* for engine_resolve() */
    bool read_only;
    bool shared; /* others may have it open for writing too */
};

/* Reads physical-device-path, else physical-device (hex major:minor), else params once the hotplug
 * script has said connected; and mode. 1: *out names storage; 0: none is named yet; negative errno
 * with err set: what is named makes no sense, or the store failed. */
int storage_choose(node_read_fn *read, void *arg, struct storage_choice *out, struct errmsg *err);

/* Opens it with the engine it names. */
int storage_open(const struct storage_choice *choice, struct engine_desc *desc, struct errmsg *err);

#endif
