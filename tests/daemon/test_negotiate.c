/* SPDX-License-Identifier: MIT
 *
 * What a frontend may write, and what it may not: every bad value is refused with a text that names
 * the node, and nothing of it is used.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "blkif/layout.h"
#include "daemon/negotiate.h"

struct pair {
    const char *leaf, *value;
};

#define PAIRS_MAX 12

struct frontend {
    struct pair nodes[PAIRS_MAX];
    const char *unreadable;
    int err;
};

static int read_node(void *arg, const char *leaf, char *buf, size_t cap)
{
    const struct frontend *f = arg;

    if (f->unreadable && strcmp(f->unreadable, leaf) == 0)
        return f->err;
    for (unsigned i = 0; i < PAIRS_MAX && f->nodes[i].leaf; i++) {
        if (strcmp(f->nodes[i].leaf, leaf) != 0)
            continue;
        if (strlen(f->nodes[i].value) >= cap)
            return -EMSGSIZE;
        memcpy(buf, f->nodes[i].value, strlen(f->nodes[i].value) + 1);
        return (int)strlen(buf);
    }
    return -ENOENT;
}

static const struct vbd_limits small = {.max_queues = 1, .persistent = true};
static const struct vbd_limits large = {
    .max_ring_page_order = 4, .max_queues = 4, .persistent = true};

static int try(struct frontend f, const struct vbd_limits *limits, struct vbd_connect *c,
               struct errmsg *err)
{
    err->text[0] = '\0';
    return negotiate(read_node, &f, limits, c, err);
}

#define GOOD                                                                                       \
    {"event-channel", "7"},                                                                        \
    {                                                                                              \
        "ring-ref", "9"                                                                            \
    }

static void linux_with_one_page(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {GOOD, {"protocol", "x86_64-abi"}, {"feature-persistent", "1"}}};

    assert_int_equal(try(f, &small, &c, &err), NEG_OK);
    assert_int_equal(c.head.type, VBD_CONNECT);
    assert_int_equal(c.head.bytes, sizeof(c));
    assert_int_equal(c.abi, BLKIF_ABI_X86_64);
    assert_int_equal(c.persistent, 1);
    assert_int_equal(c.nr_rings, 1);
    assert_int_equal(c.ring[0].port, 7);
    assert_int_equal(c.ring[0].nr_refs, 1);
    assert_int_equal(c.ring[0].refs[0], 9);
}

static void no_protocol_means_x86_32(void **state)
{
    struct vbd_connect c;
    struct errmsg err;

    assert_int_equal(try((struct frontend){.nodes = {GOOD}}, &small, &c, &err), NEG_OK);
    assert_int_equal(c.abi, BLKIF_ABI_X86_32);
    assert_int_equal(c.persistent, 0);
}

static void order_0_with_either_name(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend numbered = {
        .nodes = {{"event-channel", "7"}, {"ring-page-order", "0"}, {"ring-ref0", "5"}}};
    struct frontend plain = {.nodes = {GOOD, {"ring-page-order", "0"}}};

    assert_int_equal(try(numbered, &small, &c, &err), NEG_OK);
    assert_int_equal(c.ring[0].refs[0], 5);
    assert_int_equal(try(plain, &small, &c, &err), NEG_OK);
    assert_int_equal(c.ring[0].refs[0], 9);
}

static void queues_of_two_pages(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {{"multi-queue-num-queues", "2"},
                                   {"ring-page-order", "1"},
                                   {"queue-0/event-channel", "1"},
                                   {"queue-0/ring-ref0", "10"},
                                   {"queue-0/ring-ref1", "11"},
                                   {"queue-1/event-channel", "2"},
                                   {"queue-1/ring-ref0", "12"},
                                   {"queue-1/ring-ref1", "13"}}};

    assert_int_equal(try(f, &large, &c, &err), NEG_OK);
    assert_int_equal(c.nr_rings, 2);
    assert_int_equal(c.ring[1].port, 2);
    assert_int_equal(c.ring[1].nr_refs, 2);
    assert_int_equal(c.ring[1].refs[1], 13);
}

static void persistent_is_only_the_number_1(void **state)
{
    static const char *const no[] = {"0", "2", "", "yes", "01", "1 "};
    struct vbd_connect c;
    struct errmsg err;

    for (unsigned i = 0; i < 6; i++) {
        struct frontend f = {.nodes = {GOOD, {"feature-persistent", no[i]}}};
        assert_int_equal(try(f, &small, &c, &err), NEG_OK);
        assert_int_equal(c.persistent, 0);
    }
    struct frontend f = {.nodes = {GOOD, {"feature-persistent", "1"}}};
    struct vbd_limits off = {.max_queues = 1};
    assert_int_equal(try(f, &off, &c, &err), NEG_OK);
    assert_int_equal(c.persistent, 0);
}

static char long_text[2049];

/* The frontend's nodes with one of them bad, and the node that the refusal must name. */
static const struct {
    struct pair bad;
    const char *named;
} bad_values[] = {
    {{"event-channel", "0"}, "event-channel"},
    {{"event-channel", "4294967295"}, "event-channel"},
    {{"event-channel", "131072"}, "event-channel"},
    {{"event-channel", "x"}, "event-channel"},
    {{"event-channel", ""}, "event-channel"},
    {{"event-channel", "-1"}, "event-channel"},
    {{"event-channel", long_text}, "event-channel"},
    {{"ring-ref", "0"}, "ring-ref"},
    {{"ring-ref", "4294967295"}, "ring-ref"},
    {{"ring-ref", "4294967296"}, "ring-ref"},
    {{"ring-ref", "0x10"}, "ring-ref"},
    {{"ring-ref", "8 "}, "ring-ref"},
    {{"ring-ref", long_text}, "ring-ref"},
    {{"ring-page-order", "-1"}, "ring-page-order"},
    {{"ring-page-order", "1"}, "ring-page-order"},
    {{"ring-page-order", "31"}, "ring-page-order"},
    {{"ring-page-order", "32"}, "ring-page-order"},
    {{"ring-page-order", "64"}, "ring-page-order"},
    {{"ring-page-order", "0 "}, "ring-page-order"},
    {{"ring-page-order", ""}, "ring-page-order"},
    {{"ring-page-order", long_text}, "ring-page-order"},
    {{"protocol", "x86_16-abi"}, "protocol"},
    {{"protocol", ""}, "protocol"},
    {{"protocol", "arm-abi"}, "protocol"},
    {{"protocol", long_text}, "protocol"},
    {{"multi-queue-num-queues", "0"}, "multi-queue-num-queues"},
    {{"multi-queue-num-queues", "2"}, "multi-queue-num-queues"},
    {{"multi-queue-num-queues", "4294967296"}, "multi-queue-num-queues"},
    {{"multi-queue-num-queues", "1x"}, "multi-queue-num-queues"},
};

