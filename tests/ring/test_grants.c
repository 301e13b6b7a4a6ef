/* SPDX-License-Identifier: MIT
 *
 * Grants that are bad, foreign, read-only, shared between segments, out of supply: only the request
 * concerned fails, and nothing stays mapped.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/barrier.h"
#include "guest.h"

#define DISK_BYTES (1u << 20)

static void cap_of_four(struct ring_config *c)
{
    c->persistent_max = 4;
}

/* XSA-71, XSA-365 and their kin: each of the 2^11 patterns of good and bad grants. */
static void every_pattern_of_bad_grants(void **state)
{
    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct store *s = store_new(DISK_BYTES);
        struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
        guest_connect(g, persistent, NULL);
        for (unsigned pattern = 0; pattern < 1u << 11; pattern++) {
            struct blkif_segment seg[11];
            for (unsigned i = 0; i < 11; i++)
                seg[i] = guest_seg(pattern >> i & 1 ? 9999 + i : 40 + i, 0, 7);
            int want = pattern ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
            assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, seg, 11), want);
            assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, seg, 11), want);
        }
        assert_int_equal(g->maps, persistent ? 1 + 11 : 1);
        guest_free(g);
        store_free(s);
    }
}

static void read_only_grant(void **state)
{
    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct store *s = store_new(DISK_BYTES);
        struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
        struct blkif_segment seg = guest_seg(40, 0, 7);
        g->grant[40] = GRANT_RO;
        memset(guest_page(g, 40), 0x77, 4096);
        guest_connect(g, persistent, NULL);
        assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_ERROR);
        assert_int_equal(guest_page(g, 40)[0], 0x77);
        assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_OKAY);
        assert_int_equal(s->bytes[4095], 0x77);
        guest_free(g);
        store_free(s);
    }
}

static void one_gref_in_several_segments_and_requests(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg[3] = {guest_seg(40, 0, 1), guest_seg(40, 2, 3), guest_seg(40, 4, 7)};

    (void)state;
    for (unsigned i = 0; i < 4096; i++)
        s->bytes[i] = (unsigned char)(i >> 4);
    guest_connect(g, true, NULL);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, seg, 3), BLKIF_RSP_OKAY);
    assert_memory_equal(guest_page(g, 40), s->bytes, 4096);
    s->hold = true;
    guest_rw(g, BLKIF_OP_WRITE, 1, 100, seg, 3);
    guest_rw(g, BLKIF_OP_WRITE, 2, 200, seg, 3);
    guest_push(g);
    store_wait_held(s, 2);
    store_let_go(s, 2);
    assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
    assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
    assert_memory_equal(guest_page(g, 40), s->bytes + 100 * 512, 4096);
    assert_memory_equal(guest_page(g, 40), s->bytes + 200 * 512, 4096);
    assert_int_equal(g->maps, 1 + 1); /* once, though named six times */
    guest_free(g);
    store_free(s);
}

static void over_the_cap_is_copied(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);

    (void)state;
    guest_connect(g, true, cap_of_four);
    for (unsigned i = 0; i < 100; i++) {
        struct blkif_segment seg = guest_seg(40 + i, 0, 7);
        memset(guest_page(g, 40 + i), (int)i, 4096);
        assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, i * 8, &seg, 1), BLKIF_RSP_OKAY);
        assert_int_equal(s->bytes[i * 4096 + 4095], i);
    }
    assert_int_equal(g->maps, 1 + 4);
    guest_free(g);
    store_free(s);
}

static void cap_of_twenty(struct ring_config *c)
{
    c->persistent_max = 20;
}

static void use_page(struct guest *g, uint32_t gref)
{
    struct blkif_segment seg = guest_seg(gref, 0, 7);

    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_OKAY);
}

static unsigned mapped_now(struct guest *g, uint32_t gref)
{
    pthread_mutex_lock(&g->lock);
    unsigned n = g->mapped[gref];
    pthread_mutex_unlock(&g->lock);
    return n;
}

static void the_longest_unused_makes_room(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);

    (void)state;
    guest_connect(g, true, cap_of_twenty);
    for (unsigned i = 0; i < 20; i++)
        use_page(g, 40 + i);
    for (unsigned i = 0; i < 20; i++)
        if (i != 13)
            use_page(g, 40 + i);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(mapped_now(g, 40 + i), 1);
    use_page(g, 100); /* the first time room is made at once */
    assert_int_equal(mapped_now(g, 100), 1);
    assert_int_equal(mapped_now(g, 53), 0); /* and it was not the lowest gref that had to go */
    assert_int_equal(mapped_now(g, 40), 1);
    use_page(g, 101); /* soon after: copied, nothing is thrown out */
    assert_int_equal(mapped_now(g, 101), 0);
    for (unsigned i = 0; i < 1000; i++) /* much to and fro leaves the table whole */
        use_page(g, 40 + (i * 7) % 150);
    assert_int_equal(g->maps, 1 + 20);
    guest_free(g);
    store_free(s);
}

static void unused_for_50_ms(struct ring_config *c)
{
    c->persistent_unused_ms = 50;
}

