/* SPDX-License-Identifier: MIT
 *
 * Pages of this domain, granted to another: the frontend's side. The server hands out references
 * and frames; the entries of the shared grant table are written here, as a guest does.
 *
 * Less faithful than Xen: pages whose grants have ended stay readable in this process.
 *
 * Threads: the handle's.
 */
#include "hv/loop/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/barrier.h"

struct loop_share {
    struct hv_share base;
    struct loop_hv *hv;
    struct loop_peer *self;
    uint32_t *ref_of; /* for each frame: the reference this handle granted it with, or 0 */
};

static struct loop_share *of(struct hv_share *sh)
{
    return (struct loop_share *)sh;
}

/* Gives n frames from first back: one message for each run of references, which usually is one. */
static int give_back(struct loop_share *sh, uint32_t first, uint32_t n, bool force)
{
    uint32_t *refs = sh->ref_of + first;

    for (uint32_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && refs[i + run] == refs[i] - run;)
            run++;
        struct loop_unshare_req req = {.force = force, .last_ref = refs[i], .n = run};
        struct loop_head rsp;
        int r = loop_rpc(sh->hv, LOOP_UNSHARE, &req, &rsp, NULL, 0);

        if (r)
            return r;
        memset(refs + i, 0, run * sizeof(*refs));
    }
    return 0;
}

static int allocate(struct loop_share *sh, uint32_t n, uint32_t *first)
{
    struct loop_share_req req = {.n = n};
    struct loop_share_rsp rsp;
    int r = loop_rpc(sh->hv, LOOP_SHARE, &req, &rsp, NULL, 0);

    if (r)
        return r;
    if (rsp.n != n || n > sh->self->pages || rsp.first_frame > sh->self->pages - n ||
        rsp.last_ref >= LOOP_REFS || rsp.last_ref < n)
        return -EPROTO;
    for (uint32_t i = 0; i < n; i++)
        sh->ref_of[rsp.first_frame + i] = rsp.last_ref - i;
    *first = rsp.first_frame;
    return 0;
}

static int share_pages(struct hv_share *base, uint32_t peer, uint32_t n, bool writable,
                       uint32_t *refs, void **addr)
{
    struct loop_share *sh = of(base);
    uint32_t first = 0;
    int r = loop_fail(sh->hv, LOOP_CALL_SHARE);

    if (r)
        return r;
    if (!n || peer > LOOP_DOMID_MAX)
        return -EINVAL;
    r = allocate(sh, n, &first);
    if (r)
        return r;
    *addr = sh->self->mem + (size_t)first * LOOP_PAGE;
    memset(*addr, 0, (size_t)n * LOOP_PAGE);
    for (uint32_t i = 0; i < n; i++) {
        struct loop_grant *g = &sh->self->table->grant[sh->ref_of[first + i]];

        refs[i] = sh->ref_of[first + i];
        WRITE_ONCE(g->frame, first + i);
        /* Release: frame, and the zeroed page, before the peer can see the grant. */
        store_release(&g->head, LOOP_GTF_PERMIT | (writable ? 0 : LOOP_GTF_READONLY) | peer << 16);
    }
    return 0;
}

/* Puts the first n entries back as they were granted. */
static void grant_again(struct loop_share *sh, const uint32_t *refs, const uint32_t *heads,
                        uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        store_release(&sh->self->table->grant[refs[i]].head, heads[i]);
}

/* Takes one grant away unless it is in use. */
static int withdraw(struct loop_grant *g, uint32_t *head)
{
    *head = READ_ONCE(g->head);
    do {
        if (*head & LOOP_GTF_IN_USE)
            return -EBUSY;
    } while (
        !__atomic_compare_exchange_n(&g->head, head, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return 0;
}

/* True if somebody copies through one of the references just now. */
static bool being_copied(const struct loop_table *t, const uint32_t *refs, uint32_t n)
{
    uint32_t used = READ_ONCE(t->slots_used);

    for (uint32_t s = 0; s < used && s < LOOP_SLOTS; s++) {
        uint32_t ref1 = load_acquire(&t->slot[s].ref1);

        for (uint32_t i = 0; ref1 && i < n; i++)
            if (refs[i] == ref1 - 1)
                return true;
    }
    return false;
}

static int share_end(struct hv_share *base, void *addr, uint32_t n)
{
    struct loop_share *sh = of(base);
    uintptr_t at = (uintptr_t)addr - (uintptr_t)sh->self->mem;
    uint32_t first = (uint32_t)(at / LOOP_PAGE), done = 0;
    int r = loop_fail(sh->hv, LOOP_CALL_END);

    if (r)
        return r;
    if (at % LOOP_PAGE || at / LOOP_PAGE >= sh->self->pages || !n || n > sh->self->pages - first)
        return -EINVAL;
    uint32_t *refs = sh->ref_of + first;
    for (uint32_t i = 0; i < n; i++)
        if (!refs[i])
            return -EINVAL;
    uint32_t *heads = calloc(n, sizeof(*heads));
    if (!heads)
        return -ENOMEM;
    while (done < n && !(r = withdraw(&sh->self->table->grant[refs[done]], &heads[done])))
        done++;
    /* The grants withdrawn before the look at the slots; pairs with the copier's barrier. */
    full_barrier();
    if (!r && being_copied(sh->self->table, refs, n))
        r = -EBUSY;
    if (r)
        grant_again(sh, refs, heads, done);
    else
        r = give_back(sh, first, n, false);
    free(heads);
    return r;
}

static void share_close(struct hv_share *base)
{
    struct loop_share *sh = of(base);

    for (uint32_t i = 0; i < sh->self->pages; i++) {
        uint32_t n = 0;

        while (i + n < sh->self->pages && sh->ref_of[i + n])
            n++;
        if (n) {
            give_back(sh, i, n, true);
            i += n - 1;
        }
    }
    free(sh->ref_of);
    free(sh);
}

static const struct hv_share_ops share_ops = {
    .close = share_close,
    .pages = share_pages,
    .end = share_end,
};

int loop_share_open(struct hv *hv, struct hv_share **out)
{
    struct loop_share *sh = calloc(1, sizeof(*sh));

    if (!sh)
        return -ENOMEM;
    sh->base.ops = &share_ops;
    sh->hv = (struct loop_hv *)hv;
    int r = loop_peer_get(sh->hv, sh->hv->domid, &sh->self);
    if (!r) {
        sh->ref_of = calloc(sh->self->pages, sizeof(*sh->ref_of));
        r = sh->ref_of ? 0 : -ENOMEM;
    }
    if (r) {
        free(sh);
        return r;
    }
    *out = &sh->base;
    return 0;
}
