/* SPDX-License-Identifier: MIT
 *
 * The state table: every pair of (our state, the frontend's), written down a second time as
 * sentences, and the walks a disk takes through it.
 */
#include "check.h"

#include "blkif/state.h"

#define ANY (-1)

/* First match wins. Each line is one thing that can happen to a disk. */
static const struct {
    const char *what;
    int ours, theirs;
    enum state_action action;
} rules[] = {
    {"the frontend's directory is gone", ANY, XB_UNKNOWN, ACT_GONE},
    {"a directory without a state is not ours", XB_UNKNOWN, ANY, ACT_NONE},

    {"a guest begins anew while we wait for it", XB_INITWAIT, XB_INITIALISING, ACT_NONE},
    {"a guest begins anew while we wait for it", XB_INITIALISED, XB_INITIALISING, ACT_NONE},
    {"a new disk, or a guest that begins anew", ANY, XB_INITIALISING, ACT_INITWAIT},

    {"while closing only Closed leads on", XB_CLOSING, XB_CLOSED, ACT_CLOSE},
    {"while closing only Closed leads on", XB_CLOSING, ANY, ACT_NONE},

    {"the guest closes", ANY, XB_CLOSING, ACT_CLOSING},
    {"the guest has closed", ANY, XB_CLOSED, ACT_CLOSE},

    {"a new disk whose guest is early", XB_INITIALISING, XB_INITIALISED, ACT_INITWAIT},
    {"a new disk whose guest is early", XB_INITIALISING, XB_CONNECTED, ACT_INITWAIT},
    {"the guest is ready", XB_INITWAIT, XB_INITIALISED, ACT_CONNECT},
    {"the guest is ready", XB_INITWAIT, XB_CONNECTED, ACT_CONNECT},
    {"the guest is ready", XB_INITIALISED, XB_INITIALISED, ACT_CONNECT},
    {"the guest is ready", XB_INITIALISED, XB_CONNECTED, ACT_CONNECT},
    {"the guest comes back after Closed", XB_CLOSED, XB_INITIALISED, ACT_CONNECT},
    {"the guest comes back after Closed", XB_CLOSED, XB_CONNECTED, ACT_CONNECT},
    {"connected already", ANY, XB_INITIALISED, ACT_NONE},
    {"connected already", ANY, XB_CONNECTED, ACT_NONE},

    {"not a frontend's state", ANY, XB_INITWAIT, ACT_FATAL},
    {"not a frontend's state", ANY, XB_RECONFIGURING, ACT_FATAL},
    {"not a frontend's state", ANY, XB_RECONFIGURED, ACT_FATAL},
};

static void every_pair_of_states_has_the_action_its_rule_says(void **state)
{
    for (int ours = 0; ours < XB_STATES; ours++) {
        for (int theirs = 0; theirs < XB_STATES; theirs++) {
            unsigned r = 0;

            while ((rules[r].ours != ANY && rules[r].ours != ours) ||
                   (rules[r].theirs != ANY && rules[r].theirs != theirs))
                assert_true(++r < COUNT(rules));

            enum state_action is = state_action((enum xenbus_state)ours, (enum xenbus_state)theirs);

            if (is != rules[r].action)
                fail_msg("we %s, guest %s: %s, but \"%s\": %s", state_name((enum xenbus_state)ours),
                         state_name((enum xenbus_state)theirs), state_action_name(is),
                         rules[r].what, state_action_name(rules[r].action));
        }
    }
}

static void a_state_that_does_not_exist_is_fatal_and_never_an_index(void **state)
{
    const int wild[] = {-1, 9, 10, 42, 99, 255, 256, 1 << 30, INT32_MAX, INT32_MIN};

    for (unsigned i = 0; i < COUNT(wild); i++) {
        enum xenbus_state bad = (enum xenbus_state)wild[i];

        for (int s = 0; s < XB_STATES; s++) {
            assert_int_equal(state_action(bad, (enum xenbus_state)s), ACT_FATAL);
            assert_int_equal(state_action((enum xenbus_state)s, bad), ACT_FATAL);
        }
        assert_string_equal(state_name(bad), "invalid");
        assert_string_equal(state_action_name((enum state_action)wild[i]), "invalid");
    }
}

