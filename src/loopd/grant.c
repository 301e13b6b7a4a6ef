/* SPDX-License-Identifier: MIT
 *
 * Grants: references handed out to the domain that shares pages, and mappings of them by others,
 * checked as Xen checks them. The shared table is the guest's: each word is read once, and changed
 * only by compare-and-swap with a bounded number of tries.
 */
#include "loopd/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/barrier.h"

#define PIN_TRIES      8u
#define TRACKS_MAX     (1u << 20)
#define TRACKS_AT_ONCE 1024u

/* ---- Pins ---- */

static int pin_shared(struct loop_grant *g, uint32_t domid, bool writable)
{
    uint32_t head = READ_ONCE(g->head);
    uint32_t set = LOOP_GTF_READING | (writable ? LOOP_GTF_WRITING : 0);

    for (unsigned i = 0; i < PIN_TRIES; i++) {
        if ((head & LOOP_GTF_TYPE_MASK) != LOOP_GTF_PERMIT || head >> 16 != domid)
            return -EINVAL;
        if (writable && (head & LOOP_GTF_READONLY))
            return -EINVAL;
        /* Acquire: the owner stores frame before it releases head. */
        if (__atomic_compare_exchange_n(&g->head, &head, head | set, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
            return 0;
    }
    return -EINVAL; /* a guest that changes the entry as fast as we read it */
}

static void unpin(struct server *srv, struct domain *dom, uint32_t ref, bool writable)
{
    struct ref *r = &dom->refs[ref];
    uint32_t clear = 0;

    r->readers -= !writable;
    r->writers -= writable;
    dom->pins--;
    if (!r->writers)
        clear |= LOOP_GTF_WRITING;
    if (!r->writers && !r->readers)
        clear |= LOOP_GTF_READING;
    __atomic_fetch_and(&dom->table->grant[ref].head, ~clear, __ATOMIC_SEQ_CST);
    if (r->orphan && !r->writers && !r->readers) {
        dom->frame_used[r->frame] = 0;
        *r = (struct ref){0};
        dom->granted--;
    }
    domain_put(srv, dom);
}

static int pin(struct domain *dom, uint32_t ref, uint32_t domid, bool writable, uint32_t *frame)
{
    if (ref >= LOOP_REFS)
        return -EINVAL;
    struct ref *r = &dom->refs[ref];
    struct loop_grant *g = &dom->table->grant[ref];
    int err = pin_shared(g, domid, writable);
    if (err)
        return err;
    if (!r->readers && !r->writers)
        r->pin_frame = READ_ONCE(g->frame);
    r->readers += !writable;
    r->writers += writable;
    dom->pins++;
    *frame = r->pin_frame;
    return *frame < dom->pages ? 0 : -ERANGE; /* pinned all the same */
}

/* ---- Map handles ---- */

static int tracks_grow(struct server *srv)
{
    if (srv->nr_tracks >= TRACKS_MAX)
        return -ENOSPC;
    uint32_t n = srv->nr_tracks ? 2 * srv->nr_tracks : TRACKS_AT_ONCE;
    struct track *t = realloc(srv->tracks, n * sizeof(*t));
    if (!t)
        return -ENOMEM;
    memset(t + srv->nr_tracks, 0, (n - srv->nr_tracks) * sizeof(*t));
    srv->track_hint = srv->nr_tracks;
    srv->tracks = t;
    srv->nr_tracks = n;
    return 0;
}

/* Handles are used in turn, so that one that is given back twice is noticed. */
static int track_new(struct server *srv, uint32_t *handle)
{
    for (uint32_t i = 0; i < srv->nr_tracks; i++) {
        uint32_t h = (srv->track_hint + i) % srv->nr_tracks;

        if (!srv->tracks[h].conn) {
            srv->track_hint = h + 1;
            *handle = h;
            return 0;
        }
    }
    int err = tracks_grow(srv);
    if (err)
        return err;
    *handle = srv->track_hint++;
    return 0;
}

static void track_drop(struct server *srv, uint32_t handle)
{
    struct track t = srv->tracks[handle];

    srv->tracks[handle] = (struct track){0};
    t.conn->maps--;
    t.conn->dom->mapped--;
    unpin(srv, t.dom, t.ref, t.writable);
}

static int map_one(struct hvconn *c, struct domain *dom, uint32_t ref, bool writable,
                   uint32_t *frame, uint32_t *handle)
{
    struct server *srv = c->srv;

    if (c->dom->mapped >= srv->limits[LOOP_LIMIT_MAPTRACK])
        return -ENOSPC;
    int err = track_new(srv, handle);
    if (err)
        return err;
    err = pin(dom, ref, c->dom->domid, writable, frame);
    if (err == -ERANGE)
        unpin(srv, dom, ref, writable);
    if (err)
        return -EINVAL;
    srv->tracks[*handle] = (struct track){.conn = c, .dom = dom, .ref = ref, .writable = writable};
    c->maps++;
    c->dom->mapped++;
    return 0;
}

int grant_map(struct hvconn *c, struct domain *dom, const struct loop_map_req *req,
              struct loop_map_rsp *rsp)
{
    int err = 0;
    uint32_t done = 0;

    if (!req->n || req->n > LOOP_BATCH || req->writable > 1)
        return -EINVAL;
    while (done < req->n && !err) {
        err = map_one(c, dom, req->refs[done], req->writable, &rsp->frames[done],
                      &rsp->handles[done]);
        if (!err)
            done++;
    }
    if (!err) {
        rsp->n = req->n;
        return 0;
    }
    while (done)
        track_drop(c->srv, rsp->handles[--done]);
    return err;
}

/* All of them must be this connection's, and none named twice: a handle that is dropped is no
 * longer anybody's, which the second pass finds. */
int grant_unmap(struct hvconn *c, const uint32_t *handles, uint32_t n)
{
    struct server *srv = c->srv;

    if (!n || n > LOOP_BATCH)
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++)
        if (handles[i] >= srv->nr_tracks || srv->tracks[handles[i]].conn != c)
            return -EINVAL;
    for (uint32_t i = 0; i < n; i++)
        if (srv->tracks[handles[i]].conn == c)
            track_drop(srv, handles[i]);
    return 0;
}

/* ---- References and frames ---- */

static bool ref_free(const struct domain *dom, uint32_t ref)
{
    const struct ref *r = &dom->refs[ref];

    return !r->allocated && !r->readers && !r->writers;
}

static bool frame_free(const struct domain *dom, uint32_t frame)
{
    return !dom->frame_used[frame];
}

/* First of n free ones next to each other, upwards from hint and then from lowest; 0 or -ENOSPC. */
static int find_run(const struct domain *dom, bool (*is_free)(const struct domain *, uint32_t),
                    uint32_t n, uint32_t lowest, uint32_t hint, uint32_t end, uint32_t *first)
{
    for (int pass = 0; pass < 2; pass++) {
        uint32_t run = 0;

        for (uint32_t i = pass ? lowest : hint; i < end; i++) {
            run = is_free(dom, i) ? run + 1 : 0;
            if (run == n) {
                *first = i + 1 - n;
                return 0;
            }
        }
    }
    return -ENOSPC;
}

int share_new(struct hvconn *c, uint32_t n, struct loop_share_rsp *rsp)
{
    struct domain *dom = c->dom;
    uint32_t frame, ref;

    if (!n)
        return -EINVAL;
    if (n > dom->pages || n > LOOP_REFS || dom->granted + n > c->srv->limits[LOOP_LIMIT_GRANTS])
        return -ENOSPC;
    int err = find_run(dom, frame_free, n, 0, dom->frame_hint, dom->pages, &frame);
    if (!err)
        err = find_run(dom, ref_free, n, LOOP_REFS_RESERVED, dom->ref_hint, LOOP_REFS, &ref);
    if (err)
        return err;
    for (uint32_t i = 0; i < n; i++) {
        dom->frame_used[frame + i] = 1;
        dom->refs[ref + n - 1 - i] =
            (struct ref){.owner = c->id, .allocated = true, .frame = frame + i};
        WRITE_ONCE(dom->table->grant[ref + i].head, 0);
    }
    dom->frame_hint = frame + n;
    dom->ref_hint = ref + n;
    dom->granted += n;
    rsp->first_frame = frame;
    rsp->last_ref = ref + n - 1;
    rsp->n = n;
    return 0;
}

/* Takes the guest's permission away and frees what is not mapped. */
static void revoke(struct domain *dom, uint32_t ref)
{
    struct ref *r = &dom->refs[ref];
    bool pinned = r->readers || r->writers;

    __atomic_fetch_and(&dom->table->grant[ref].head, pinned ? LOOP_GTF_IN_USE : 0,
                       __ATOMIC_SEQ_CST);
    if (pinned) {
        r->owner = 0;
        r->orphan = true;
        return;
    }
    dom->frame_used[r->frame] = 0;
    *r = (struct ref){0};
    dom->granted--;
}

int share_end(struct hvconn *c, uint32_t last_ref, uint32_t n, bool force)
{
    struct domain *dom = c->dom;

    if (!n || last_ref >= LOOP_REFS || n > last_ref + 1)
        return -EINVAL;
    uint32_t first = last_ref + 1 - n;
    for (uint32_t ref = first; ref <= last_ref; ref++) {
        const struct ref *r = &dom->refs[ref];

        if (r->owner != c->id)
            return -EINVAL;
        if (!force && (r->readers || r->writers))
            return -EBUSY;
    }
    for (uint32_t ref = first; ref <= last_ref; ref++)
        revoke(dom, ref);
    return 0;
}

/* ---- Copy slots ---- */

int slot_open(struct hvconn *c, struct domain *dom, uint32_t *slot)
{
    for (uint32_t i = 0; i < LOOP_SLOTS; i++) {
        if (dom->slots[i])
            continue;
        dom->slots[i] = c;
        c->slots++;
        WRITE_ONCE(dom->table->slot[i].ref1, 0);
        if (READ_ONCE(dom->table->slots_used) <= i)
            WRITE_ONCE(dom->table->slots_used, i + 1);
        *slot = i;
        return 0;
    }
    return -ENOSPC;
}

static void slot_drop(struct domain *dom, uint32_t slot)
{
    dom->slots[slot]->slots--;
    dom->slots[slot] = NULL;
    WRITE_ONCE(dom->table->slot[slot].ref1, 0);
}

int slot_close(struct hvconn *c, uint32_t domid, uint32_t slot)
{
    struct domain *dom = domain_find(c->srv, domid);

    if (!dom || slot >= LOOP_SLOTS || dom->slots[slot] != c)
        return -EINVAL;
    slot_drop(dom, slot);
    return 0;
}

/* ---- A process is gone ---- */

static void drop_maps(struct hvconn *c)
{
    struct server *srv = c->srv;

    for (uint32_t h = 0; c->maps && h < srv->nr_tracks; h++)
        if (srv->tracks[h].conn == c)
            track_drop(srv, h);
}

void grant_conn_gone(struct hvconn *c)
{
    drop_maps(c);
    for (struct domain *dom = c->srv->domains; dom && c->slots; dom = dom->next)
        for (uint32_t i = 0; i < LOOP_SLOTS; i++)
            if (dom->slots[i] == c)
                slot_drop(dom, i);
    if (!c->dom || !c->dom->granted)
        return;
    for (uint32_t ref = 0; ref < LOOP_REFS; ref++)
        if (c->dom->refs[ref].owner == c->id)
            revoke(c->dom, ref);
}
