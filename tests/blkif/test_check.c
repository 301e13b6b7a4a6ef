/* SPDX-License-Identifier: MIT
 *
 * What a guest may ask for and what is refused, one row each; range arithmetic at its edges.
 */
#include "check.h"

#include "blkif/check.h"

#define DISK 1000u /* sectors */

static const struct blkif_limits all = {.nr_sectors = DISK,
                                        .block_sectors = 1,
                                        .max_indirect = 256,
                                        .can_flush = true,
                                        .can_barrier = true,
                                        .can_discard = true,
                                        .can_discard_secure = true};
static const struct blkif_limits plain = {.nr_sectors = DISK, .block_sectors = 1};
static const struct blkif_limits readonly = {.nr_sectors = DISK,
                                             .block_sectors = 1,
                                             .max_indirect = 256,
                                             .read_only = true,
                                             .can_flush = true,
                                             .can_barrier = true,
                                             .can_discard = true};
static const struct blkif_limits disk_4k = {.nr_sectors = DISK,
                                            .block_sectors = 8,
                                            .max_indirect = 4096,
                                            .can_flush = true,
                                            .can_discard = true};
static const struct blkif_limits empty = {.block_sectors = 1, .can_discard = true};

/* One request and its answer. Segments are whole pages (0..7) unless first or last say else. */
struct row {
    const char *what;
    const struct blkif_limits *limits;
    uint8_t op, inner;
    uint16_t segments;
    uint64_t sector, nr_sectors;
    uint8_t first, last, flag;
    enum blkif_refusal refusal;
    /* what passes */
    enum blkif_kind kind;
    uint64_t sectors;
};

#define PAGE  .first = 0, .last = 7
#define OP(o) .op = BLKIF_OP_##o

