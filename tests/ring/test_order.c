/* SPDX-License-Identifier: MIT
 *
 * Order and endings: barriers wait for what came before and hold back what comes after, a flush
 * with data flushes first, stopping finishes what was taken and takes nothing more, storage errors
 * become statuses, a burst is one notification.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/barrier.h"
#include "base/loop.h"
#include "guest.h"

#define DISK_BYTES (1u << 20)

struct fixture {
    struct store *s;
    struct guest *g;
};

static struct fixture up(bool persistent)
{
    struct fixture f;

    f.s = store_new(DISK_BYTES);
    f.g = guest_new(f.s, BLKIF_ABI_X86_64, 0);
    guest_connect(f.g, persistent, NULL);
    return f;
}

static void down(struct fixture f)
{
    guest_free(f.g);
    store_free(f.s);
}

static void logged(struct store *s, unsigned i, enum engine_op op, uint64_t sector)
{
    assert_true(i < store_logged(s));
    assert_int_equal(s->log[i].op, op);
    assert_int_equal(s->log[i].offset, sector * 512);
}

static void barrier_orders_its_neighbours(void **state)
{
    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct fixture f = up(persistent);
        struct blkif_segment seg[3] = {guest_seg(40, 0, 7), guest_seg(41, 0, 7),
                                       guest_seg(42, 0, 7)};
        store_hold(f.s, true);
        guest_rw(f.g, BLKIF_OP_WRITE, 1, 8, &seg[0], 1);
        guest_rw(f.g, BLKIF_OP_WRITE, 2, 16, &seg[1], 1);
        guest_rw(f.g, BLKIF_OP_WRITE_BARRIER, 3, 24, &seg[2], 1);
        guest_rw(f.g, BLKIF_OP_WRITE, 4, 32, &seg[0], 1);
        guest_push(f.g);
        store_wait_held(f.s, 2);
        usleep(20000); /* whoever would break the order has had the time to */
        assert_int_equal(store_logged(f.s), 2);
        store_let_go(f.s, 1);
        assert_int_equal(guest_response(f.g).id, 1);
        assert_int_equal(store_logged(f.s), 2); /* one write is still out */
        store_let_go(f.s, 1);
        assert_int_equal(guest_response(f.g).id, 2);
        for (unsigned step = 0; step < 3; step++) {
            store_wait_logged(f.s, 3 + step);
            usleep(5000);
            assert_int_equal(store_logged(f.s), 3 + step); /* and not the write behind it */
            store_let_go(f.s, 1);
        }
        struct blkif_response rsp = guest_response(f.g);
        assert_int_equal(rsp.id, 3);
        assert_int_equal(rsp.operation, BLKIF_OP_WRITE_BARRIER);
        store_wait_logged(f.s, 6);
        store_let_go(f.s, 1);
        assert_int_equal(guest_response(f.g).id, 4);
        logged(f.s, 2, ENGINE_FLUSH, 0);
        logged(f.s, 3, ENGINE_WRITE, 24);
        logged(f.s, 4, ENGINE_FLUSH, 0);
        logged(f.s, 5, ENGINE_WRITE, 32);
        down(f);
    }
}

static void first_of_two(struct ring_config *c)
{
    c->index = 0;
}

static void second_of_two(struct ring_config *c)
{
    c->index = 1;
}

