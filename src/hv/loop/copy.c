/* SPDX-License-Identifier: MIT
 *
 * Grant copy without a round trip: the grant is checked here, in the copying process, by the rules
 * that Xen applies, and the bytes are moved between the two memories.
 *
 * Less faithful than Xen: `local` is not checked (a bad address is a fault here, not an error), and
 * the in-use flags of the grant entry are not set during the copy; the copy slot takes their place
 * for hv_share_end().
 *
 * Threads: the handle's. The grant table is another domain's: every word is read once.
 */
#include "hv/loop/client.h"

#include <string.h>

#include "base/barrier.h"

/* Looks one grant up. Returns 0 and its frame, or a GNTST_ status. */
static int acquire(const struct loop_hv *hv, const struct loop_peer *peer, const struct hv_copy *op,
                   uint32_t *frame)
{
    const struct loop_grant *g = &peer->table->grant[op->ref];
    /* Acquire: the owner stores frame before it releases head. */
    uint32_t head = load_acquire(&g->head);
    uint32_t f = READ_ONCE(g->frame);

    if ((head & LOOP_GTF_TYPE_MASK) != LOOP_GTF_PERMIT || head >> 16 != hv->domid)
        return LOOP_GNTST_GENERAL;
    if (op->to_guest && (head & LOOP_GTF_READONLY))
        return LOOP_GNTST_GENERAL;
    if (f >= peer->pages)
        return LOOP_GNTST_BAD_PAGE;
    *frame = f;
    return 0;
}

static int copy_one(struct loop_hv *hv, struct loop_peer *peer, struct loop_slot *slot,
                    const struct hv_copy *op)
{
    uint32_t frame;
    int status = loop_fail(hv, LOOP_CALL_COPY_OP);

    if (status)
        return status;
    if (READ_ONCE(peer->table->dead))
        return LOOP_GNTST_BAD_DOMAIN;
    if (op->ref >= LOOP_REFS)
        return LOOP_GNTST_BAD_GNTREF;
    WRITE_ONCE(slot->ref1, op->ref + 1);
    /* Our slot before our look at the grant; pairs with the owner's barrier between withdrawing
     * the grant and looking at the slots. */
    full_barrier();
    status = acquire(hv, peer, op, &frame);
    if (!status) {
        char *page = peer->mem + (size_t)frame * LOOP_PAGE + op->offset;

        if (op->to_guest)
            memcpy(page, op->local, op->len);
        else
            memcpy(op->local, page, op->len);
    }
    /* Release: the bytes have been moved before the owner may see the slot empty. */
    store_release(&slot->ref1, 0);
    return status;
}

int loop_copy(struct loop_hv *hv, struct loop_peer *peer, struct loop_slot *slot,
              struct hv_copy *ops, uint32_t n)
{
    int err = loop_fail(hv, LOOP_CALL_COPY);

    if (err)
        return err;
    for (uint32_t i = 0; i < n; i++)
        if ((uint32_t)ops[i].offset + ops[i].len > LOOP_PAGE)
            return -EINVAL;
    for (uint32_t i = 0; i < n; i++)
        ops[i].status = (int16_t)copy_one(hv, peer, slot, &ops[i]);
    return 0;
}
