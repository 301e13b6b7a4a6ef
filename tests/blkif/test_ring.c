/* SPDX-License-Identifier: MIT
 *
 * The backend's end of a ring: indices a guest may and may not set, copies, responses, and the rule
 * of who notifies whom, compared with Xen's own macros.
 */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "facts.h"

#include "blkif/features.h"
#include "blkif/ring.h"

struct page {
    _Alignas(4096) unsigned char bytes[4096];
};

static struct page shared;

static struct blkif_sring *sring(void)
{
    return (struct blkif_sring *)shared.bytes;
}

/* A ring that has seen `base` requests, `taken` of which have no response yet. */
static struct blkif_ring ring_at(enum blkif_abi abi, uint32_t base, uint32_t taken)
{
    struct blkif_ring ring;

    memset(&shared, 0, sizeof(shared));
    sring()->req_prod = base;
    sring()->rsp_prod = base;
    blkif_ring_attach(&ring, &shared, abi, 1);
    ring.req_cons += taken;
    return ring;
}

static const uint32_t bases[] = {0, 1, 31, 32, 0x7fffffff, 0x80000000, 0xffffffe0, 0xffffffff};

static void a_ring_is_attached_at_the_shared_response_index(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 0xfffffff0, 0);

    assert_int_equal(ring.req_cons, 0xfffffff0);
    assert_int_equal(ring.rsp_prod_pvt, 0xfffffff0);
    assert_int_equal(ring.entries, 32);
    assert_int_equal(ring.slot_bytes, 112);
    /* Two requests are there from before: a backend that comes back finds them. */
    sring()->req_prod = 0xfffffff2;
    assert_int_equal(blkif_ring_pending(&ring), 2);
}

static void requests_are_counted_for_every_position_of_the_indices(void **state)
{
    for (unsigned b = 0; b < COUNT(bases); b++) {
        for (uint32_t taken = 0; taken <= 32; taken++) {
            struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, bases[b], taken);

            for (uint32_t produced = 0; produced <= 70; produced++) {
                int expected =
                    produced > 32 || produced < taken ? -EPROTO : (int)(produced - taken);

                sring()->req_prod = bases[b] + produced;
                assert_int_equal(blkif_ring_pending(&ring), expected);
            }
        }
    }
}

static void exactly_a_full_ring_is_legal(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 5, 0);

    sring()->req_prod = 5 + 32;
    assert_int_equal(blkif_ring_pending(&ring), 32);
}

static void one_more_than_a_full_ring_is_refused(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 5, 0);

    sring()->req_prod = 5 + 33;
    assert_int_equal(blkif_ring_pending(&ring), -EPROTO);
}

static void cve_2010_4247_a_huge_request_index_is_refused(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 5, 0);

    sring()->req_prod = 5 + 0x80000000u;
    assert_int_equal(blkif_ring_pending(&ring), -EPROTO);
    sring()->req_prod = 5 + 0xffffffffu;
    assert_int_equal(blkif_ring_pending(&ring), -EPROTO);
}

static void a_request_index_that_goes_backwards_is_refused(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 100, 3);

    for (uint32_t back = 1; back <= 40; back++) {
        sring()->req_prod = 103 - back;
        assert_int_equal(blkif_ring_pending(&ring), -EPROTO);
    }
}

static void indices_cross_two_to_the_32(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 0xfffffffe, 0);
    unsigned char copy[112];

    for (uint32_t i = 0; i < 8; i++) {
        sring()->req_prod = 0xfffffffe + i + 1;
        assert_int_equal(blkif_ring_pending(&ring), 1);
        blkif_ring_consume(&ring, copy);
        assert_int_equal(blkif_ring_pending(&ring), 0);
        blkif_ring_respond(&ring, i, 0, 0);
        sring()->rsp_event = sring()->rsp_prod + 1;
        assert_true(blkif_ring_publish(&ring));
        assert_int_equal(sring()->rsp_prod, 0xfffffffe + i + 1);
    }
    assert_int_equal(ring.req_cons, 6);
}

