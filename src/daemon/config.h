/* SPDX-License-Identifier: MIT
 *
 * What the daemon was told: filled from the command line before anything else runs, read-only
 * afterwards. Everything that one disk could have different from another is in struct vbd_limits.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/vbdmsg.h"

#define CONFIG_KINDS_MAX  4
#define CONFIG_KIND_BYTES 16   /* with NUL */
#define CONFIG_DISKS_MAX  4096 /* disks served at one time; the next one is refused */

/* What is offered to a frontend, and held to when it answers. Only what the data path can do. */
struct vbd_limits {
    uint32_t max_ring_page_order; /* 0..BLKIF_RING_PAGE_ORDER_MAX */
    uint32_t max_queues;          /* 1..VBD_RINGS_MAX */
    uint32_t max_indirect;        /* segments; 0: indirect requests are not offered */
    uint32_t persistent_max;      /* persistent grants for each ring */
    bool persistent;              /* offer feature-persistent */
};

struct daemon_config {
    char hv[VBD_HV_SPEC_MAX];
    char run_dir[PATH_MAX];
    char worker[PATH_MAX];
    char kinds[CONFIG_KINDS_MAX][CONFIG_KIND_BYTES];
    unsigned nr_kinds;
    bool claim_all; /* also serve kind vbd without our hotplug script */
    enum log_level log_level;
    uint64_t answer_ms, finish_ms; /* how long a worker is waited for; see worker.h */
    struct vbd_limits limits;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* OPTIONS_DONE: --help or --version was printed. OPTIONS_BAD: err says what is wrong. */
enum options_result options_parse(int argc, char **argv, struct daemon_config *config,
                                  struct errmsg *err);

/* Finds the worker program when it was not named: beside this executable, else where it is
 * installed. -ENOENT with the line to print. */
int options_find_worker(struct daemon_config *config, struct errmsg *err);

#endif
