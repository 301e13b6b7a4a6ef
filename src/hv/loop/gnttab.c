/* SPDX-License-Identifier: MIT
 *
 * Grants of another domain: mapping. The pages appear inside windows of reserved address space and
 * their place goes back to PROT_NONE when they are unmapped, so that a stale access faults for as
 * long as the handle lives and the place is not mapped again (places are used in turn).
 *
 * Threads: the handle's.
 */
#include "hv/loop/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A stretch of reserved address space. */
struct window {
    struct window *next;
    char *base;
    uint32_t pages;
    uint32_t hint;   /* where the next search starts */
    uint32_t *cell;  /* for each page: the server's handle + 1, or 0: free */
    uint32_t *count; /* for the first page of each mapping: its pages */
};

struct loop_gnttab {
    struct hv_gnttab base;
    struct loop_hv *hv;
    struct loop_peer *peer;
    uint32_t slot;
    uint32_t max, mapped; /* pages */
    struct window *windows;
};

static struct loop_gnttab *of(struct hv_gnttab *gt)
{
    return (struct loop_gnttab *)gt;
}

static void window_free(struct window *w)
{
    if (w->base)
        munmap(w->base, (size_t)w->pages * LOOP_PAGE);
    free(w->cell);
    free(w->count);
    free(w);
}

