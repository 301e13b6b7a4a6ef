/* SPDX-License-Identifier: MIT
 *
 * Names of virtual disks: the examples of Xen's own description, the edges, and what is no name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front/vdev.h"

static const struct {
    const char *name;
    uint32_t vdev;
} good[] = {
    {"xvda", 51712},
    {"xvda1", 51713},
    {"xvda15", 51727},
    {"xvdb", 51728},
    {"xvdp15", 51967},
    {"xvda16", (1u << 28) | 16},
    {"xvdq", (1u << 28) | 16 << 8},
    {"xvdz", (1u << 28) | 25 << 8},
    {"xvdaa", (1u << 28) | 26 << 8},
    {"xvdaa255", (1u << 28) | 26 << 8 | 255},
    {"hda", 768},
    {"hdb", 768 + 64},
    {"hdb63", 768 + 64 + 63},
    {"hdc", 22 << 8},
    {"hdd1", (22 << 8) + 65},
    {"sda", 2048},
    {"sda3", 2051},
    {"sdp15", 2048 + 255},
    {"d0", 51712},
    {"d0p0", 51712},
    {"d0p2", 51714},
    {"d1p15", 51743},
    {"d16", (1u << 28) | 16 << 8},
    {"d536p37", (1u << 28) | 536 << 8 | 37},
    {"d1048575p255", (1u << 28) | 1048575 << 8 | 255},
    {"51712", 51712},
    {"0xca00", 51712},
    {"832", 832},
    {"0", 0},
};

static const char *const bad[] = {
    "",       "xvd",       "xvda0",      "xvda256", "xvda01",    "XVDA",     "xvda-1",
    "xvda 1", "xvdaaaaaa", "hde",        "hda64",   "sdq",       "sda16",    "sd",
    "d",      "dp1",       "d0p",        "d0p256",  "d00",       "d1048576", "d0p1x",
    "51712x", "-1",        "4294967296", "vda",     "/dev/xvda",
};

static void names_have_their_numbers(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint32_t vdev = 0;

        if (vdev_parse(good[i].name, &vdev) != 0 || vdev != good[i].vdev)
            fail_msg("%s is %u, not %u", good[i].name, vdev, good[i].vdev);
    }
}

static void what_is_no_name_is_refused(void **state)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t vdev;

        if (vdev_parse(bad[i], &vdev) == 0)
            fail_msg("'%s' was taken for %u", bad[i], vdev);
    }
}

static void numbers_have_their_names(void **state)
{
    char name[VDEV_NAME_MAX];
    uint32_t again;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        vdev_name(good[i].vdev, name);
        assert_int_equal(vdev_parse(name, &again), 0);
        assert_int_equal(again, good[i].vdev);
    }
    vdev_name(51712, name);
    assert_string_equal(name, "xvda");
    vdev_name((1u << 28) | 26 << 8 | 3, name);
    assert_string_equal(name, "xvdaa3");
    vdev_name(7, name);
    assert_string_equal(name, "7");
    vdev_name(UINT32_MAX, name);
    assert_string_equal(name, "4294967295");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_their_numbers),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(numbers_have_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
