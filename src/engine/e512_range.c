/* SPDX-License-Identifier: MIT
 *
 * Which change of the storage waits for which, over all channels of a disk.
 *
 * A shared change shows its range in its slot, then looks whether an exclusive one exists; an
 * exclusive one makes itself known, then looks into all slots. Both steps are sequentially
 * consistent, so at least one of the two sees the other: the exclusive one lists what it found and
 * waits for it, the shared one goes by the list. Who is listed waits for the earlier ranges that
 * overlap his (unless both are shared), and tells the later ones when he is through.
 *
 * Threads: each function on the thread of the channel it is given; engine->lock guards the list.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "engine/e512.h"

static bool conflict(const struct e512_io *a, const struct e512_io *b)
{
    return (a->exclusive || b->exclusive) && a->start < b->end && b->start < a->end;
}

static void enlist(struct e512_engine *e, struct e512_io *x, bool exclusive)
{
    x->start = READ_ONCE(x->slot->start);
    x->end = READ_ONCE(x->slot->end);
    x->exclusive = exclusive;
    x->waiting = false;
    x->blockers = 0;
    for (const struct e512_io *y = e->first; y; y = y->later)
        x->blockers += conflict(y, x);
    x->later = NULL;
    x->earlier = e->last;
    if (e->last)
        e->last->later = x;
    else
        e->first = x;
    e->last = x;
}

static void delist(struct e512_engine *e, struct e512_io *x)
{
    if (x->earlier)
        x->earlier->later = x->later;
    else
        e->first = x->later;
    if (x->later)
        x->later->earlier = x->earlier;
    else
        e->last = x->earlier;
}

/* Lists the shared changes that are in flight in [start, end). A slot that is used anew while we
 * look at it does no harm: its owner sees nr_exclusive and comes for the lock. */
static void list_open_slots(struct e512_engine *e, uint64_t start, uint64_t end)
{
    for (struct e512_channel *ch = e->channels; ch; ch = ch->next) {
        uint32_t n = __atomic_load_n(&ch->nr_slots_used, __ATOMIC_SEQ_CST);
        for (uint32_t i = 0; i < n; i++) {
            struct e512_slot *s = &ch->slots[i];
            uint32_t open = E512_OPEN;
            if (__atomic_load_n(&s->state, __ATOMIC_SEQ_CST) == E512_OPEN &&
                READ_ONCE(s->start) < end && start < READ_ONCE(s->end) &&
                __atomic_compare_exchange_n(&s->state, &open, E512_LISTED, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED))
                enlist(e, &ch->ios[i], false);
        }
    }
}

