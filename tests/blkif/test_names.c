/* SPDX-License-Identifier: MIT
 *
 * Numbers, ABI names and states as a hostile frontend may write them.
 */
#include "check.h"

#include "blkif/features.h"
#include "blkif/state.h"

/* Text that is no number whatever the bounds. */
static const char *const not_numbers[] = {
    "",
    " ",
    "1 ",
    " 1",
    "\t1",
    "1\n",
    "+1",
    "-1",
    "-0",
    "01",
    "00",
    "0x1",
    "1x",
    "4x",
    "1.0",
    "1e1",
    "a",
    "\xff\xfe",
    "१",
    "1\x80",
    "--1",
    "1 2",
    "0 ",
    "1,0",
    "nan",
    "4294967296",
    "4294967297",
    "18446744073709551616",
    "18446744073709551617",
    "340282366920938463463374607431768211457",
};

static void text_that_is_no_number_is_refused(void **state)
{
    for (unsigned i = 0; i < COUNT(not_numbers); i++) {
        uint32_t out = 0x5a5a5a5a;

        if (blkif_number_parse(not_numbers[i], 0, UINT32_MAX, &out))
            fail_msg("\"%s\" was taken for %u", not_numbers[i], out);
        assert_int_equal(out, 0x5a5a5a5a);
    }
}

static void an_absent_node_is_no_number(void **state)
{
    uint32_t out = 7;

    assert_false(blkif_number_parse(NULL, 0, UINT32_MAX, &out));
    assert_int_equal(out, 7);
}

static void a_number_of_two_thousand_digits_is_refused(void **state)
{
    char text[2049];
    uint32_t out = 7;

    memset(text, '1', 2048);
    text[2048] = '\0';
    assert_false(blkif_number_parse(text, 0, UINT32_MAX, &out));
    memset(text, '0', 2048);
    assert_false(blkif_number_parse(text, 0, UINT32_MAX, &out));
    assert_int_equal(out, 7);
}

static void a_number_within_its_bounds_is_read_and_no_other(void **state)
{
    uint32_t out;

    assert_true(blkif_number_parse("0", 0, 0, &out));
    assert_int_equal(out, 0);
    assert_true(blkif_number_parse("4294967295", 0, UINT32_MAX, &out));
    assert_int_equal(out, UINT32_MAX);
    assert_true(blkif_number_parse("10", 10, 10, &out));
    assert_int_equal(out, 10);
    assert_false(blkif_number_parse("9", 10, 10, &out));
    assert_false(blkif_number_parse("11", 10, 10, &out));
    assert_false(blkif_number_parse("100", 10, 10, &out));
    assert_false(blkif_number_parse("0", 1, 64, &out));
    assert_false(blkif_number_parse("65", 1, 64, &out));
    assert_int_equal(out, 10);
}

/* The orders a guest may try before anyone shifts by them. */
static void a_page_order_that_would_shift_too_far_is_refused(void **state)
{
    const char *const bad[] = {"-1", "5", "31", "32", "64", "1 ", "4294967295", ""};
    uint32_t out = 3;

    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_false(blkif_number_parse(bad[i], 0, BLKIF_RING_PAGE_ORDER_MAX, &out));
    assert_int_equal(out, 3);
    assert_true(blkif_number_parse("4", 0, BLKIF_RING_PAGE_ORDER_MAX, &out));
    assert_int_equal(out, 4);
}

static void the_abi_names_are_read(void **state)
{
    enum blkif_abi abi;

    assert_true(blkif_abi_parse("x86_64-abi", &abi));
    assert_int_equal(abi, BLKIF_ABI_X86_64);
    assert_true(blkif_abi_parse("x86_32-abi", &abi));
    assert_int_equal(abi, BLKIF_ABI_X86_32);
    for (int a = 0; a < BLKIF_ABIS; a++) {
        assert_true(blkif_abi_parse(blkif_abi_name((enum blkif_abi)a), &abi));
        assert_int_equal(abi, a);
    }
    assert_string_equal(blkif_abi_name(BLKIF_ABIS), "invalid");
}

static void an_absent_protocol_node_means_a_32_bit_guest(void **state)
{
    enum blkif_abi abi = BLKIF_ABI_X86_64;

    assert_true(blkif_abi_parse(NULL, &abi));
    assert_int_equal(abi, BLKIF_ABI_X86_32);
}

static void any_other_abi_name_is_refused(void **state)
{
    const char *const bad[] = {"",           "x86_64",      "x86_64-abi ", " x86_64-abi",
                               "X86_64-ABI", "x86_64-abi2", "arm-abi",     "ia64-abi",
                               "x86_16-abi", "native",      "x86_32-ab",   "%s%s%n"};
    enum blkif_abi abi = BLKIF_ABI_X86_64;

    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_false(blkif_abi_parse(bad[i], &abi));
    assert_int_equal(abi, BLKIF_ABI_X86_64);
}

static void only_a_digit_from_0_to_8_is_a_state(void **state)
{
    const char *const bad[] = {"9", "99", "-1", "4x", "", "04", " 4", "4 ", "4\n", "a", "/", ":"};
    enum xenbus_state s = XB_CLOSED;

    for (unsigned i = 0; i < COUNT(bad); i++)
        assert_false(state_parse(bad[i], &s));
    for (unsigned i = 0; i < COUNT(not_numbers); i++)
        assert_false(state_parse(not_numbers[i], &s));
    assert_false(state_parse(NULL, &s));
    assert_int_equal(s, XB_CLOSED);
    for (char c = '0'; c <= '8'; c++) {
        const char text[] = {c, '\0'};

        assert_true(state_parse(text, &s));
        assert_int_equal(s, c - '0');
    }
}

static void a_state_of_two_kib_is_refused(void **state)
{
    char text[2049];
    enum xenbus_state s = XB_CLOSED;

    memset(text, '4', 2048);
    text[2048] = '\0';
    assert_false(state_parse(text, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_no_number_is_refused),
        cmocka_unit_test(an_absent_node_is_no_number),
        cmocka_unit_test(a_number_of_two_thousand_digits_is_refused),
        cmocka_unit_test(a_number_within_its_bounds_is_read_and_no_other),
        cmocka_unit_test(a_page_order_that_would_shift_too_far_is_refused),
        cmocka_unit_test(the_abi_names_are_read),
        cmocka_unit_test(an_absent_protocol_node_means_a_32_bit_guest),
        cmocka_unit_test(any_other_abi_name_is_refused),
        cmocka_unit_test(only_a_digit_from_0_to_8_is_a_state),
        cmocka_unit_test(a_state_of_two_kib_is_refused),
    };

    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
