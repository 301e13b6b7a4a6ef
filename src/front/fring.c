/* SPDX-License-Identifier: MIT
 *
 * See fring.h. The pairs of barriers are explained where they stand.
 */
#include "front/fring.h"

#include <string.h>

void fring_init(struct fring *r, void *pages, uint32_t bytes, uint32_t slot_bytes, uint32_t first,
                bool quiet)
{
    *r = (struct fring){.shared = pages,
                        .entries = fring_entries(bytes, slot_bytes),
                        .slot_bytes = slot_bytes,
                        .req_prod_pvt = first,
                        .req_published = first,
                        .rsp_cons = first};
    memset(pages, 0, bytes);
    r->shared->req_prod = first;
    r->shared->rsp_prod = first;
    r->shared->req_event = first + 1;
    r->shared->rsp_event = quiet ? first : first + 1;
}

bool fring_push(struct fring *r)
{
    uint32_t old = r->req_published;
    uint32_t new = r->req_prod_pvt;
    uint32_t event;

    if (new == old)
        return false;
    /* Release: the slots are written before the index that makes them visible. Pairs with the
     * backend's read barrier between reading req_prod and reading slots. */
    store_release(&r->shared->req_prod, new);
    r->req_published = new;
    /* Our store of req_prod before our load of req_event. Pairs with the backend, which stores
     * req_event and then looks at req_prod a last time before it sleeps: without both, each could
     * miss the other's word and the request would wait for ever. */
    full_barrier();
    event = READ_ONCE(r->shared->req_event);
    return (uint32_t)(new - event) < (uint32_t)(new - old);
}

int fring_responses(const struct fring *r)
{
    /* Acquire: slots are read after the index that covers them. Pairs with the backend's write
     * barrier between filling responses and storing rsp_prod. */
    uint32_t waiting = load_acquire(&r->shared->rsp_prod) - r->rsp_cons;

    if (waiting > r->req_published - r->rsp_cons)
        return -1;
    return (int)waiting;
}

bool fring_arm(struct fring *r)
{
    WRITE_ONCE(r->shared->rsp_event, r->rsp_cons + 1);
    /* Our store of rsp_event before our load of rsp_prod. Pairs with the backend, which stores
     * rsp_prod and then reads rsp_event to decide about the event: at least one of the two sees the
     * other's store. */
    full_barrier();
    return READ_ONCE(r->shared->rsp_prod) != r->rsp_cons;
}
