/* SPDX-License-Identifier: MIT
 *
 * What the frontend says in its directory: read once, each node bounded before it is used, into the
 * parameters that the worker gets. Everything read here is attack input.
 *
 * Threads: any; the reader's.
 */
#ifndef DAEMON_NEGOTIATE_H
#define DAEMON_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vbdmsg.h"
#include "blkif/layout.h"
#include "daemon/config.h"

#define EVTCHN_PORT_MAX 131071u /* of the FIFO ABI, the larger one */

/* Reads the frontend's node `leaf`: as hv_store_read(). */
typedef int node_read_fn(void *arg, const char *leaf, char *buf, size_t cap);

enum negotiate_result {
    NEG_OK = 0,
    NEG_REFUSED = 1, /* the frontend's mistake; err says which node and what is wrong with it */
};

/* Fills *out (its head too). NEG_OK, NEG_REFUSED, or a negative errno when the store failed. */
int negotiate(node_read_fn *read, void *arg, const struct vbd_limits *limits,
              struct vbd_connect *out, struct errmsg *err);

#endif
