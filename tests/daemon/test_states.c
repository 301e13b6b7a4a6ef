/* SPDX-License-Identifier: MIT
 *
 * Every pair of (our state, the frontend's state), each twice, and what a frontend must not write:
 * the daemon comes to rest, leaves nothing connected that should not be, and serves a legal
 * reconnect afterwards.
 */
#include "rig.h"

#include <stdio.h>

/* Brings the disk to our state `ours` with a well-behaved frontend. */
static void bring_to(enum xenbus_state ours)
{
    static const char *const steps[XB_STATES][5] = {
        [XB_INITIALISING] = {NULL},
        [XB_INITWAIT] = {NULL},
        [XB_CONNECTED] = {"3", "4", NULL},
        [XB_CLOSING] = {"3", "4", "5", NULL},
        [XB_CLOSED] = {"3", "4", "5", "6", NULL},
    };

    rig_attach(3, RIG_DEVID);
    rig_front_nodes();
    if (ours == XB_INITIALISING)
        return;
    rig_target("null:1M");
    rig_run();
    for (unsigned i = 0; steps[ours][i]; i++) {
        rig_front(steps[ours][i]);
        rig_run();
    }
    assert_int_equal(rig_ours(), ours);
}

static bool nothing_connected(void)
{
    return fake_workers.connects == fake_workers.disconnects || fake_workers.living == 0;
}

/* As a guest that begins anew would do it: closes, then goes the whole way. */
static void legal_reconnect_works(void)
{
    rig_target("null:1M");
    rig_front_nodes();
    rig_front("5");
    rig_run();
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    rig_front("1");
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    rig_front("4");
    rig_run();
    assert_int_equal(rig_vbd()->phase, PHASE_CONNECTED);
}

static void one_pair(enum xenbus_state ours, const char *theirs)
{
    rig_setup(NULL);
    bring_to(ours);
    for (int twice = 0; twice < 2; twice++) {
        rig_front(theirs);
        rig_run();
    }
    /* In Closed nothing of the guest's is mapped. */
    if (rig_ours() == XB_CLOSED)
        assert_true(nothing_connected());
    assert_in_range(rig_ours(), XB_INITWAIT, XB_CLOSED);
    legal_reconnect_works();
    rig_teardown(NULL);
}

static const enum xenbus_state ours_all[] = {XB_INITIALISING, XB_INITWAIT, XB_CONNECTED, XB_CLOSING,
                                             XB_CLOSED};

static void every_pair_twice_and_then_a_reconnect(void **state)
{
    static const char *const theirs[] = {"1", "2", "3", "4", "5", "6", "7", "8"};

    for (unsigned o = 0; o < COUNT(ours_all); o++) {
        for (unsigned t = 0; t < COUNT(theirs); t++)
            one_pair(ours_all[o], theirs[t]);
    }
}

static char long_text[2049];

static void what_is_not_a_state_is_fatal_and_said(void **state)
{
    const char *const wrong[] = {"99", "-1", "4x", "", "9", " 4", "04", long_text};

    for (unsigned o = 0; o < COUNT(ours_all); o++) {
        for (unsigned t = 0; t < COUNT(wrong); t++)
            one_pair(ours_all[o], wrong[t]);
    }
    rig_setup(NULL);
    rig_connect();
    rig_front("99");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_true(nothing_connected());
    assert_string_equal(rig_error(), "22 the frontend's state is not a state");
    assert_string_equal(vbd_state_word(rig_vbd()), "failed");
    rig_teardown(NULL);
}

static void an_absent_state_is_the_end_of_the_disk(void **state)
{
    for (unsigned o = 0; o < COUNT(ours_all); o++) {
        rig_setup(NULL);
        bring_to(ours_all[o]);
        fake_rm(RIG_FRONT "/state");
        rig_run();
        assert_int_equal(rig_ours(), XB_CLOSED);
        assert_null(rig_vbd());
        assert_int_equal(fake_workers.living, 0);
        rig_teardown(NULL);
    }
}

static void an_unreadable_state_is_fatal(void **state)
{
    rig_setup(NULL);
    rig_connect();
    fake_unreadable(RIG_FRONT "/state", -EACCES);
    rig_front("4");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    fake_unreadable(NULL, 0);
    legal_reconnect_works();
    rig_teardown(NULL);
}