static bool begin_exclusive(struct e512_engine *e, struct e512_io *x)
{
    pthread_mutex_lock(&e->lock);
    __atomic_fetch_add(&e->nr_exclusive, 1, __ATOMIC_SEQ_CST);
    list_open_slots(e, READ_ONCE(x->slot->start), READ_ONCE(x->slot->end));
    WRITE_ONCE(x->slot->state, E512_LISTED);
    enlist(e, x, true);
    x->waiting = x->blockers > 0;
    bool ok = !x->waiting;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

/* Something unaligned is under way. It may have listed x meanwhile. */
static bool begin_contended(struct e512_engine *e, struct e512_io *x)
{
    pthread_mutex_lock(&e->lock);
    if (READ_ONCE(x->slot->state) == E512_OPEN) {
        enlist(e, x, false);
        if (x->blockers > 0)
            WRITE_ONCE(x->slot->state, E512_LISTED);
        else
            delist(e, x);
    }
    x->waiting = READ_ONCE(x->slot->state) == E512_LISTED && x->blockers > 0;
    bool ok = !x->waiting;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

static void arm(struct e512_channel *ch)
{
    if (ch->armed || ch->nr_blocked == 0)
        return;
    ch->armed = true;
    struct io_uring_sqe *sqe = ioctx_sqe(ch->ctx, &ch->wake);
    io_uring_prep_read(sqe, ch->event_fd, &ch->wake_count, sizeof(ch->wake_count), 0);
}

bool e512_range_begin(struct e512_io *x, uint64_t start, uint64_t end, bool exclusive)
{
    struct e512_channel *ch = x->channel;
    struct e512_engine *e = ch->engine;
    uint32_t index = (uint32_t)(x - ch->ios);
    bool ok = true;

    x->holds_range = true;
    WRITE_ONCE(x->slot->start, start);
    WRITE_ONCE(x->slot->end, end);
    if (exclusive) {
        ok = begin_exclusive(e, x);
    } else {
        if (index >= ch->nr_slots_used)
            __atomic_store_n(&ch->nr_slots_used, index + 1, __ATOMIC_SEQ_CST);
        /* Our slot before our look at nr_exclusive; list_open_slots() reads them the other way. */
        __atomic_store_n(&x->slot->state, E512_OPEN, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&e->nr_exclusive, __ATOMIC_SEQ_CST) > 0)
            ok = begin_contended(e, x);
    }
    if (!ok) {
        ch->nr_blocked++;
        arm(ch);
    }
    return ok;
}

/* Under the lock, so that the channel cannot be closed meanwhile. Who finds the list empty writes
 * the eventfd; what is added until its owner has looked is found with it. */
static void grant(struct e512_io *x)
{
    struct e512_channel *ch = x->channel;
    bool first = !ch->granted;
    uint64_t one = 1;
    ssize_t n;

    x->waiting = false;
    x->next = NULL;
    *ch->granted_tail = x;
    ch->granted_tail = &x->next;
    if (!first)
        return;
    do
        n = write(ch->event_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

void e512_range_end(struct e512_io *x)
{
    struct e512_engine *e = x->channel->engine;
    uint32_t open = E512_OPEN;

    x->holds_range = false;
    if (__atomic_compare_exchange_n(&x->slot->state, &open, E512_IDLE, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&e->lock);
    WRITE_ONCE(x->slot->state, E512_IDLE);
    for (struct e512_io *y = x->later; y; y = y->later)
        if (conflict(x, y) && --y->blockers == 0 && y->waiting)
            grant(y);
    delist(e, x);
    if (x->exclusive)
        __atomic_fetch_sub(&e->nr_exclusive, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&e->lock);
}

static void wake_done(struct ioctx_op *op, int res)
{
    struct e512_channel *ch =
        (struct e512_channel *)((char *)op - offsetof(struct e512_channel, wake));

    ch->armed = false;
    pthread_mutex_lock(&ch->engine->lock);
    struct e512_io *list = ch->granted;
    ch->granted = NULL;
    ch->granted_tail = &ch->granted;
    pthread_mutex_unlock(&ch->engine->lock);
    for (const struct e512_io *x = list; x; x = x->next)
        ch->nr_blocked--;
    arm(ch);
    while (list) {
        struct e512_io *x = list;
        list = x->next;
        e512_run(x);
    }
}

int e512_ranges_open(struct e512_channel *ch)
{
    struct e512_engine *e = ch->engine;

    ch->granted_tail = &ch->granted;
    ch->wake.done = wake_done;
    ch->event_fd = eventfd(0, EFD_CLOEXEC);
    if (ch->event_fd < 0)
        return -errno;
    pthread_mutex_lock(&e->lock);
    ch->next = e->channels;
    e->channels = ch;
    pthread_mutex_unlock(&e->lock);
    return 0;
}

void e512_ranges_close(struct e512_channel *ch)
{
    struct e512_engine *e = ch->engine;
    struct e512_channel **p;

    if (ch->event_fd < 0)
        return;
    pthread_mutex_lock(&e->lock);
    for (p = &e->channels; *p != ch; p = &(*p)->next)
        ;
    *p = ch->next;
    pthread_mutex_unlock(&e->lock);
    close(ch->event_fd);
}