static const struct row rows[] = {
    /* READ and WRITE */
    {"read of one page", &all, OP(READ), .segments = 1, PAGE, .sectors = 8},
    {"read of eleven pages", &all, OP(READ), .segments = 11, PAGE, .sectors = 88},
    {"read of one sector", &all, OP(READ), .segments = 1, .first = 3, .last = 3, .sectors = 1},
    {"write of one page", &all, OP(WRITE), .segments = 1, PAGE, .kind = KIND_WRITE, .sectors = 8},
    {"read without segments", &all, OP(READ), .refusal = REFUSE_SEGMENT_COUNT},
    {"write without segments", &all, OP(WRITE), .refusal = REFUSE_SEGMENT_COUNT},
    {"CVE-2007-5498: read of 12 segments", &all, OP(READ), .segments = 12, PAGE,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"CVE-2007-5498: write of 12 segments", &all, OP(WRITE), .segments = 12, PAGE,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"CVE-2007-5498: write of 255 segments", &all, OP(WRITE), .segments = 255, PAGE,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"first sector after last", &all, OP(READ), .segments = 1, .first = 4, .last = 3,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"last sector 8", &all, OP(READ), .segments = 1, .first = 0, .last = 8,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"first and last sector 8", &all, OP(READ), .segments = 1, .first = 8, .last = 8,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"last sector 255", &all, OP(WRITE), .segments = 2, .first = 0, .last = 255,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"first sector 255", &all, OP(WRITE), .segments = 2, .first = 255, .last = 7,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"read that ends at the end", &all, OP(READ), .segments = 1, .sector = 992, PAGE, .sectors = 8},
    {"read one sector past the end", &all, OP(READ), .segments = 1, .sector = 993, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"read from the end on", &all, OP(READ), .segments = 1, .sector = 1000, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"read whose end wraps around 2^64", &all, OP(READ), .segments = 1, .sector = UINT64_MAX, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"write whose end wraps to 0", &all, OP(WRITE), .segments = 1, .sector = UINT64_MAX - 7, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"write whose byte offset wraps to 0", &all, OP(WRITE), .segments = 1, .sector = 1ull << 55,
     PAGE, .refusal = REFUSE_SECTOR_RANGE},
    {"write whose signed byte offset is negative", &all, OP(WRITE), .segments = 1,
     .sector = 1ull << 54, PAGE, .refusal = REFUSE_SECTOR_RANGE},
    {"read of a disk of no sectors", &empty, OP(READ), .segments = 1, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"read of a read-only disk", &readonly, OP(READ), .segments = 1, PAGE, .sectors = 8},
    {"XSA-142: write to a read-only disk", &readonly, OP(WRITE), .segments = 1, PAGE,
     .refusal = REFUSE_READ_ONLY},

    /* FLUSH and BARRIER */
    {"empty flush", &all, OP(FLUSH), .kind = KIND_FLUSH},
    {"empty flush with a wild sector", &all, OP(FLUSH), .sector = UINT64_MAX, .kind = KIND_FLUSH},
    {"flush with data", &all, OP(FLUSH), .segments = 1, PAGE, .kind = KIND_FLUSH, .sectors = 8},
    {"flush with data past the end", &all, OP(FLUSH), .segments = 1, .sector = 993, PAGE,
     .refusal = REFUSE_SECTOR_RANGE},
    {"flush with 12 segments", &all, OP(FLUSH), .segments = 12, PAGE,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"flush with a bad segment", &all, OP(FLUSH), .segments = 1, .first = 5, .last = 4,
     .refusal = REFUSE_SEGMENT_RANGE},
    {"flush that was not offered", &plain, OP(FLUSH), .refusal = REFUSE_OPERATION},
    {"empty flush of a read-only disk", &readonly, OP(FLUSH), .kind = KIND_FLUSH},
    {"flush with data to a read-only disk", &readonly, OP(FLUSH), .segments = 1, PAGE,
     .refusal = REFUSE_READ_ONLY},
    {"empty barrier", &all, OP(WRITE_BARRIER), .kind = KIND_BARRIER},
    {"barrier with data", &all, OP(WRITE_BARRIER), .segments = 2, PAGE, .kind = KIND_BARRIER,
     .sectors = 16},
    {"barrier with 255 segments", &all, OP(WRITE_BARRIER), .segments = 255, PAGE,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"barrier that was not offered", &plain, OP(WRITE_BARRIER), .segments = 1, PAGE,
     .refusal = REFUSE_OPERATION},
    {"barrier with data to a read-only disk", &readonly, OP(WRITE_BARRIER), .segments = 1, PAGE,
     .refusal = REFUSE_READ_ONLY},

    /* DISCARD */
    {"discard", &all, OP(DISCARD), .nr_sectors = 5, .kind = KIND_DISCARD, .sectors = 5},
    {"discard of the whole disk", &all, OP(DISCARD), .nr_sectors = 1000, .kind = KIND_DISCARD,
     .sectors = 1000},
    {"discard of no sectors", &all, OP(DISCARD), .kind = KIND_DISCARD},
    {"discard of no sectors, wild", &all, OP(DISCARD), .sector = UINT64_MAX, .kind = KIND_DISCARD},
    {"CVE-2013-2140: discard past the end", &all, OP(DISCARD), .sector = 999, .nr_sectors = 2,
     .refusal = REFUSE_SECTOR_RANGE},
    {"CVE-2013-2140: discard on a read-only disk", &readonly, OP(DISCARD), .nr_sectors = 8,
     .refusal = REFUSE_READ_ONLY},
    {"discard whose end wraps", &all, OP(DISCARD), .sector = 1, .nr_sectors = UINT64_MAX,
     .refusal = REFUSE_SECTOR_RANGE},
    {"discard whose end wraps to within", &all, OP(DISCARD), .sector = UINT64_MAX - 1,
     .nr_sectors = 10, .refusal = REFUSE_SECTOR_RANGE},
    {"discard that was not offered", &plain, OP(DISCARD), .nr_sectors = 8,
     .refusal = REFUSE_OPERATION},

    /* INDIRECT */
    {"indirect read", &all, OP(INDIRECT), .inner = BLKIF_OP_READ, .segments = 12},
    {"indirect read of one segment", &all, OP(INDIRECT), .inner = BLKIF_OP_READ, .segments = 1},
    {"indirect write of all offered", &all, OP(INDIRECT), .inner = BLKIF_OP_WRITE, .segments = 256,
     .kind = KIND_WRITE},
    {"indirect without segments", &all, OP(INDIRECT), .inner = BLKIF_OP_READ,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"indirect of more than offered", &all, OP(INDIRECT), .inner = BLKIF_OP_READ, .segments = 257,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"indirect of 65535", &all, OP(INDIRECT), .inner = BLKIF_OP_WRITE, .segments = 65535,
     .refusal = REFUSE_SEGMENT_COUNT},
    {"indirect of more than its grants can hold", &disk_4k, OP(INDIRECT), .inner = BLKIF_OP_READ,
     .segments = 4097, .refusal = REFUSE_SEGMENT_COUNT},
    {"indirect flush", &all, OP(INDIRECT), .inner = BLKIF_OP_FLUSH, .segments = 1,
     .refusal = REFUSE_INDIRECT_OP},
    {"indirect barrier", &all, OP(INDIRECT), .inner = BLKIF_OP_WRITE_BARRIER, .segments = 1,
     .refusal = REFUSE_INDIRECT_OP},
    {"indirect discard", &all, OP(INDIRECT), .inner = BLKIF_OP_DISCARD, .segments = 1,
     .refusal = REFUSE_INDIRECT_OP},
    {"indirect indirect", &all, OP(INDIRECT), .inner = BLKIF_OP_INDIRECT, .segments = 1,
     .refusal = REFUSE_INDIRECT_OP},
    {"indirect 255", &all, OP(INDIRECT), .inner = 255, .segments = 1,
     .refusal = REFUSE_INDIRECT_OP},
    {"indirect write to a read-only disk", &readonly, OP(INDIRECT), .inner = BLKIF_OP_WRITE,
     .segments = 1, .refusal = REFUSE_READ_ONLY},
    {"indirect that was not offered", &plain, OP(INDIRECT), .inner = BLKIF_OP_READ, .segments = 1,
     .refusal = REFUSE_OPERATION},

    /* A disk whose logical block is 4096 bytes */
    {"aligned read of a 4K disk", &disk_4k, OP(READ), .segments = 1, .sector = 8, PAGE,
     .sectors = 8},
    {"4K disk: read that starts inside a block", &disk_4k, OP(READ), .segments = 1, .sector = 4,
     PAGE, .refusal = REFUSE_ALIGNMENT},
    {"4K disk: write of half a block", &disk_4k, OP(WRITE), .segments = 1, .sector = 8, .first = 0,
     .last = 3, .refusal = REFUSE_ALIGNMENT},
    {"4K disk: two halves of a block", &disk_4k, OP(READ), .segments = 2, .sector = 8, .first = 2,
     .last = 5, .sectors = 8},
    {"4K disk: discard of half a block", &disk_4k, OP(DISCARD), .sector = 8, .nr_sectors = 4,
     .refusal = REFUSE_ALIGNMENT},
    {"4K disk: empty flush", &disk_4k, OP(FLUSH), .sector = 3, .kind = KIND_FLUSH},
};