/* What this side has written is never read back. */
static void a_guest_that_overwrites_our_indices_changes_nothing(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 10, 0);
    unsigned char copy[112];

    sring()->req_prod = 12;
    sring()->rsp_prod = 0x12345678;
    sring()->req_event = 0x9abcdef0;
    assert_int_equal(blkif_ring_pending(&ring), 2);
    blkif_ring_consume(&ring, copy);
    blkif_ring_respond(&ring, 1, 0, 0);
    sring()->rsp_event = 11;
    assert_true(blkif_ring_publish(&ring));
    assert_int_equal(sring()->rsp_prod, 11);
}

static void copy_every_slot(enum blkif_abi abi)
{
    struct blkif_ring ring = ring_at(abi, 0xfffffff0, 0);
    uint32_t bytes = blkif_slot_bytes(abi);
    unsigned char copy[128];

    for (unsigned i = 0; i < sizeof(shared.bytes) - 64; i++)
        shared.bytes[64 + i] = (unsigned char)(i * 7 + i / 251);
    sring()->req_prod = 0xfffffff0 + 32;
    for (uint32_t i = 0; i < 32; i++) {
        memset(copy, 0xa5, sizeof(copy));
        blkif_ring_consume(&ring, copy + 1); /* any alignment */
        assert_int_equal(copy[0], 0xa5);
        assert_memory_equal(copy + 1, shared.bytes + 64 + ((0xfffffff0 + i) % 32) * bytes, bytes);
        assert_int_equal(copy[1 + bytes], 0xa5);
    }
    assert_int_equal(blkif_ring_pending(&ring), 0);
}

static void a_request_is_copied_whole_and_nothing_beside_it(void **state)
{
    copy_every_slot(BLKIF_ABI_X86_64);
    copy_every_slot(BLKIF_ABI_X86_32);
}

static void a_consumed_copy_does_not_change_with_the_page(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 0, 0);
    unsigned char copy[112];

    memset(shared.bytes + 64, 0x11, 112);
    sring()->req_prod = 1;
    blkif_ring_consume(&ring, copy);
    memset(shared.bytes + 64, 0x22, 112);
    for (unsigned i = 0; i < sizeof(copy); i++)
        assert_int_equal(copy[i], 0x11);
}

static void respond_in(enum blkif_abi abi)
{
    struct blkif_ring ring = ring_at(abi, 33, 1);
    unsigned char *slot = shared.bytes + 64 + 1 * blkif_slot_bytes(abi);
    struct page before;
    uint64_t id;

    memset(shared.bytes + 64, 0xee, sizeof(shared.bytes) - 64);
    before = shared;
    blkif_ring_respond(&ring, 0x1122334455667788, 6, -2);
    memcpy(&id, slot, 8);
    assert_true(id == 0x1122334455667788);
    assert_int_equal(slot[8], 6);
    assert_int_equal(slot[10], 0xfe);
    assert_int_equal(slot[11], 0xff);
    /* Everything else, padding included, is as the guest left it; nothing is published. */
    memcpy(slot, before.bytes + (slot - shared.bytes), 9);
    memcpy(slot + 10, before.bytes + (slot - shared.bytes) + 10, 2);
    assert_memory_equal(shared.bytes, before.bytes, sizeof(shared.bytes));
}

static void xsa_216_a_response_leaves_the_padding_of_its_slot_alone(void **state)
{
    respond_in(BLKIF_ABI_X86_64);
    respond_in(BLKIF_ABI_X86_32);
}

static void responses_are_visible_only_once_published(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 7, 3);

    for (int i = 0; i < 3; i++)
        blkif_ring_respond(&ring, 1, 0, 0);
    assert_int_equal(sring()->rsp_prod, 7);
    blkif_ring_publish(&ring);
    assert_int_equal(sring()->rsp_prod, 10);
}

static void a_publish_without_a_response_never_notifies(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 7, 3);

    for (uint32_t event = 0; event < 64; event++) {
        sring()->rsp_event = event;
        assert_false(blkif_ring_publish(&ring));
    }
}

/* Indices are multiples of 2^24 here, so that ours compute as if they had 8 bits: every one of the
 * 2^24 cases is compared with what Xen's macro says with 8-bit indices. */
