/* SPDX-License-Identifier: MIT
 *
 * Connecting, closing, connecting again; and what a person is told when it does not work.
 */
#include <poll.h>
#include <unistd.h>

#include "rig.h"

static bool node_is(const char *name, const char *want)
{
    char path[200], value[100];

    snprintf(path, sizeof(path), "%s/%s", FAKE_FRONTEND, name);
    if (!fake_store_get(path, value, sizeof(value)))
        return want == NULL;
    return want != NULL && strcmp(value, want) == 0;
}

static void one_queue_has_its_nodes_at_the_top(void **state)
{
    char value[32];
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    assert_true(node_is("state", "4"));
    assert_true(node_is("protocol", "x86_64-abi"));
    assert_true(node_is("feature-persistent", "1"));
    assert_true(node_is("ring-page-order", NULL));
    assert_true(node_is("multi-queue-num-queues", NULL));
    assert_true(fake_store_get(FAKE_FRONTEND "/ring-ref", value, sizeof(value)));
    assert_true(fake_store_get(FAKE_FRONTEND "/event-channel", value, sizeof(value)));
    rig_stop(&rig);
    assert_true(node_is("state", "6"));
}

static void more_queues_have_none_at_the_top(void **state)
{
    struct blkfront_options fo = rig_front;
    char value[32];
    struct rig rig;

    fo.queues = 9;
    fo.ring_order = 1;
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &fo);
    assert_true(node_is("multi-queue-num-queues", "4"));
    assert_true(node_is("ring-page-order", "1"));
    assert_true(node_is("ring-ref", NULL));
    assert_true(node_is("event-channel", NULL));
    assert_true(fake_store_get(FAKE_FRONTEND "/queue-3/ring-ref1", value, sizeof(value)));
    rig_stop(&rig);
}

static void wishes_are_cut_to_what_is_offered(void **state)
{
    struct fake_options opt = rig_usual;
    struct blkfront_options fo = rig_front;
    struct blkfront_info info;
    struct rig rig;

    opt.max_queues = 2;
    opt.max_order = 1;
    opt.read_only = true;
    fo.queues = 4;
    fo.ring_order = 4;
    rig_start(&rig, &opt);
    rig_open(&rig, &fo);
    blkfront_get_info(rig.bf, &info);
    assert_int_equal(info.queues, 2);
    assert_int_equal(info.ring_order, 1);
    assert_int_equal(info.ring_entries, 64);
    assert_true(info.read_only && info.persistent && info.flush && info.barrier && info.discard &&
                info.discard_secure);
    assert_int_equal(info.sectors, DISK_SECTORS);
    assert_int_equal(info.physical_sector_size, 4096);
    assert_int_equal(info.max_indirect, 256);
    rig_stop(&rig);
}

static void a_commit_that_must_be_repeated_is(void **state)
{
    struct rig rig;

    rig_start(&rig, &rig_usual);
    fake_hv_fail_commits(3);
    rig_open(&rig, &rig_front);
    assert_true(node_is("state", "4"));
    rig_stop(&rig);
}

static void open_after_close_connects_again(void **state)
{
    struct blkfront_options fo = rig_front;
    static uint8_t buf[512];
    struct rig rig;

    fo.queues = 2;
    fo.ring_order = 2;
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &fo);
    blkfront_close(rig.bf);
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_write(rig.bf, 0, 1, buf), 0);
    /* The nodes of the first connection's shape are gone. */
    assert_true(node_is("ring-page-order", NULL));
    assert_true(node_is("queue-0/ring-ref0", NULL));
    assert_string_equal(rig.be.states, "245624");
    rig_stop(&rig);
}

/* A frontend that died left 4 and 4: a kernel started by kexec walks 5, 5, 6, 6, 1, 2. */
static void open_after_a_crash_takes_the_kexec_way(void **state)
{
    static uint8_t buf[512];
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    front_raw_vanish(rig.bf);
    assert_true(node_is("state", "4"));
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_write(rig.bf, 0, 1, buf), 0);
    assert_string_equal(rig.be.states, "245624");
    rig_stop(&rig);
}

static void expect_refusal(enum fake_sin sin, uint32_t timeout_ms, int rc, const char *text)
{
    struct fake_options opt = rig_usual;
    struct blkfront_options fo = rig_front;
    struct rig rig;

    opt.sin = sin;
    fo.timeout_ms = timeout_ms;
    rig_start(&rig, &opt);
    assert_int_equal(blkfront_open(&fo, &rig.bf, rig.error, sizeof(rig.error)), rc);
    if (strstr(rig.error, text) == NULL)
        fail_msg("'%s' lacks '%s'", rig.error, text);
    rig_stop(&rig);
}