static struct blkif_request request_of(const struct row *row)
{
    struct blkif_request req = {.operation = row->op,
                                .indirect_op = row->inner,
                                .nr_segments = row->segments,
                                .sector = row->sector,
                                .nr_sectors = row->nr_sectors,
                                .flag = row->flag};

    if (row->op != BLKIF_OP_INDIRECT && row->op != BLKIF_OP_DISCARD)
        for (unsigned i = 0; i < BLKIF_SEGS_PER_REQUEST; i++)
            req.seg[i] = (struct blkif_segment){
                .gref = 10 + i, .first_sect = row->first, .last_sect = row->last};
    return req;
}

static void every_row_of_the_catalogue_gets_its_answer(void **state)
{
    for (unsigned i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct blkif_request req = request_of(row);
        struct blkif_checked out;
        enum blkif_refusal r = blkif_check_request(&req, row->limits, &out);

        if (r != row->refusal)
            fail_msg("%s: %s, expected %s", row->what, blkif_refusal_name(r),
                     blkif_refusal_name(row->refusal));
        if (r == REFUSE_NONE) {
            if (out.kind != row->kind || out.sectors != row->sectors ||
                out.nr_segments != row->segments ||
                out.indirect != (row->op == BLKIF_OP_INDIRECT) || out.secure)
                fail_msg("%s: passes as something else", row->what);
            if (out.sectors > 0)
                assert_true(out.sector == row->sector);
        }
    }
}

