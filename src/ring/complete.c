/* SPDX-License-Identifier: MIT
 *
 * What the storage said. Thread: the ring's.
 */
#include "ring/internal.h"

#include <string.h>

#include "base/barrier.h"

static int16_t status_of(struct ring *ring, const struct ring_request *req, int result)
{
    counter_add(&ring->config.stats->errors, 1);
    if (log_limit_ok(&ring->config.stats->log_limit))
        log_error(
            "ring %u: storage: %s at sector %llu: %s", ring->config.index,
            (const char *const[]){"read", "write", "flush", "discard", "write-zeroes"}[req->io.op],
            (unsigned long long)req->checked.sector, strerror(-result));
    /* Only for what a guest can do without: it then stops asking for it. */
    if (result == -EOPNOTSUPP && req->io.op != ENGINE_READ && req->io.op != ENGINE_WRITE)
        return BLKIF_RSP_EOPNOTSUPP;
    return BLKIF_RSP_ERROR;
}

void ring_complete(struct engine_io *io, int result)
{
    struct ring_request *req = (struct ring_request *)io; /* io is its first member */
    struct ring *ring = req->ring;

    if (result < 0) {
        req->status = status_of(ring, req, result);
        request_list_add(&ring->done, req);
        return;
    }
    req->step++;
    ring_submit(ring, req);
}
