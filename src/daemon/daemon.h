/* SPDX-License-Identifier: MIT
 *
 * The one daemon of a process. Threads: its only one.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "base/cache.h"
#include "base/loop.h"
#include "daemon/bus.h"
#include "daemon/config.h"

struct control;

struct daemon {
    struct daemon_config config;
    struct loop *loop;
    struct bus bus;
    struct cache *vbds;
    struct control *control;
    bool stopping;    /* workers are finishing; nothing new is begun */
    unsigned signals; /* to end, received */
};

#endif