static void every_bad_value_is_refused_by_name(void **state)
{
    struct vbd_connect c;
    struct errmsg err;

    for (unsigned i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
        struct frontend f = {.nodes = {bad_values[i].bad, GOOD}};
        assert_int_equal(try(f, &small, &c, &err), NEG_REFUSED);
        assert_non_null(strstr(err.text, bad_values[i].named));
    }
}

static void a_missing_node_is_refused(void **state)
{
    struct vbd_connect c;
    struct errmsg err;

    assert_int_equal(try((struct frontend){.nodes = {{"ring-ref", "1"}}}, &small, &c, &err),
                     NEG_REFUSED);
    assert_non_null(strstr(err.text, "event-channel is missing"));
    assert_int_equal(try((struct frontend){.nodes = {{"event-channel", "1"}}}, &small, &c, &err),
                     NEG_REFUSED);
    assert_non_null(strstr(err.text, "ring-ref is missing"));
    struct frontend queues = {.nodes = {GOOD, {"multi-queue-num-queues", "2"}}};
    assert_int_equal(try(queues, &large, &c, &err), NEG_REFUSED);
    assert_non_null(strstr(err.text, "queue-0/event-channel is missing"));
}

static void one_page_in_two_places_is_refused(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {{"event-channel", "7"},
                                   {"ring-page-order", "1"},
                                   {"ring-ref0", "5"},
                                   {"ring-ref1", "5"}}};

    assert_int_equal(try(f, &large, &c, &err), NEG_REFUSED);
    f.nodes[3].value = "6";
    assert_int_equal(try(f, &large, &c, &err), NEG_OK);
}

static void one_port_for_two_queues_is_refused(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {{"multi-queue-num-queues", "2"},
                                   {"queue-0/event-channel", "1"},
                                   {"queue-0/ring-ref", "10"},
                                   {"queue-1/event-channel", "1"},
                                   {"queue-1/ring-ref", "12"}}};

    assert_int_equal(try(f, &large, &c, &err), NEG_REFUSED);
    f.nodes[3].value = "2";
    assert_int_equal(try(f, &large, &c, &err), NEG_OK);
}

static void unreadable_is_the_guests_doing_but_a_broken_store_is_not(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {GOOD}, .unreadable = "ring-ref", .err = -EACCES};

    assert_int_equal(try(f, &small, &c, &err), NEG_REFUSED);
    f.err = -EILSEQ;
    assert_int_equal(try(f, &small, &c, &err), NEG_REFUSED);
    f.err = -EIO;
    assert_int_equal(try(f, &small, &c, &err), -EIO);
}

static void what_a_refusal_quotes_is_printable(void **state)
{
    struct vbd_connect c;
    struct errmsg err;
    struct frontend f = {.nodes = {{"event-channel", "\033[2J\n\xff"}, {"ring-ref", "1"}}};

    assert_int_equal(try(f, &small, &c, &err), NEG_REFUSED);
    for (const char *p = err.text; *p; p++)
        assert_in_range(*p, 0x20, 0x7e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_with_one_page),
        cmocka_unit_test(no_protocol_means_x86_32),
        cmocka_unit_test(order_0_with_either_name),
        cmocka_unit_test(queues_of_two_pages),
        cmocka_unit_test(persistent_is_only_the_number_1),
        cmocka_unit_test(every_bad_value_is_refused_by_name),
        cmocka_unit_test(a_missing_node_is_refused),
        cmocka_unit_test(one_page_in_two_places_is_refused),
        cmocka_unit_test(one_port_for_two_queues_is_refused),
        cmocka_unit_test(unreadable_is_the_guests_doing_but_a_broken_store_is_not),
        cmocka_unit_test(what_a_refusal_quotes_is_printable),
    };

    memset(long_text, '1', sizeof(long_text) - 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