static void barrier_orders_every_ring_of_the_disk(void **state)
{
    struct blkif_segment seg = guest_seg(40, 0, 7);
    struct ring_gate *gate;
    struct store *s[2];
    struct guest *g[2];

    (void)state;
    assert_int_equal(ring_gate_create(2, &gate), 0);
    for (int i = 0; i < 2; i++) {
        s[i] = store_new(DISK_BYTES);
        s[i]->hold = true;
        g[i] = guest_new(s[i], BLKIF_ABI_X86_64, 0);
        g[i]->gate = gate;
        guest_connect(g[i], true, i ? second_of_two : first_of_two);
    }
    guest_rw(g[1], BLKIF_OP_WRITE, 1, 8, &seg, 1);
    guest_push(g[1]);
    store_wait_held(s[1], 1);
    guest_rw(g[0], BLKIF_OP_WRITE_BARRIER, 2, 16, &seg, 1);
    guest_push(g[0]);
    usleep(20000);
    assert_int_equal(store_logged(s[0]), 0); /* the other ring's write is still out */
    store_let_go(s[1], 1);
    assert_int_equal(guest_response(g[1]).id, 1);
    store_wait_logged(s[0], 1); /* now it starts */
    guest_rw(g[1], BLKIF_OP_WRITE, 3, 24, &seg, 1);
    guest_push(g[1]);
    for (unsigned step = 1; step <= 3; step++) {
        usleep(10000);
        assert_int_equal(store_logged(s[1]), 1); /* the other ring waits */
        store_wait_logged(s[0], step);
        store_let_go(s[0], 1);
    }
    assert_int_equal(guest_response(g[0]).id, 2);
    store_wait_logged(s[1], 2);
    store_let_go(s[1], 1);
    assert_int_equal(guest_response(g[1]).id, 3);

    /* What the guest published on the other ring before the barrier is before it, though that
     * ring's thread may not have woken yet. */
    store_hold(s[0], false);
    store_hold(s[1], false);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned before = store_logged(s[1]);
        guest_rw(g[1], BLKIF_OP_WRITE, 20, 8, &seg, 1);
        guest_push(g[1]);
        guest_rw(g[0], BLKIF_OP_WRITE_BARRIER, 21, 8, &seg, 1);
        guest_push(g[0]);
        assert_int_equal(guest_response(g[0]).id, 21);
        assert_int_equal(store_logged(s[1]), before + 1);
        assert_int_equal(guest_response(g[1]).id, 20);
    }

    /* Two barriers at once: one after the other, no deadlock. */
    for (unsigned round = 0; round < 200; round++) {
        for (int i = 0; i < 2; i++) {
            guest_rw(g[i], BLKIF_OP_WRITE, 10, 8, &seg, 1);
            guest_rw(g[i], BLKIF_OP_WRITE_BARRIER, 11, 8, &seg, 1);
            guest_rw(g[i], BLKIF_OP_WRITE, 12, 8, &seg, 1);
            guest_push(g[i]);
        }
        for (int i = 0; i < 2; i++)
            for (unsigned k = 10; k < 13; k++)
                assert_int_equal(guest_response(g[i]).id, k);
    }
    for (int i = 0; i < 2; i++) {
        guest_disconnect(g[i]);
        g[i]->gate = NULL;
        guest_free(g[i]);
        store_free(s[i]);
    }
    ring_gate_destroy(gate);
}

static void empty_barrier_and_flush(void **state)
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_WRITE_BARRIER, 0, NULL, 0), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_FLUSH, 0, NULL, 0), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_FLUSH, 48, &seg, 1), BLKIF_RSP_OKAY);
    logged(f.s, 0, ENGINE_FLUSH, 0);
    logged(f.s, 1, ENGINE_FLUSH, 0);
    logged(f.s, 2, ENGINE_FLUSH, 0);
    logged(f.s, 3, ENGINE_WRITE, 48);
    assert_int_equal(f.g->stats.inflight, 0);
    down(f);
}

static void barrier_whose_grant_is_bad_holds_nobody(void **state)
{
    struct fixture f = up(false);
    struct blkif_segment bad = guest_seg(9999, 0, 7), ok = guest_seg(40, 0, 7);

    (void)state;
    f.s->hold = true;
    guest_rw(f.g, BLKIF_OP_READ, 1, 0, &ok, 1);
    guest_rw(f.g, BLKIF_OP_WRITE_BARRIER, 2, 8, &bad, 1);
    guest_rw(f.g, BLKIF_OP_READ, 3, 16, &ok, 1);
    guest_push(f.g);
    store_wait_held(f.s, 1);
    store_let_go(f.s, 1);
    assert_int_equal(guest_response(f.g).id, 1);
    struct blkif_response rsp = guest_response(f.g);
    assert_int_equal(rsp.id, 2);
    assert_int_equal(rsp.status, BLKIF_RSP_ERROR);
    store_wait_logged(f.s, 2);
    store_let_go(f.s, 1);
    assert_int_equal(guest_response(f.g).id, 3);
    down(f);
}

static void stop_finishes_what_was_taken(void **state)
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    f.s->hold = true;
    guest_rw(f.g, BLKIF_OP_WRITE, 1, 8, &seg, 1);
    guest_push(f.g);
    store_wait_held(f.s, 1);
    ring_stop(f.g->ring);
    usleep(20000);
    guest_rw(f.g, BLKIF_OP_WRITE, 2, 16, &seg, 1); /* too late: stays in the ring */
    guest_push(f.g);
    store_let_go(f.s, 1);
    assert_int_equal(guest_response(f.g).id, 1);
    ring_destroy(f.g->ring);
    f.g->ring = NULL;
    assert_int_equal(store_logged(f.s), 1);
    assert_int_equal(f.g->maps, 0);
    /* The next life takes up where this one ended. */
    f.s->hold = false;
    guest_connect(f.g, true, NULL);
    assert_int_equal(guest_response(f.g).id, 2);
    down(f);
}

static void pause_answers_what_was_taken_and_loses_nothing(void **state)
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);
    uint64_t n;

    (void)state;
    for (int round = 0; round < 3; round++) {
        unsigned before = store_logged(f.s);
        store_hold(f.s, true);
        guest_rw(f.g, BLKIF_OP_WRITE, 1, 8, &seg, 1);
        guest_push(f.g);
        store_wait_logged(f.s, before + 1);
        ring_pause(f.g->ring, true);
        usleep(10000);
        assert_false(ring_resting(f.g->ring)); /* one is still out */
        guest_rw(f.g, BLKIF_OP_WRITE, 2, 16, &seg, 1);
        guest_push(f.g);
        store_let_go(f.s, 1);
        assert_int_equal(guest_response(f.g).id, 1);
        while (!ring_resting(f.g->ring))
            while (read(f.g->event_fd, &n, sizeof(n)) != sizeof(n))
                usleep(1000);
        usleep(10000);
        assert_int_equal(store_logged(f.s), before + 1); /* the second waits in the ring */
        store_hold(f.s, false);
        ring_pause(f.g->ring, false);
        assert_int_equal(guest_response(f.g).id, 2);
    }
    down(f);
}