static void an_operation_that_does_not_exist_is_unsupported(void **state)
{
    for (unsigned op = 0; op < 256; op++) {
        struct blkif_request req = {.operation = (uint8_t)op, .nr_segments = 1};
        struct blkif_checked out;
        enum blkif_refusal r = blkif_check_request(&req, &all, &out);

        if (op == BLKIF_OP_RESERVED_1 || op > BLKIF_OP_INDIRECT)
            assert_int_equal(blkif_refusal_status(r), BLKIF_RSP_EOPNOTSUPP);
        else
            assert_int_equal(r, REFUSE_NONE);
    }
}

static void one_bad_segment_in_any_position_refuses_the_request(void **state)
{
    for (unsigned bad = 0; bad < BLKIF_SEGS_PER_REQUEST; bad++) {
        struct blkif_request req = {.operation = BLKIF_OP_READ, .nr_segments = 11};
        struct blkif_checked out;

        req.seg[bad].first_sect = 1; /* last_sect is 0 */
        assert_int_equal(blkif_check_request(&req, &all, &out), REFUSE_SEGMENT_RANGE);
        /* beyond the count it means nothing */
        req.nr_segments = (uint16_t)bad;
        assert_int_equal(blkif_check_request(&req, &all, &out),
                         bad ? REFUSE_NONE : REFUSE_SEGMENT_COUNT);
    }
}

static void a_segment_passes_for_each_pair_of_sectors_that_is_in_order(void **state)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned last = 0; last < 256; last++) {
            struct blkif_segment seg = {.first_sect = (uint8_t)first, .last_sect = (uint8_t)last};
            uint64_t sectors = 99;
            enum blkif_refusal r = blkif_check_segments(&seg, 1, 0, &all, &sectors);

            if (first <= last && last <= 7) {
                assert_int_equal(r, REFUSE_NONE);
                assert_int_equal(sectors, last - first + 1);
            } else {
                assert_int_equal(r, REFUSE_SEGMENT_RANGE);
            }
        }
    }
}

static void the_segments_of_an_indirect_request_are_checked_as_a_whole(void **state)
{
    static struct blkif_segment seg[BLKIF_SEGS_INDIRECT_MAX + 1];
    struct blkif_limits big = all;
    uint64_t sectors;

    big.nr_sectors = 4096 * 8 + 100;
    for (unsigned i = 0; i < COUNT(seg); i++)
        seg[i].last_sect = 7;
    assert_int_equal(blkif_check_segments(seg, 4096, 100, &big, &sectors), REFUSE_NONE);
    assert_int_equal(sectors, 4096 * 8);
    assert_int_equal(blkif_check_segments(seg, 4096, 101, &big, &sectors), REFUSE_SECTOR_RANGE);
    assert_int_equal(blkif_check_segments(seg, 0, 0, &big, &sectors), REFUSE_SEGMENT_COUNT);
    assert_int_equal(blkif_check_segments(seg, 4097, 0, &big, &sectors), REFUSE_SEGMENT_COUNT);
    seg[4095].last_sect = 8;
    assert_int_equal(blkif_check_segments(seg, 4096, 0, &big, &sectors), REFUSE_SEGMENT_RANGE);
}