static void unused_grants_are_unmapped_from_an_idle_ring(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);

    (void)state;
    guest_connect(g, true, unused_for_50_ms);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 30; i++)
            use_page(g, 40 + i);
        for (unsigned i = 0; i < 30; i++)
            while (mapped_now(g, 40 + i))
                usleep(1000);
    }
    guest_disconnect(g);
    assert_true(g->stats.purged >= 90);
    guest_free(g);
    store_free(s);
}

static void indirect_and_quick_squeeze(struct ring_config *c)
{
    c->limits.max_indirect = 128;
    c->persistent_unused_ms = 50;
}

#define BIG      20 /* requests of 128 pages each; 8 of them fill the bound of 1024 */
#define BIG_FIT  8
#define PAGES_OK 1024

static void push_big_writes(struct guest *g)
{
    struct blkif_segment seg[128];

    for (unsigned i = 0; i < 128; i++)
        seg[i] = guest_seg(40, 0, 7); /* one page of the guest is enough to ask for 512 KiB here */
    for (unsigned i = 0; i < BIG; i++)
        guest_indirect(g, BLKIF_OP_WRITE, i, 0, 33, seg, 128);
    guest_push(g);
}

static void what_a_guest_makes_resident_is_bounded(void **state) /* XSA-300 */
{
    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct store *s = store_new(DISK_BYTES);
        struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
        s->hold = true;
        guest_connect(g, persistent, indirect_and_quick_squeeze);
        push_big_writes(g);
        store_wait_held(s, BIG_FIT);
        usleep(20000);
        assert_int_equal(store_logged(s), BIG_FIT);
        assert_in_range(READ_ONCE(g->stats.bounce_pages), PAGES_OK - 128, PAGES_OK);
        for (unsigned i = 0; i < BIG; i++) { /* the others get their turn, one by one */
            store_wait_held(s, 1);
            store_let_go(s, 1);
            assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
            assert_in_range(READ_ONCE(g->stats.bounce_pages), 0, PAGES_OK);
        }
        while (READ_ONCE(g->stats.bounce_pages)) /* an idle ring gives them back */
            usleep(1000);
        push_big_writes(g);
        store_wait_logged(s, BIG + BIG_FIT);
        ring_stop(g->ring); /* with one consumed that waits for memory */
        store_hold(s, false);
        store_let_go(s, BIG_FIT);
        for (unsigned i = 0; i <= BIG_FIT; i++)
            assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
        guest_free(g);
        store_free(s);
    }
}

static void indirect_128(struct ring_config *c)
{
    c->limits.max_indirect = 128;
}

/* Those whose memory it waits for may be answered without the storage: then no completion comes. */
static void who_waits_for_memory_is_not_forgotten(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);

    (void)state;
    guest_connect(g, true, indirect_128);
    g->fail_copy = -EFAULT;
    for (int round = 0; round < 20; round++) {
        push_big_writes(g);
        for (unsigned i = 0; i < BIG; i++)
            assert_int_equal(guest_response(g).status, BLKIF_RSP_ERROR);
    }
    guest_free(g);
    store_free(s);
}

static void map_fails_for_lack_of_room(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    guest_connect(g, true, NULL);
    g->fail_map = -ENOSPC;
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_OKAY); /* copied */
    g->fail_map = 0;
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_OKAY); /* mapped again */
    assert_int_equal(g->maps, 1 + 1);
    guest_free(g);
    store_free(s);
}

static void failed_copy_call_is_total_whatever_the_statuses_say(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    memset(s->bytes, 0xee, DISK_BYTES);
    guest_connect(g, false, NULL);
    g->fail_copy = -EFAULT;
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_ERROR);
    assert_int_equal(s->bytes[0], 0xee);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_ERROR);
    g->fail_copy = 0;
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_OKAY);
    guest_free(g);
    store_free(s);
}

static void copies_of_a_pass_are_one_call(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);

    (void)state;
    guest_connect(g, false, NULL);
    for (unsigned i = 0; i < 20; i++) {
        struct blkif_segment seg[2] = {guest_seg(40 + i, 0, 7), guest_seg(80 + i, 0, 7)};
        guest_rw(g, BLKIF_OP_WRITE, i, i * 16, seg, 2);
    }
    guest_push(g);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
    guest_disconnect(g);
    assert_int_equal(g->copy_calls, 1);
    assert_int_equal(g->stats.copied, 40);
    guest_free(g);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_of_bad_grants),
        cmocka_unit_test(read_only_grant),
        cmocka_unit_test(one_gref_in_several_segments_and_requests),
        cmocka_unit_test(over_the_cap_is_copied),
        cmocka_unit_test(the_longest_unused_makes_room),
        cmocka_unit_test(unused_grants_are_unmapped_from_an_idle_ring),
        cmocka_unit_test(what_a_guest_makes_resident_is_bounded),
        cmocka_unit_test(who_waits_for_memory_is_not_forgotten),
        cmocka_unit_test(map_fails_for_lack_of_room),
        cmocka_unit_test(failed_copy_call_is_total_whatever_the_statuses_say),
        cmocka_unit_test(copies_of_a_pass_are_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
