/* SPDX-License-Identifier: MIT
 *
 * See gate.h. Threads: each ring writes its own row and the holder word.
 */
#include "ring/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"

#define NOBODY UINT32_MAX

struct row {
    _Alignas(64) uint32_t busy; /* requests of this ring are in flight, or are being taken */
    int fd;                     /* wakes it */
};

struct ring_gate {
    uint32_t holder; /* index of the ring with the barrier, or NOBODY */
    uint32_t rings;
    struct row row[];
};

int ring_gate_create(uint32_t rings, struct ring_gate **out)
{
    size_t bytes = sizeof(struct ring_gate) + rings * sizeof(struct row);
    struct ring_gate *g = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

    if (!g)
        return -ENOMEM;
    g->holder = NOBODY;
    for (g->rings = 0; g->rings < rings; g->rings++) {
        int fd = eventfd(0, EFD_CLOEXEC);
        if (fd < 0) {
            int err = -errno;
            ring_gate_destroy(g);
            return err;
        }
        g->row[g->rings] = (struct row){.fd = fd};
    }
    *out = g;
    return 0;
}

void ring_gate_destroy(struct ring_gate *g)
{
    for (uint32_t i = 0; g && i < g->rings; i++)
        close(g->row[i].fd);
    free(g);
}

int ring_gate_fd(const struct ring_gate *g, uint32_t index)
{
    return g->row[index].fd;
}

static void wake(const struct ring_gate *g, uint32_t index)
{
    uint64_t one = 1;

    /* Cannot fail but for a count near 2^64; a wake-up is pending then anyway. */
    if (write(g->row[index].fd, &one, sizeof(one)) < 0)
        return;
}

void ring_gate_part(struct ring_gate *g, uint32_t index)
{
    ring_gate_release(g, index);
    ring_gate_leave(g, index, false);
}

bool ring_gate_enter(struct ring_gate *g, uint32_t index)
{
    /* Most disks have one ring. */
    if (g->rings == 1)
        return true;
    WRITE_ONCE(g->row[index].busy, 1);
    /* Our store to busy before our load of holder; pairs with the barrier in ring_gate_claim():
     * either we see that the gate is held, or its holder sees us busy. */
    full_barrier();
    uint32_t holder = READ_ONCE(g->holder);
    return holder == NOBODY || holder == index;
}

void ring_gate_leave(struct ring_gate *g, uint32_t index, bool busy)
{
    if (g->rings == 1)
        return;
    /* Release: what this ring's requests did is done before a holder sees it at rest. */
    store_release(&g->row[index].busy, busy);
    if (busy)
        return;
    /* Our store to busy before our load of holder: either the holder sees us at rest when it looks,
     * or we see it and wake it. */
    full_barrier();
    uint32_t holder = READ_ONCE(g->holder);
    if (holder != NOBODY && holder != index)
        wake(g, holder);
}

bool ring_gate_claim(struct ring_gate *g, uint32_t index)
{
    uint32_t nobody = NOBODY;

    if (g->rings == 1)
        return true;
    if (READ_ONCE(g->holder) != index &&
        !__atomic_compare_exchange_n(&g->holder, &nobody, index, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false; /* its holder wakes us when it is done */
    /* Our store to holder before our loads of busy; pairs with those in enter and leave. */
    full_barrier();
    for (uint32_t i = 0; i < g->rings; i++)
        if (i != index && load_acquire(&g->row[i].busy))
            return false;
    return true;
}

void ring_gate_release(struct ring_gate *g, uint32_t index)
{
    if (g->rings == 1 || READ_ONCE(g->holder) != index)
        return;
    /* Release: the barrier's work is done before another ring sees the gate open. */
    store_release(&g->holder, NOBODY);
    for (uint32_t i = 0; i < g->rings; i++)
        if (i != index)
            wake(g, i);
}
