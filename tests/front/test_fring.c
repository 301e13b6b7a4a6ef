/* SPDX-License-Identifier: MIT
 *
 * The frontend's ring against the macros of xen/io/ring.h: sizes, free slots, and the rule when the
 * other side is notified, also where the indices wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "front/fring.h"

struct xen64 {
    uint8_t bytes[112];
};
struct xen32 {
    uint8_t bytes[108];
};
typedef uint32_t RING_IDX;
#define __XEN_INTERFACE_VERSION__ 0x00040d00
#define xen_mb()                  __sync_synchronize()
#define xen_wmb()                 __sync_synchronize()
#include <xen/io/ring.h>
DEFINE_RING_TYPES(ring64, struct xen64, struct xen64);
DEFINE_RING_TYPES(ring32, struct xen32, struct xen32);

static void as_many_entries_as_xen_counts(void **state)
{
    for (uint32_t order = 0; order <= 4; order++) {
        uint32_t bytes = 4096u << order;

        assert_int_equal(fring_entries(bytes, 112), __CONST_RING_SIZE(ring64, bytes));
        assert_int_equal(fring_entries(bytes, 108), __CONST_RING_SIZE(ring32, bytes));
    }
}

static void slots_lie_where_xen_puts_them(void **state)
{
    static _Alignas(64) uint8_t page[8192];
    struct ring32_front_ring xen;
    struct fring r;

    fring_init(&r, page, sizeof(page), 108, 0xfffffff0u, false);
    FRONT_RING_ATTACH(&xen, (struct ring32_sring *)page, 0xfffffff0u, sizeof(page));
    for (uint32_t i = 0xfffffff0u; i != 200; i++)
        assert_ptr_equal(fring_slot(&r, i), RING_GET_REQUEST(&xen, i));
}

/* All distances between the indices, around the wrap: we must say what the macro says. */
static void notifies_exactly_when_xen_does(void **state)
{
    static _Alignas(64) uint8_t ours[4096], theirs[4096];
    struct ring64_front_ring xen;
    struct fring r;
    int notify;

    for (uint32_t first = 0xffffffc0u; first != 8; first++)
        for (uint32_t pushed = 1; pushed <= 32; pushed++)
            for (int event = -34; event <= 34; event++) {
                fring_init(&r, ours, sizeof(ours), 112, first, false);
                memcpy(theirs, ours, sizeof(ours));
                FRONT_RING_ATTACH(&xen, (struct ring64_sring *)theirs, first, sizeof(theirs));
                r.shared->req_event = xen.sring->req_event = first + (uint32_t)event;
                r.req_prod_pvt += pushed;
                xen.req_prod_pvt += pushed;
                RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&xen, notify);
                assert_int_equal(fring_push(&r), notify);
                assert_int_equal(r.shared->req_prod, xen.sring->req_prod);
                assert_int_equal(fring_free(&r), RING_FREE_REQUESTS(&xen));
            }
}

static void a_push_of_nothing_notifies_nobody(void **state)
{
    static _Alignas(64) uint8_t page[4096];
    struct fring r;

    fring_init(&r, page, sizeof(page), 112, 7, false);
    r.shared->req_event = 7;
    assert_false(fring_push(&r));
    r.req_prod_pvt++;
    r.shared->req_event = 8;
    assert_true(fring_push(&r));
    assert_false(fring_push(&r));
}

static void responses_are_counted_up_to_what_was_published(void **state)
{
    static _Alignas(64) uint8_t page[4096];
    struct fring r;

    fring_init(&r, page, sizeof(page), 112, 0xfffffffeu, false);
    r.req_prod_pvt += 4;
    assert_int_equal(fring_responses(&r), 0);
    r.shared->rsp_prod = 0xffffffffu; /* filled, but not yet the backend's */
    assert_int_equal(fring_responses(&r), -1);
    fring_push(&r);
    assert_int_equal(fring_responses(&r), 1);
    r.shared->rsp_prod = 2;
    assert_int_equal(fring_responses(&r), 4);
    r.shared->rsp_prod = 3;
    assert_int_equal(fring_responses(&r), -1);
    r.shared->rsp_prod = 0xfffffffdu;
    assert_int_equal(fring_responses(&r), -1);
}

static void arming_sees_what_came_before(void **state)
{
    static _Alignas(64) uint8_t page[4096];
    struct fring r;

    fring_init(&r, page, sizeof(page), 112, 0, false);
    assert_false(fring_arm(&r));
    assert_int_equal(r.shared->rsp_event, 1);
    r.rsp_cons = 5;
    r.shared->rsp_prod = 6;
    assert_true(fring_arm(&r));
    assert_int_equal(r.shared->rsp_event, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_entries_as_xen_counts),
        cmocka_unit_test(slots_lie_where_xen_puts_them),
        cmocka_unit_test(notifies_exactly_when_xen_does),
        cmocka_unit_test(a_push_of_nothing_notifies_nobody),
        cmocka_unit_test(responses_are_counted_up_to_what_was_published),
        cmocka_unit_test(arming_sees_what_came_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