static void a_refusal_carries_the_backends_reason(void **state)
{
    expect_refusal(SIN_REFUSE, 5000, -ECONNREFUSED,
                   "the backend refused: 5 the storage is on fire");
}

static void a_silent_backend_is_not_waited_for_for_ever(void **state)
{
    expect_refusal(SIN_IGNORE, 50, -ETIMEDOUT, "did not connect within 50 ms (it is in state 2)");
}

static void no_such_disk(void **state)
{
    struct blkfront_options fo = rig_front;
    struct rig rig;

    fo.devid = 51728;
    rig_start(&rig, &rig_usual);
    assert_int_equal(blkfront_open(&fo, &rig.bf, rig.error, sizeof(rig.error)), -ENOENT);
    assert_string_equal(rig.error, "this domain has no disk 51728: attach it first");
    rig_stop(&rig);
}

static void garbage_in_the_backends_nodes(void **state)
{
    static const char *const garbage[] = {"-1", " 4", "4x", "", "99999999999999999999", "0x10"};
    struct blkfront_options fo = rig_front;
    struct rig rig;

    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        rig_start(&rig, &rig_usual);
        rig_open(&rig, &fo);
        blkfront_close(rig.bf);
        fake_store_set(FAKE_BACKEND "/feature-persistent", "1");
        fake_store_set(FAKE_FRONTEND "/backend-id", garbage[i]);
        assert_int_equal(blkfront_open(&fo, &rig.bf, rig.error, sizeof(rig.error)), -EPROTO);
        rig.bf = NULL;
        rig_stop(&rig);
    }
}

static void resize_is_noticed(void **state)
{
    struct blkfront_info info;
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    while (blkfront_events(rig.bf) != 0)
        ;
    assert_int_equal(blkfront_events(rig.bf), 0);
    fake_store_set(FAKE_BACKEND "/sectors", "32768");
    fake_store_set(FAKE_BACKEND "/state", "4");
    assert_int_equal(blkfront_events(rig.bf), 1);
    blkfront_get_info(rig.bf, &info);
    assert_int_equal(info.sectors, 32768);
    rig_stop(&rig);
}

static void a_backend_that_closes_ends_the_transfer(void **state)
{
    static uint8_t buf[512];
    struct fake_options opt = rig_usual;
    struct rig rig;

    opt.sin = SIN_NEVER_ANSWER;
    rig_start(&rig, &opt);
    rig_open(&rig, &rig_front);
    fake_store_set(FAKE_BACKEND "/state", "5");
    assert_int_equal(blkfront_read(rig.bf, 0, 1, buf), -ENOTCONN);
    rig_stop(&rig);
}

static void a_removed_backend_directory_ends_close(void **state)
{
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    fake_store_rm(FAKE_BACKEND);
    assert_int_equal(blkfront_events(rig.bf), -ENOTCONN);
    rig_stop(&rig);
}

static void nodes_can_be_changed_before_connecting(void **state)
{
    struct front_raw_options raw = {.prepare_only = true};
    struct rig rig;

    rig_start(&rig, &rig_usual);
    assert_int_equal(front_raw_open(&rig_front, &raw, &rig.bf, rig.error, sizeof(rig.error)), 0);
    assert_true(node_is("state", "1"));
    fake_store_set(FAKE_FRONTEND "/ring-ref", "3");
    assert_int_equal(front_raw_connect(rig.bf, rig.error, sizeof(rig.error)), -ECONNREFUSED);
    rig.be.complaints--; /* it complained of the reference, as it should */
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_queue_has_its_nodes_at_the_top),
        cmocka_unit_test(more_queues_have_none_at_the_top),
        cmocka_unit_test(wishes_are_cut_to_what_is_offered),
        cmocka_unit_test(a_commit_that_must_be_repeated_is),
        cmocka_unit_test(open_after_close_connects_again),
        cmocka_unit_test(open_after_a_crash_takes_the_kexec_way),
        cmocka_unit_test(a_refusal_carries_the_backends_reason),
        cmocka_unit_test(a_silent_backend_is_not_waited_for_for_ever),
        cmocka_unit_test(no_such_disk),
        cmocka_unit_test(garbage_in_the_backends_nodes),
        cmocka_unit_test(resize_is_noticed),
        cmocka_unit_test(a_backend_that_closes_ends_the_transfer),
        cmocka_unit_test(a_removed_backend_directory_ends_close),
        cmocka_unit_test(nodes_can_be_changed_before_connecting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