/* Against arithmetic that cannot overflow. */
static void range_check_is_right_at_every_edge(void **state)
{
    const uint64_t v[] = {0,
                          1,
                          7,
                          8,
                          999,
                          1000,
                          1001,
                          1ull << 31,
                          1ull << 32,
                          (1ull << 32) + 1,
                          1ull << 54,
                          1ull << 55,
                          1ull << 63,
                          (1ull << 63) - 1,
                          UINT64_MAX,
                          UINT64_MAX - 1,
                          UINT64_MAX - 7,
                          UINT64_MAX - 8};

    for (unsigned a = 0; a < COUNT(v); a++)
        for (unsigned b = 0; b < COUNT(v); b++)
            for (unsigned c = 0; c < COUNT(v); c++)
                assert_int_equal(blkif_range_ok(v[a], v[b], v[c]),
                                 (__uint128_t)v[a] + v[b] <= v[c]);
}

static void a_discard_of_more_than_4_gib_is_legal(void **state)
{
    struct blkif_limits big = all;
    struct blkif_request req = {.operation = BLKIF_OP_DISCARD, .nr_sectors = 1ull << 40};
    struct blkif_checked out;

    big.nr_sectors = 1ull << 41;
    assert_int_equal(blkif_check_request(&req, &big, &out), REFUSE_NONE);
    assert_true(out.sectors == 1ull << 40);
}

static void a_discard_is_secure_only_if_that_was_offered(void **state)
{
    struct blkif_request req = {.operation = BLKIF_OP_DISCARD, .nr_sectors = 8, .flag = 0xff};
    struct blkif_checked out;

    assert_int_equal(blkif_check_request(&req, &all, &out), REFUSE_NONE);
    assert_true(out.secure);
    assert_int_equal(blkif_check_request(&req, &disk_4k, &out), REFUSE_NONE);
    assert_false(out.secure);
    req.flag = 0xfe;
    assert_int_equal(blkif_check_request(&req, &all, &out), REFUSE_NONE);
    assert_false(out.secure);
}

static void a_refusal_is_an_error_but_an_unknown_operation_is_unsupported(void **state)
{
    assert_int_equal(blkif_refusal_status(REFUSE_NONE), BLKIF_RSP_OKAY);
    for (int r = 1; r < REFUSE_COUNT; r++)
        assert_int_equal(blkif_refusal_status((enum blkif_refusal)r),
                         r == REFUSE_OPERATION ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
}

static void every_refusal_has_a_name_of_its_own(void **state)
{
    for (int a = 0; a < REFUSE_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(blkif_refusal_name((enum blkif_refusal)a),
                                    blkif_refusal_name((enum blkif_refusal)b));
    assert_string_equal(blkif_refusal_name(REFUSE_COUNT), "invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_catalogue_gets_its_answer),
        cmocka_unit_test(an_operation_that_does_not_exist_is_unsupported),
        cmocka_unit_test(one_bad_segment_in_any_position_refuses_the_request),
        cmocka_unit_test(a_segment_passes_for_each_pair_of_sectors_that_is_in_order),
        cmocka_unit_test(the_segments_of_an_indirect_request_are_checked_as_a_whole),
        cmocka_unit_test(range_check_is_right_at_every_edge),
        cmocka_unit_test(a_discard_of_more_than_4_gib_is_legal),
        cmocka_unit_test(a_discard_is_secure_only_if_that_was_offered),
        cmocka_unit_test(a_refusal_is_an_error_but_an_unknown_operation_is_unsupported),
        cmocka_unit_test(every_refusal_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
