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
    uint32_t running;           /* between join and part */
    uint32_t looked;            /* the last epoch for which it has taken what was in its ring */
    uint32_t looking;           /* its own: the epoch seen by enter */
    int fd;                     /* wakes it */
};

struct ring_gate {
    uint32_t holder; /* index of the ring with the barrier, or NOBODY */
    uint32_t epoch;  /* counts the barriers; written by the holder */
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
    g->epoch = 0;
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

void ring_gate_join(struct ring_gate *g, uint32_t index)
{
    g->row[index].looking = READ_ONCE(g->epoch);
    WRITE_ONCE(g->row[index].looked, g->row[index].looking);
    store_release(&g->row[index].running, 1);
}

static void wake_holder(const struct ring_gate *g, uint32_t index)
{
    /* Our store to busy, looked or running before our load of holder: either the holder sees it
     * when it looks, or we see the holder and wake it. Pairs with the barrier in ring_gate_claim().
     */
    full_barrier();
    uint32_t holder = READ_ONCE(g->holder);
    if (holder != NOBODY && holder != index)
        wake(g, holder);
}

void ring_gate_part(struct ring_gate *g, uint32_t index)
{
    ring_gate_release(g, index);
    if (g->rings == 1)
        return;
    store_release(&g->row[index].busy, 0);
    store_release(&g->row[index].running, 0);
    wake_holder(g, index);
}

bool ring_gate_enter(struct ring_gate *g, uint32_t index)
{
    struct row *row = &g->row[index];

    if (g->rings == 1) /* as most disks have */
        return true;
    WRITE_ONCE(row->busy, 1);
    /* Our store to busy before our load of holder; pairs with the barrier in ring_gate_claim():
     * either we see that the gate is held, or its holder sees us busy. */
    full_barrier();
    /* Acquire: what the guest published before the barrier is seen by the look that follows. */
    row->looking = load_acquire(&g->epoch);
    uint32_t holder = load_acquire(&g->holder);
    return holder == NOBODY || holder == index || row->looked != row->looking;
}

void ring_gate_leave(struct ring_gate *g, uint32_t index, bool busy, bool looked)
{
    struct row *row = &g->row[index];

    if (g->rings == 1)
        return;
    /* busy first: who sees that we have looked sees what we took then as in flight. Release: what
     * our requests did is done before a holder sees us at rest. */
    store_release(&row->busy, busy);
    if (looked)
        store_release(&row->looked, row->looking);
    if (!busy)
        wake_holder(g, index);
}

static bool at_rest(const struct row *row, uint32_t epoch)
{
    if (!load_acquire(&row->running))
        return true;
    return load_acquire(&row->looked) == epoch && !load_acquire(&row->busy);
}

static bool take_gate(struct ring_gate *g, uint32_t index)
{
    uint32_t nobody = NOBODY;

    if (READ_ONCE(g->holder) == index)
        return true;
    if (!__atomic_compare_exchange_n(&g->holder, &nobody, index, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false; /* its holder wakes us when it is done */
    /* Release: who sees the new epoch sees what the guest published before our barrier. */
    store_release(&g->epoch, g->epoch + 1);
    for (uint32_t i = 0; i < g->rings; i++)
        if (i != index)
            wake(g, i);
    return true;
}

bool ring_gate_claim(struct ring_gate *g, uint32_t index)
{
    if (g->rings == 1)
        return true;
    if (!take_gate(g, index))
        return false;
    /* Our stores to holder and epoch before our loads of the rows; pairs with those in enter and
     * leave. */
    full_barrier();
    for (uint32_t i = 0; i < g->rings; i++)
        if (i != index && !at_rest(&g->row[i], READ_ONCE(g->epoch)))
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
