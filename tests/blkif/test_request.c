/* SPDX-License-Identifier: MIT
 *
 * Decoding: the bytes of a slot, laid out by hand for each ABI, become the same private request.
 */
#include "check.h"

#include "blkif/features.h"
#include "blkif/request.h"

/* Where the fields are: the same request has these offsets in the two ABIs. */
struct offsets {
    enum blkif_abi abi;
    unsigned id, sector, tail; /* tail: segments, or a discard's count, or an indirect's handle */
    unsigned grefs;
};

static const struct offsets layouts[] = {
    {BLKIF_ABI_X86_64, 8, 16, 24, 28},
    {BLKIF_ABI_X86_32, 4, 12, 20, 24},
};

static void put(unsigned char *slot, unsigned at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        slot[at + i] = (unsigned char)(value >> (8 * i));
}

static void header(unsigned char *slot, const struct offsets *o, uint8_t op, uint64_t id,
                   uint64_t sector)
{
    memset(slot, 0xcc, 128);
    slot[0] = op;
    put(slot, o->id, id, 8);
    put(slot, o->sector, sector, 8);
}

static void a_read_with_eleven_segments_is_decoded_in_both_abis(void **state)
{
    for (unsigned l = 0; l < COUNT(layouts); l++) {
        const struct offsets *o = &layouts[l];
        unsigned char slot[128];
        struct blkif_request req;

        header(slot, o, BLKIF_OP_READ, 0x0102030405060708, 0x1112131415161718);
        slot[1] = 11;
        for (unsigned i = 0; i < 11; i++) {
            put(slot, o->tail + 8 * i, 1000 + i, 4);
            slot[o->tail + 8 * i + 4] = (unsigned char)(i % 8);
            slot[o->tail + 8 * i + 5] = 7;
        }
        blkif_request_decode(o->abi, slot, &req);
        assert_int_equal(req.operation, BLKIF_OP_READ);
        assert_true(req.id == 0x0102030405060708);
        assert_true(req.sector == 0x1112131415161718);
        assert_int_equal(req.nr_segments, 11);
        for (unsigned i = 0; i < 11; i++) {
            assert_int_equal(req.seg[i].gref, 1000 + i);
            assert_int_equal(req.seg[i].first_sect, i % 8);
            assert_int_equal(req.seg[i].last_sect, 7);
        }
    }
}

static void a_discard_is_decoded_in_both_abis(void **state)
{
    for (unsigned l = 0; l < COUNT(layouts); l++) {
        const struct offsets *o = &layouts[l];
        unsigned char slot[128];
        struct blkif_request req;

        header(slot, o, BLKIF_OP_DISCARD, 7, 0x8000000000000001);
        slot[1] = BLKIF_DISCARD_SECURE;
        put(slot, o->tail, 0xfffffffffffffffe, 8);
        blkif_request_decode(o->abi, slot, &req);
        assert_int_equal(req.operation, BLKIF_OP_DISCARD);
        assert_int_equal(req.flag, BLKIF_DISCARD_SECURE);
        assert_true(req.sector == 0x8000000000000001);
        assert_true(req.nr_sectors == 0xfffffffffffffffe);
        assert_int_equal(req.nr_segments, 0);
    }
}

static void an_indirect_request_is_decoded_in_both_abis(void **state)
{
    for (unsigned l = 0; l < COUNT(layouts); l++) {
        const struct offsets *o = &layouts[l];
        unsigned char slot[128];
        struct blkif_request req;

        header(slot, o, BLKIF_OP_INDIRECT, 42, 2048);
        slot[1] = BLKIF_OP_WRITE;
        put(slot, 2, 0x1234, 2);
        for (unsigned i = 0; i < 8; i++)
            put(slot, o->grefs + 4 * i, 0xa0000000 + i, 4);
        blkif_request_decode(o->abi, slot, &req);
        assert_int_equal(req.operation, BLKIF_OP_INDIRECT);
        assert_int_equal(req.indirect_op, BLKIF_OP_WRITE);
        assert_int_equal(req.nr_segments, 0x1234);
        assert_true(req.id == 42);
        assert_true(req.sector == 2048);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(req.indirect_grefs[i], 0xa0000000 + i);
    }
}

static void a_segment_count_of_255_is_kept_for_the_check_to_refuse(void **state)
{
    for (unsigned l = 0; l < COUNT(layouts); l++) {
        unsigned char slot[128];
        struct blkif_request req;

        header(slot, &layouts[l], BLKIF_OP_WRITE, 1, 1);
        slot[1] = 255;
        blkif_request_decode(layouts[l].abi, slot, &req);
        assert_int_equal(req.nr_segments, 255);
    }
}

/* Under the address sanitizer: a slot is never read beyond its end. */
static void nothing_beyond_the_slot_is_read(void **state)
{
    for (unsigned l = 0; l < COUNT(layouts); l++) {
        for (unsigned op = 0; op < 256; op++) {
            uint32_t bytes = blkif_slot_bytes(layouts[l].abi);
            unsigned char *slot = test_malloc(bytes);
            struct blkif_request req;

            memset(slot, 0xff, bytes);
            slot[0] = (unsigned char)op;
            blkif_request_decode(layouts[l].abi, slot, &req);
            assert_int_equal(req.operation, op);
            test_free(slot);
        }
    }
}

static void a_response_echoes_the_operation_and_of_an_indirect_request_the_inner_one(void **state)
{
    for (unsigned op = 0; op < 256; op++) {
        struct blkif_request req = {.operation = (uint8_t)op, .indirect_op = 0x5a};

        assert_int_equal(blkif_request_echo_op(&req), op == BLKIF_OP_INDIRECT ? 0x5a : op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_with_eleven_segments_is_decoded_in_both_abis),
        cmocka_unit_test(a_discard_is_decoded_in_both_abis),
        cmocka_unit_test(an_indirect_request_is_decoded_in_both_abis),
        cmocka_unit_test(a_segment_count_of_255_is_kept_for_the_check_to_refuse),
        cmocka_unit_test(nothing_beyond_the_slot_is_read),
        cmocka_unit_test(a_response_echoes_the_operation_and_of_an_indirect_request_the_inner_one),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