static enum xenbus_state after(enum xenbus_state ours, enum state_action action)
{
    switch (action) {
    case ACT_INITWAIT:
        return XB_INITWAIT;
    case ACT_CONNECT:
        return XB_CONNECTED;
    case ACT_CLOSING:
    case ACT_FATAL:
        return XB_CLOSING;
    case ACT_CLOSE:
    case ACT_GONE:
        return XB_CLOSED;
    case ACT_NONE:
        break;
    }
    return ours;
}

static enum xenbus_state walk(enum xenbus_state ours, const char *theirs)
{
    for (; *theirs; theirs++)
        ours = after(ours, state_action(ours, (enum xenbus_state)(*theirs - '0')));
    return ours;
}

static void a_disk_is_attached_and_detached(void **state)
{
    assert_int_equal(walk(XB_INITIALISING, "1"), XB_INITWAIT);
    assert_int_equal(walk(XB_INITIALISING, "13"), XB_CONNECTED);
    assert_int_equal(walk(XB_INITIALISING, "134"), XB_CONNECTED);
    assert_int_equal(walk(XB_INITIALISING, "1345"), XB_CLOSING);
    assert_int_equal(walk(XB_INITIALISING, "13456"), XB_CLOSED);
    /* the toolstack has written 5 for us; the guest lets go */
    assert_int_equal(walk(XB_CLOSING, "4"), XB_CLOSING);
    assert_int_equal(walk(XB_CLOSING, "456"), XB_CLOSED);
}

static void a_guest_that_goes_through_kexec_is_connected_again(void **state)
{
    assert_int_equal(walk(XB_CONNECTED, "5"), XB_CLOSING);
    assert_int_equal(walk(XB_CONNECTED, "56"), XB_CLOSED);
    assert_int_equal(walk(XB_CONNECTED, "561"), XB_INITWAIT);
    assert_int_equal(walk(XB_CONNECTED, "56134"), XB_CONNECTED);
    /* watches are merged: any step may go unseen */
    assert_int_equal(walk(XB_CONNECTED, "6134"), XB_CONNECTED);
    assert_int_equal(walk(XB_CONNECTED, "5134"), XB_CONNECTED);
    assert_int_equal(walk(XB_CONNECTED, "134"), XB_CONNECTED);
}

static void a_legal_reconnect_works_from_every_pair_of_states(void **state)
{
    for (int ours = 1; ours < XB_STATES; ours++) {
        for (char theirs = '0'; theirs < '9'; theirs++) {
            const char first[] = {theirs, theirs, '\0'};
            enum xenbus_state s = walk((enum xenbus_state)ours, first);

            assert_int_equal(walk(s, "56134"), XB_CONNECTED);
        }
    }
}

/* Twice the same news must not undo or repeat a connection. */
static void the_same_state_twice_is_the_same_as_once(void **state)
{
    for (int ours = 0; ours < XB_STATES; ours++) {
        for (int theirs = 0; theirs < XB_STATES; theirs++) {
            if (ours == XB_INITIALISING && (theirs == 3 || theirs == 4))
                continue; /* InitWait first, then at once the connection */
            if (ours == XB_CLOSED && state_action(ours, theirs) == ACT_FATAL)
                continue;

            enum xenbus_state once = after(ours, state_action(ours, theirs));

            assert_int_equal(after(once, state_action(once, theirs)), once);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_states_has_the_action_its_rule_says),
        cmocka_unit_test(a_state_that_does_not_exist_is_fatal_and_never_an_index),
        cmocka_unit_test(a_disk_is_attached_and_detached),
        cmocka_unit_test(a_guest_that_goes_through_kexec_is_connected_again),
        cmocka_unit_test(a_legal_reconnect_works_from_every_pair_of_states),
        cmocka_unit_test(the_same_state_twice_is_the_same_as_once),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
