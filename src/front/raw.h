/* SPDX-License-Identifier: MIT
 *
 * Raw access to a frontend's ring, grants, event channel and nodes, for tests that put any bytes
 * anywhere. Not installed. What the library believes (indices, requests in flight) is not kept
 * right by writing here: a queue is used either through blkfront.h or raw.
 *
 * Threads: as the queue.
 */
#ifndef FRONT_RAW_H
#define FRONT_RAW_H

#include "blkfront.h"
#include "blkif/layout.h"
#include "hv/hv.h"
#include "hv/store.h"

struct front_raw_options {
    uint32_t first_index; /* where the ring's indices start */
    bool prepare_only;    /* stop when the nodes are written, before state 3: the test may change
                           * them, then call front_raw_connect() */
};

int front_raw_open(const struct blkfront_options *options, const struct front_raw_options *raw,
                   struct blkfront **out, char *error, size_t error_bytes);
/* State 3, wait for the backend, state 4: the second half of an open with prepare_only. */
int front_raw_connect(struct blkfront *bf, char *error, size_t error_bytes);
/* Forgets everything as a domain that crashes does: no state is written, grants and ports end. */
void front_raw_vanish(struct blkfront *bf);

struct front_raw_queue {
    struct blkif_sring *shared; /* the ring's pages, contiguous */
    uint32_t pages, entries, slot_bytes;
    const uint32_t *ring_refs; /* pages of them */
    uint32_t port;
    struct hv_evtchn *ev;
    struct hv_share *share; /* to grant further pages to peer */
    uint32_t *req_prod_pvt; /* the library's own indices */
    uint32_t *rsp_cons;
};
void front_raw_queue(struct blkfront *bf, uint32_t queue, struct front_raw_queue *out);
/* The slot of an index. */
void *front_raw_slot(struct blkfront *bf, uint32_t queue, uint32_t index);

struct front_raw_device {
    struct hv *hv;
    struct hv_store *store;
    uint32_t peer;             /* the backend's domain */
    const char *frontend_path; /* relative to the domain's own directory */
    const char *backend_path;
};
void front_raw_device(struct blkfront *bf, struct front_raw_device *out);

#endif