static void notify_rule_is_xens_for_every_index_of_8_bits(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 0, 0);

    for (uint32_t old = 0; old < 256; old++) {
        for (uint32_t new = 0; new < 256; new ++) {
            for (uint32_t event = 0; event < 256; event++) {
                ring.rsp_published = old << 24;
                ring.rsp_prod_pvt = new << 24;
                sring()->rsp_event = event << 24;
                if (blkif_ring_publish(&ring) !=
                    xen_publish8((uint8_t)old, (uint8_t) new, (uint8_t)event))
                    fail_msg("old %u new %u event %u", old, new, event);
            }
        }
    }
}

static void notify_rule_is_xens_around_every_edge_of_32_bits(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 0, 0);

    for (unsigned b = 0; b < COUNT(bases); b++) {
        for (uint32_t n = 0; n <= 33; n++) {
            for (uint32_t e = 0; e < 100; e++) {
                uint32_t old = bases[b], new = old + n, event = old + e - 50;
                struct xen_publish xen = xen_publish32(old, new, event);

                ring.rsp_published = old;
                ring.rsp_prod_pvt = new;
                sring()->rsp_prod = old;
                sring()->rsp_event = event;
                assert_int_equal(blkif_ring_publish(&ring), xen.notify);
                assert_int_equal(sring()->rsp_prod, xen.rsp_prod);
            }
        }
    }
}

static void final_check_is_xens_wherever_the_index_is_legal(void **state)
{
    for (unsigned b = 0; b < COUNT(bases); b++) {
        for (uint32_t taken = 0; taken <= 32; taken++) {
            for (uint32_t produced = taken; produced <= 32; produced++) {
                struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, bases[b], taken);
                struct xen_final xen =
                    xen_final_check(bases[b] + taken, bases[b], bases[b] + produced);

                sring()->req_prod = bases[b] + produced;
                sring()->req_event = 0xdeadbeef;
                assert_int_equal(blkif_ring_arm(&ring), xen.work);
                assert_int_equal(sring()->req_event, xen.req_event);
            }
        }
    }
}

static void a_ring_with_requests_does_not_ask_for_an_event(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 4, 0);

    sring()->req_prod = 5;
    sring()->req_event = 77;
    assert_true(blkif_ring_arm(&ring));
    assert_int_equal(sring()->req_event, 77);
}

static void a_broken_index_keeps_the_thread_from_sleeping(void **state)
{
    struct blkif_ring ring = ring_at(BLKIF_ABI_X86_64, 4, 0);

    sring()->req_prod = 4 + 33;
    assert_true(blkif_ring_arm(&ring));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_attached_at_the_shared_response_index),
        cmocka_unit_test(requests_are_counted_for_every_position_of_the_indices),
        cmocka_unit_test(exactly_a_full_ring_is_legal),
        cmocka_unit_test(one_more_than_a_full_ring_is_refused),
        cmocka_unit_test(cve_2010_4247_a_huge_request_index_is_refused),
        cmocka_unit_test(a_request_index_that_goes_backwards_is_refused),
        cmocka_unit_test(indices_cross_two_to_the_32),
        cmocka_unit_test(a_guest_that_overwrites_our_indices_changes_nothing),
        cmocka_unit_test(a_request_is_copied_whole_and_nothing_beside_it),
        cmocka_unit_test(a_consumed_copy_does_not_change_with_the_page),
        cmocka_unit_test(xsa_216_a_response_leaves_the_padding_of_its_slot_alone),
        cmocka_unit_test(responses_are_visible_only_once_published),
        cmocka_unit_test(a_publish_without_a_response_never_notifies),
        cmocka_unit_test(notify_rule_is_xens_for_every_index_of_8_bits),
        cmocka_unit_test(notify_rule_is_xens_around_every_edge_of_32_bits),
        cmocka_unit_test(final_check_is_xens_wherever_the_index_is_legal),
        cmocka_unit_test(a_ring_with_requests_does_not_ask_for_an_event),
        cmocka_unit_test(a_broken_index_keeps_the_thread_from_sleeping),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
