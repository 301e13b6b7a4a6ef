/* SPDX-License-Identifier: MIT
 *
 * Our layouts against the installed Xen headers, and against a table of the 32-bit offsets written
 * down by hand.
 */
#include "check.h"
#include "facts.h"

#include "blkif/features.h"
#include "blkif/layout.h"

#define OFFSET(abi, xen, ours, field)                                                              \
    {                                                                                              \
        xen "." #field, offsetof(struct blkif_##ours##abi, field)                                  \
    }
#define NUMBER(name)                                                                               \
    {                                                                                              \
#name, (long)name                                                                          \
    }

/* The order is that of xen_facts.c. */
#define OUR_FACTS(abi, ABI, RESPONSE_BYTES)                                                        \
    {                                                                                              \
        {"sizeof request", sizeof(struct blkif_rw##abi)},                                          \
            {"sizeof segment", sizeof(struct blkif_segment)}, {"sizeof response", RESPONSE_BYTES}, \
            {"entries of one page", (long)blkif_ring_entries(ABI, 1)},                             \
            {"entries of sixteen pages", (long)blkif_ring_entries(ABI, 16)},                       \
            OFFSET(, "sring", sring, req_prod), OFFSET(, "sring", sring, req_event),               \
            OFFSET(, "sring", sring, rsp_prod), OFFSET(, "sring", sring, rsp_event),               \
            {"sring.ring", BLKIF_RING_HEADER_BYTES}, OFFSET(abi, "request", rw, operation),        \
            OFFSET(abi, "request", rw, nr_segments), OFFSET(abi, "request", rw, handle),           \
            OFFSET(abi, "request", rw, id), OFFSET(abi, "request", rw, sector_number),             \
            OFFSET(abi, "request", rw, seg), OFFSET(abi, "request_discard", discard, operation),   \
            OFFSET(abi, "request_discard", discard, flag),                                         \
            OFFSET(abi, "request_discard", discard, handle),                                       \
            OFFSET(abi, "request_discard", discard, id),                                           \
            OFFSET(abi, "request_discard", discard, sector_number),                                \
            OFFSET(abi, "request_discard", discard, nr_sectors),                                   \
            OFFSET(abi, "request_indirect", indirect, operation),                                  \
            OFFSET(abi, "request_indirect", indirect, indirect_op),                                \
            OFFSET(abi, "request_indirect", indirect, nr_segments),                                \
            OFFSET(abi, "request_indirect", indirect, id),                                         \
            OFFSET(abi, "request_indirect", indirect, sector_number),                              \
            OFFSET(abi, "request_indirect", indirect, handle),                                     \
            OFFSET(abi, "request_indirect", indirect, indirect_grefs),                             \
            OFFSET(, "request_segment", segment, gref),                                            \
            OFFSET(, "request_segment", segment, first_sect),                                      \
            OFFSET(, "request_segment", segment, last_sect), OFFSET(, "response", response, id),   \
            OFFSET(, "response", response, operation), OFFSET(, "response", response, status),     \
            NUMBER(BLKIF_OP_READ), NUMBER(BLKIF_OP_WRITE), NUMBER(BLKIF_OP_WRITE_BARRIER),         \
            NUMBER(BLKIF_OP_FLUSH), NUMBER(BLKIF_OP_DISCARD), NUMBER(BLKIF_OP_INDIRECT),           \
            NUMBER(BLKIF_RSP_OKAY), NUMBER(BLKIF_RSP_ERROR), NUMBER(BLKIF_RSP_EOPNOTSUPP),         \
            NUMBER(BLKIF_DISCARD_SECURE), NUMBER(BLKIF_SEGS_PER_REQUEST),                          \
            NUMBER(BLKIF_INDIRECT_PAGES_MAX), NUMBER(BLKIF_INFO_CDROM),                            \
            NUMBER(BLKIF_INFO_REMOVABLE), NUMBER(BLKIF_INFO_READONLY),                             \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

static void compare(const struct fact *ours, const struct fact *xen)
{
    for (; xen->name; xen++, ours++) {
        assert_non_null(ours->name);
        assert_string_equal(ours->name, xen->name);
        if (ours->value != xen->value)
            fail_msg("%s: %ld here, %ld in Xen's header", ours->name, ours->value, xen->value);
    }
    assert_null(ours->name);
}

static void layout_of_a_64_bit_guest_is_that_of_the_xen_headers(void **state)
{
    const struct fact ours[] = OUR_FACTS(_x86_64, BLKIF_ABI_X86_64, 16);

    compare(ours, xen_facts_x86_64);
}

static void layout_of_a_32_bit_guest_is_that_of_the_xen_headers(void **state)
{
    const struct fact ours[] = OUR_FACTS(_x86_32, BLKIF_ABI_X86_32, sizeof(struct blkif_response));

    compare(ours, xen_facts_x86_32);
}

/* Written down from the protocol, not computed by a compiler. */
static void layout_of_a_32_bit_guest_is_the_one_written_down(void **state)
{
    assert_int_equal(offsetof(struct blkif_rw_x86_32, id), 4);
    assert_int_equal(offsetof(struct blkif_rw_x86_32, sector_number), 12);
    assert_int_equal(offsetof(struct blkif_rw_x86_32, seg), 20);
    assert_int_equal(offsetof(struct blkif_discard_x86_32, flag), 1);
    assert_int_equal(offsetof(struct blkif_discard_x86_32, id), 4);
    assert_int_equal(offsetof(struct blkif_discard_x86_32, sector_number), 12);
    assert_int_equal(offsetof(struct blkif_discard_x86_32, nr_sectors), 20);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, indirect_op), 1);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, nr_segments), 2);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, id), 4);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, sector_number), 12);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, handle), 20);
    assert_int_equal(offsetof(struct blkif_indirect_x86_32, indirect_grefs), 24);
    assert_int_equal(sizeof(struct blkif_rw_x86_32), 108);
    assert_int_equal(sizeof(struct blkif_response), 12);
}

static void a_ring_has_the_largest_power_of_two_of_slots_that_fits(void **state)
{
    const uint32_t pages[] = {1, 2, 4, 8, 16};
    const uint32_t entries[] = {32, 64, 128, 256, 512};

    for (unsigned i = 0; i < COUNT(pages); i++) {
        assert_int_equal(blkif_ring_entries(BLKIF_ABI_X86_64, pages[i]), entries[i]);
        assert_int_equal(blkif_ring_entries(BLKIF_ABI_X86_32, pages[i]), entries[i]);
    }
    assert_int_equal(blkif_ring_entries(BLKIF_ABI_X86_64, 0), 0);
    assert_int_equal(blkif_ring_entries(BLKIF_ABI_X86_64, 17), 0);
    assert_int_equal(blkif_ring_entries(BLKIF_ABI_X86_64, UINT32_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_of_a_64_bit_guest_is_that_of_the_xen_headers),
        cmocka_unit_test(layout_of_a_32_bit_guest_is_that_of_the_xen_headers),
        cmocka_unit_test(layout_of_a_32_bit_guest_is_the_one_written_down),
        cmocka_unit_test(a_ring_has_the_largest_power_of_two_of_slots_that_fits),
    };

    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
