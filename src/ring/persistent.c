/* SPDX-License-Identifier: MIT
 *
 * Persistent grants of a ring: mapped at first use, kept, found again by gref, unmapped when unused
 * for long or when others need the room, longest unused first.
 *
 * The kernel's driver looks every 100 ms and takes grants in the order of their grefs; here the
 * order is that of use, and nothing wakes an idle ring for it but one timeout.
 *
 * Thread: the ring's; control opens and closes.
 */
#include "ring/internal.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/barrier.h"

/* When the table is full, this part of it makes room, at most once in the interval: a guest that
 * uses more pages than the cap in turn is served by copies, not by a map and an unmap for each. */
#define EVICT_PERCENT     5u
#define EVICT_INTERVAL_MS 100u

static uint32_t home_of(const struct grant_table *t, uint32_t gref)
{
    return (gref * 2654435761u) & t->mask; /* Knuth's multiplicative hash: grefs come in runs */
}

/* The slot where gref is, or the free one where it would be put. */
static uint32_t find(const struct grant_table *t, uint32_t gref)
{
    uint32_t i = home_of(t, gref);

    while (t->slot[i] && t->slot[i]->gref != gref)
        i = (i + 1) & t->mask;
    return i;
}

/* Empties slot i and moves back whoever stood behind it because of it. */
static void slot_clear(struct grant_table *t, uint32_t i)
{
    uint32_t next = i;

    t->slot[i] = NULL;
    for (;;) {
        next = (next + 1) & t->mask;
        if (!t->slot[next])
            return;
        uint32_t home = home_of(t, t->slot[next]->gref);
        /* It may move to i unless its home lies after i on the way to where it is. */
        if (((next - home) & t->mask) >= ((next - i) & t->mask)) {
            t->slot[i] = t->slot[next];
            t->slot[next] = NULL;
            i = next;
        }
    }
}

static void lru_remove(struct grant *g)
{
    g->older->newer = g->newer;
    g->newer->older = g->older;
}

static void lru_add_newest(struct grant_table *t, struct grant *g)
{
    g->newer = &t->lru;
    g->older = t->lru.older;
    g->older->newer = g;
    t->lru.older = g;
}

int persistent_open(struct ring *ring)
{
    struct grant_table *t = &ring->grants;
    uint32_t slots = 16;

    if (!ring->config.persistent || !ring->config.persistent_max)
        return 0;
    t->max = ring->config.persistent_max;
    while (slots < t->max * 2)
        slots *= 2;
    t->slot = calloc(slots, sizeof(*t->slot));
    if (!t->slot)
        return -ENOMEM;
    t->mask = slots - 1;
    t->lru.older = t->lru.newer = &t->lru;
    return cache_create("grant", sizeof(struct grant), sizeof(void *), t->max, NULL, &t->cache);
}

static void unmap(struct ring *ring, struct grant *g)
{
    struct grant_table *t = &ring->grants;

    slot_clear(t, find(t, g->gref));
    lru_remove(g);
    hv_gnttab_unmap(ring->gnttab, g->page, 1);
    cache_give(t->cache, g);
    t->count--;
    WRITE_ONCE(ring->config.stats->persistent, t->count);
}

void persistent_close(struct ring *ring)
{
    struct grant_table *t = &ring->grants;

    if (t->cache)
        while (t->count)
            unmap(ring, t->lru.newer);
    free(t->slot);
    t->slot = NULL;
    cache_destroy(t->cache);
    t->cache = NULL;
}

/* Unmaps up to n grants that are not in use and were last used before cutoff_ms, oldest first. */
static uint32_t purge(struct ring *ring, uint32_t n, uint64_t cutoff_ms)
{
    struct grant_table *t = &ring->grants;
    struct grant *g = t->lru.newer;
    uint32_t done = 0;

    while (g != &t->lru && done < n && g->used_ms < cutoff_ms) {
        struct grant *next = g->newer;
        if (!g->busy) {
            unmap(ring, g);
            done++;
        }
        g = next;
    }
    counter_add(&ring->config.stats->purged, done);
    return done;
}

uint64_t persistent_purge(struct ring *ring)
{
    struct grant_table *t = &ring->grants;
    uint64_t limit = ring->config.persistent_unused_ms;

    if (!t->count || !limit)
        return UINT64_MAX;
    if (ring->now_ms >= limit)
        purge(ring, UINT32_MAX, ring->now_ms - limit + 1);
    if (!t->count)
        return UINT64_MAX;
    uint64_t age = ring->now_ms - t->lru.newer->used_ms;
    /* One in use for that long is looked at again when it is given back. */
    return age < limit ? limit - age : limit;
}

static bool make_room(struct ring *ring)
{
    struct grant_table *t = &ring->grants;

    if (t->count < t->max)
        return true;
    if (t->evicted_ms && ring->now_ms - t->evicted_ms < EVICT_INTERVAL_MS)
        return false;
    t->evicted_ms = ring->now_ms;
    return purge(ring, (t->max * EVICT_PERCENT + 99) / 100, UINT64_MAX) > 0;
}

/* NULL: no room, or not mappable. */
static struct grant *add(struct ring *ring, uint32_t gref)
{
    struct grant_table *t = &ring->grants;
    void *page;

    if (!make_room(ring) || hv_gnttab_map(ring->gnttab, &gref, 1, PROT_READ | PROT_WRITE, &page))
        return NULL;
    struct grant *g = cache_take(t->cache);
    *g = (struct grant){.page = page, .gref = gref};
    t->slot[find(t, gref)] = g; /* again: making room may have moved the free slot */
    lru_add_newest(t, g);
    t->count++;
    counter_add(&ring->config.stats->mapped, 1);
    WRITE_ONCE(ring->config.stats->persistent, t->count);
    return g;
}

struct grant *persistent_take(struct ring *ring, uint32_t gref)
{
    struct grant_table *t = &ring->grants;

    if (!t->slot)
        return NULL;
    struct grant *g = t->slot[find(t, gref)];
    if (!g)
        g = add(ring, gref);
    if (!g || g->busy)
        return NULL;
    g->busy = true;
    return g;
}

void persistent_give(struct ring *ring, struct grant *g)
{
    g->busy = false;
    g->used_ms = ring->now_ms;
    lru_remove(g);
    lru_add_newest(&ring->grants, g);
}