static struct window *window_new(uint32_t pages)
{
    struct window *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->pages = pages;
    w->cell = calloc(pages, sizeof(*w->cell));
    w->count = calloc(pages, sizeof(*w->count));
    void *base = mmap(NULL, (size_t)pages * LOOP_PAGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    w->base = base == MAP_FAILED ? NULL : base;
    if (w->cell && w->count && w->base)
        return w;
    window_free(w);
    return NULL;
}

/* First free run of n pages in [from, to), or to. */
static uint32_t find_run(const struct window *w, uint32_t n, uint32_t from, uint32_t to)
{
    uint32_t run = 0;

    for (uint32_t i = from; i < to; i++) {
        run = w->cell[i] ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return to;
}

static bool window_take(struct window *w, uint32_t n, uint32_t *first)
{
    uint32_t at = find_run(w, n, w->hint, w->pages);

    if (at == w->pages)
        at = find_run(w, n, 0, w->pages);
    if (at == w->pages)
        return false;
    w->hint = at + n;
    *first = at;
    return true;
}

/* A place for n pages; a further window is made when those there are too fragmented. */
static int take_place(struct loop_gnttab *gt, uint32_t n, struct window **out, uint32_t *first)
{
    for (struct window *w = gt->windows; w; w = w->next) {
        if (window_take(w, n, first)) {
            *out = w;
            return 0;
        }
    }
    struct window *w = window_new(2 * (gt->max > n ? gt->max : n) + 64);
    if (!w)
        return -ENOMEM;
    w->next = gt->windows;
    gt->windows = w;
    *out = w;
    return window_take(w, n, first) ? 0 : -ENOMEM;
}

static int rpc_unmap(struct loop_gnttab *gt, const uint32_t *cells, uint32_t n)
{
    int err = 0;

    for (uint32_t done = 0; done < n;) {
        struct loop_unmap_req req = {.n = n - done < LOOP_BATCH ? n - done : LOOP_BATCH};
        struct loop_head rsp;

        for (uint32_t i = 0; i < req.n; i++)
            req.handles[i] = cells[done + i] - 1;
        int r = loop_rpc(gt->hv, LOOP_UNMAP, &req, &rsp, NULL, 0);
        if (!err)
            err = r;
        done += req.n;
    }
    return err;
}

/* Maps frames next to each other with as few calls as their order allows. */
static int map_frames(const struct loop_peer *peer, char *at, const uint32_t *frames, uint32_t n,
                      int prot)
{
    for (uint32_t i = 0, run; i < n; i += run) {
        if (frames[i] >= peer->pages)
            return -EPROTO;
        for (run = 1; i + run < n && frames[i + run] == frames[i] + run;)
            run++;
        if (frames[i] + run > peer->pages)
            return -EPROTO;
        if (mmap(at + (size_t)i * LOOP_PAGE, (size_t)run * LOOP_PAGE, prot, MAP_SHARED | MAP_FIXED,
                 peer->mem_fd, (off_t)frames[i] * LOOP_PAGE) == MAP_FAILED)
            return -errno;
    }
    return 0;
}

/* One message's worth. cells receives handle + 1 for each page that the server has pinned. */
static int map_batch(struct loop_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, char *at,
                     uint32_t *cells)
{
    struct loop_map_req req = {
        .domid = gt->peer->domid, .writable = (prot & PROT_WRITE) != 0, .n = n};
    struct loop_map_rsp rsp;

    memcpy(req.refs, refs, n * sizeof(*refs));
    int r = loop_rpc(gt->hv, LOOP_MAP, &req, &rsp, NULL, 0);
    if (r)
        return r;
    for (uint32_t i = 0; i < n; i++)
        cells[i] = rsp.handles[i] + 1;
    return map_frames(gt->peer, at, rsp.frames, n, prot);
}

/* Takes the pages away and gives the pins back. */
static int drop_pages(struct loop_gnttab *gt, struct window *w, uint32_t first, uint32_t n)
{
    int r = 0;

    if (mmap(w->base + (size_t)first * LOOP_PAGE, (size_t)n * LOOP_PAGE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -errno;
    uint32_t pinned = 0;
    while (pinned < n && w->cell[first + pinned])
        pinned++;
    r = rpc_unmap(gt, w->cell + first, pinned);
    memset(w->cell + first, 0, n * sizeof(*w->cell));
    w->count[first] = 0;
    return r;
}

static int gnttab_map(struct hv_gnttab *base, const uint32_t *refs, uint32_t n, int prot,
                      void **addr)
{
    struct loop_gnttab *gt = of(base);
    struct window *w;
    uint32_t first;
    int r = loop_fail(gt->hv, LOOP_CALL_MAP);

    if (r)
        return r;
    if (!n || !(prot & PROT_READ))
        return -EINVAL;
    if (n > gt->max - gt->mapped)
        return -ENOSPC;
    r = take_place(gt, n, &w, &first);
    if (r)
        return r;
    char *at = w->base + (size_t)first * LOOP_PAGE;
    for (uint32_t done = 0; done < n && !r; done += LOOP_BATCH) {
        uint32_t now = n - done < LOOP_BATCH ? n - done : LOOP_BATCH;

        r = map_batch(gt, refs + done, now, prot, at + (size_t)done * LOOP_PAGE,
                      w->cell + first + done);
    }
    if (r) {
        drop_pages(gt, w, first, n);
        return r;
    }
    w->count[first] = n;
    gt->mapped += n;
    *addr = at;
    return 0;
}

static int gnttab_unmap(struct hv_gnttab *base, void *addr, uint32_t n)
{
    struct loop_gnttab *gt = of(base);
    struct window *w = gt->windows;
    uintptr_t at = (uintptr_t)addr;
    int r = loop_fail(gt->hv, LOOP_CALL_UNMAP);

    if (r)
        return r;
    while (w &&
           (at < (uintptr_t)w->base || at >= (uintptr_t)w->base + (size_t)w->pages * LOOP_PAGE))
        w = w->next;
    if (!w || at % LOOP_PAGE)
        return -EINVAL;
    uint32_t first = (uint32_t)((at - (uintptr_t)w->base) / LOOP_PAGE);
    if (!n || w->count[first] != n)
        return -EINVAL;
    r = drop_pages(gt, w, first, n);
    if (!w->count[first])
        gt->mapped -= n;
    return r;
}

static int gnttab_copy(struct hv_gnttab *base, struct hv_copy *ops, uint32_t n)
{
    struct loop_gnttab *gt = of(base);

    return loop_copy(gt->hv, gt->peer, &gt->peer->table->slot[gt->slot], ops, n);
}

static void gnttab_close(struct hv_gnttab *base)
{
    struct loop_gnttab *gt = of(base);
    struct loop_slot_msg req = {.domid = gt->peer->domid, .slot = gt->slot};
    struct loop_head rsp;

    while (gt->windows) {
        struct window *w = gt->windows;

        for (uint32_t i = 0; i < w->pages; i++)
            if (w->count[i])
                drop_pages(gt, w, i, w->count[i]);
        gt->windows = w->next;
        window_free(w);
    }
    loop_rpc(gt->hv, LOOP_SLOT_CLOSE, &req, &rsp, NULL, 0);
    free(gt);
}

static const struct hv_gnttab_ops gnttab_ops = {
    .close = gnttab_close,
    .map = gnttab_map,
    .unmap = gnttab_unmap,
    .copy = gnttab_copy,
};

int loop_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out)
{
    struct loop_domid_req req = {.domid = peer};
    struct loop_slot_msg rsp;
    struct loop_gnttab *gt = calloc(1, sizeof(*gt));

    if (!gt)
        return -ENOMEM;
    gt->base.ops = &gnttab_ops;
    gt->hv = (struct loop_hv *)hv;
    gt->max = max_grants;
    int r = loop_peer_get(gt->hv, peer, &gt->peer);
    if (!r)
        r = loop_rpc(gt->hv, LOOP_SLOT_OPEN, &req, &rsp, NULL, 0);
    if (!r && rsp.slot >= LOOP_SLOTS)
        r = -EPROTO;
    if (r) {
        free(gt);
        return r;
    }
    gt->slot = rsp.slot;
    *out = &gt->base;
    return 0;
}