/* Each is written instead of a good node; then the guest asks to be connected. */
static void bad_nodes_are_fatal_and_the_next_try_is_heard(void **state)
{
    static const char *const bad[][2] = {
        {"event-channel", "0"},          {"event-channel", "4294967295"},
        {"event-channel", "x"},          {"ring-ref", "0"},
        {"ring-ref", "4294967295"},      {"ring-ref", ""},
        {"ring-page-order", "3"},        {"ring-page-order", "64"},
        {"protocol", "arm-abi"},         {"multi-queue-num-queues", "4"},
        {"multi-queue-num-queues", "0"}, {"ring-ref", long_text},
    };
    char path[128];

    for (unsigned i = 0; i < COUNT(bad); i++) {
        rig_setup(NULL);
        bring_to(XB_INITWAIT);
        snprintf(path, sizeof(path), RIG_FRONT "/%s", bad[i][0]);
        fake_put(path, bad[i][1]);
        rig_front("3");
        rig_run();
        assert_int_equal(rig_ours(), XB_CLOSING);
        assert_non_null(strstr(rig_error(), bad[i][0]));
        assert_int_equal(fake_workers.connects, 0);
        fake_rm(path);
        legal_reconnect_works();
        assert_string_equal(rig_error(), ""); /* a stale error would mislead */
        rig_teardown(NULL);
    }
}

static void a_node_deleted_in_mid_connect_is_fatal(void **state)
{
    rig_setup(NULL);
    bring_to(XB_INITWAIT);
    fake_rm(RIG_FRONT "/ring-ref");
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_non_null(strstr(rig_error(), "ring-ref is missing"));
    rig_teardown(NULL);
}

static void a_frontend_that_stays_after_our_closing_is_not_served_again(void **state)
{
    rig_setup(NULL);
    rig_connect();
    rig_front("7");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    fake_forget();
    for (int i = 0; i < 10; i++) {
        rig_front("4");
        rig_run();
        rig_front("3");
        rig_run();
    }
    assert_int_equal(fake_writes("/"), 0);
    assert_int_equal(fake_workers.connects, 1);
    rig_teardown(NULL);
}

/* XSA-57, 175, 178: these are the guest's to write, and nobody reads them. */
static void the_frontends_own_idea_of_its_backend_is_ignored(void **state)
{
    rig_setup(NULL);
    fake_put(RIG_FRONT "/backend", "/local/domain/5/backend/vbd/3/51712");
    fake_put(RIG_FRONT "/backend-id", "5");
    fake_put(RIG_FRONT "/virtual-device", "1");
    rig_connect();
    fake_put(RIG_FRONT "/backend", "backend/vbd/4/51712");
    rig_front("5");
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_int_equal(fake_writes("/local/domain/5"), 0);
    assert_int_equal(fake_writes("backend/vbd/4"), 0);
    rig_teardown(NULL);
}

/* XSA-350: no look at a state may find the disk half gone. */
static void states_toggled_at_top_speed(void **state)
{
    static const char *const toggles[] = {"4", "5", "6", "1", "3"};
    unsigned seed = 1;

    rig_setup(NULL);
    rig_connect();
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1103515245u + 12345u;
        rig_front(toggles[(seed >> 16) % COUNT(toggles)]);
        if (seed >> 20 & 1)
            loop_run_once(rig.loop, 0);
        if (seed >> 21 & 1)
            fake_workers_deliver();
    }
    rig_run();
    legal_reconnect_works();
    assert_int_equal(fake_workers.living, 1);
    rig_teardown(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_twice_and_then_a_reconnect),
        cmocka_unit_test(what_is_not_a_state_is_fatal_and_said),
        cmocka_unit_test(an_absent_state_is_the_end_of_the_disk),
        cmocka_unit_test(an_unreadable_state_is_fatal),
        cmocka_unit_test(bad_nodes_are_fatal_and_the_next_try_is_heard),
        cmocka_unit_test(a_node_deleted_in_mid_connect_is_fatal),
        cmocka_unit_test(a_frontend_that_stays_after_our_closing_is_not_served_again),
        cmocka_unit_test(the_frontends_own_idea_of_its_backend_is_ignored),
        cmocka_unit_test(states_toggled_at_top_speed),
    };

    memset(long_text, '1', sizeof(long_text) - 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