static void resting_is_never_of_an_earlier_pause(void **state)
{
    struct fixture f = up(true);

    (void)state;
    for (int round = 0; round < 2000; round++) {
        ring_pause(f.g->ring, true);
        ring_pause(f.g->ring, false);
        assert_false(ring_resting(f.g->ring));
        ring_pause(f.g->ring, true);
        while (!ring_resting(f.g->ring))
            sched_yield();
        unsigned before = store_logged(f.s);
        struct blkif_segment seg = guest_seg(40, 0, 7);
        guest_rw(f.g, BLKIF_OP_WRITE, 1, 8, &seg, 1);
        guest_push(f.g);
        sched_yield();
        assert_int_equal(store_logged(f.s), before);
        ring_pause(f.g->ring, false);
        assert_int_equal(guest_response(f.g).id, 1);
    }
    down(f);
}

static void half_the_disk(struct ring_config *c)
{
    c->limits.nr_sectors /= 2;
}

static void resize_holds_for_what_is_taken_next(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg = guest_seg(40, 0, 7);
    uint64_t half = DISK_BYTES / 512 / 2;

    (void)state;
    guest_connect(g, true, half_the_disk);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, half - 8, &seg, 1), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, half, &seg, 1), BLKIF_RSP_ERROR);
    ring_resize(g->ring, half * 2);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, half, &seg, 1), BLKIF_RSP_OKAY);
    ring_resize(g->ring, 8);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 1, &seg, 1), BLKIF_RSP_ERROR);
    guest_free(g);
    store_free(s);
}

static void storage_errors_become_statuses(void **state)
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    f.s->result = -EIO;
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_ERROR);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_FLUSH, 0, NULL, 0), BLKIF_RSP_ERROR);
    f.s->result = -EOPNOTSUPP;
    guest_discard(f.g, 1, 0, 8, 0);
    guest_push(f.g);
    assert_int_equal(guest_response(f.g).status, BLKIF_RSP_EOPNOTSUPP);
    f.s->result = 0;
    f.s->submit_result = -EBADF;
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_ERROR);
    f.s->submit_result = 0;
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_OKAY);
    assert_int_equal(f.g->stats.errors, 4);
    down(f);
}

static void a_burst_is_one_notification(void **state)
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    f.s->hold = true;
    for (unsigned i = 0; i < 32; i++)
        guest_rw(f.g, BLKIF_OP_READ, i, 0, &seg, 1);
    guest_push(f.g);
    store_wait_held(f.s, 32);
    unsigned before = f.g->notifies;
    store_let_go(f.s, 32);
    for (unsigned i = 0; i < 32; i++)
        guest_response(f.g);
    guest_disconnect(f.g);
    assert_int_equal(f.g->notifies - before, 1);
    down(f);
}

static void event_storm_without_requests(void **state) /* XSA-332 */
{
    struct fixture f = up(true);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    for (int i = 0; i < 100000; i++)
        guest_notify(f.g);
    /* A storm that goes on: events that find nothing are not answered one by one. */
    uint64_t before = READ_ONCE(f.g->stats.empty_wakeups), start = loop_now_ms();
    for (int i = 0; i < 2000; i++) {
        guest_notify(f.g);
        sched_yield();
    }
    /* At most 8 in a pause of 10 ms, however long the loop took. */
    uint64_t pauses = (loop_now_ms() - start) / 10 + 2;
    assert_in_range(READ_ONCE(f.g->stats.empty_wakeups) - before, 0, 16 + 8 * pauses);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_OKAY);
    guest_disconnect(f.g);
    assert_int_equal(f.g->notifies, 1); /* never without a response: a guest that counts gives up */
    down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barrier_orders_its_neighbours),
        cmocka_unit_test(barrier_orders_every_ring_of_the_disk),
        cmocka_unit_test(empty_barrier_and_flush),
        cmocka_unit_test(barrier_whose_grant_is_bad_holds_nobody),
        cmocka_unit_test(stop_finishes_what_was_taken),
        cmocka_unit_test(pause_answers_what_was_taken_and_loses_nothing),
        cmocka_unit_test(resting_is_never_of_an_earlier_pause),
        cmocka_unit_test(resize_holds_for_what_is_taken_next),
        cmocka_unit_test(storage_errors_become_statuses),
        cmocka_unit_test(a_burst_is_one_notification),
        cmocka_unit_test(event_storm_without_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
