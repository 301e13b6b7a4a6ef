/* SPDX-License-Identifier: MIT
 *
 * Event channels on the loopback: pending, masked, unbound, bound again, as Xen's behave.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/hv.h"
#include "loopd_fixture.h"

static struct loopd loopd;

struct world {
    uint32_t domid, port;
    struct hv *fhv, *bhv;
    struct hv_evtchn *front, *back;
};

static struct hv *open_hv(const char *spec)
{
    struct hv *hv;
    struct errmsg err;

    if (hv_open(spec, &hv, &err))
        fail_msg("%s", err.text);
    return hv;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->domid = loopd_create(&loopd, 16);
    w->fhv = open_hv(loopd_spec(&loopd, w->domid));
    w->bhv = open_hv(loopd.dom0);
    assert_int_equal(hv_evtchn_alloc(w->fhv, 0, &w->front, &w->port), 0);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, w->port, &w->back), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    hv_evtchn_close(w->back);
    hv_evtchn_close(w->front);
    assert_int_equal(loopd_left(&loopd), 0);
    hv_close(w->fhv);
    hv_close(w->bhv);
    loopd_destroy(&loopd, w->domid);
    free(w);
    return 0;
}

static bool readable(struct hv_evtchn *ev)
{
    struct pollfd p = {.fd = hv_evtchn_fd(ev), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* Takes the event that each binding starts with. */
static void settle(struct hv_evtchn *ev)
{
    assert_int_equal(hv_evtchn_pending(ev), 1);
    assert_int_equal(hv_evtchn_unmask(ev), 0);
    assert_false(readable(ev));
}

static void fresh_binding_is_pending_once_on_the_binders_side(void **state)
{
    struct world *w = *state;

    assert_false(readable(w->front));
    assert_int_equal(hv_evtchn_pending(w->front), 0);
    assert_true(readable(w->back));
    settle(w->back);
    assert_int_equal(hv_evtchn_pending(w->back), 0);
}

static void notify_reaches_the_other_side_both_ways(void **state)
{
    struct world *w = *state;

    settle(w->back);
    assert_int_equal(hv_evtchn_notify(w->front), 0);
    assert_true(readable(w->back));
    assert_false(readable(w->front));
    settle(w->back);
    assert_int_equal(hv_evtchn_notify(w->back), 0);
    assert_true(readable(w->front));
    settle(w->front);
}

static void many_notifies_are_one_event(void **state)
{
    struct world *w = *state;

    settle(w->back);
    for (int i = 0; i < 100; i++)
        assert_int_equal(hv_evtchn_notify(w->front), 0);
    settle(w->back);
    assert_int_equal(hv_evtchn_pending(w->back), 0);
}

static void event_while_masked_comes_at_unmask(void **state)
{
    struct world *w = *state;

    settle(w->back);
    assert_int_equal(hv_evtchn_notify(w->front), 0);
    assert_int_equal(hv_evtchn_pending(w->back), 1);
    assert_int_equal(hv_evtchn_notify(w->front), 0);
    assert_false(readable(w->back));
    assert_int_equal(hv_evtchn_pending(w->back), 0);
    assert_int_equal(hv_evtchn_unmask(w->back), 0);
    assert_true(readable(w->back));
    settle(w->back);
}

static void unmask_without_an_event_makes_none(void **state)
{
    struct world *w = *state;

    settle(w->back);
    assert_int_equal(hv_evtchn_unmask(w->back), 0);
    assert_false(readable(w->back));
    assert_int_equal(hv_evtchn_pending(w->back), 0);
}

static void notify_after_the_backend_closed_is_dropped(void **state)
{
    struct world *w = *state;

    hv_evtchn_close(w->back);
    assert_int_equal(hv_evtchn_notify(w->front), 0);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, w->port, &w->back), 0);
    settle(w->back); /* the event of the binding only */
}

static void port_can_be_bound_again_and_again(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 200; i++) {
        hv_evtchn_close(w->back);
        assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, w->port, &w->back), 0);
        settle(w->back);
        assert_int_equal(hv_evtchn_notify(w->back), 0);
        settle(w->front);
        assert_int_equal(hv_evtchn_notify(w->front), 0); /* left pending for the next one */
    }
}

static void masked_when_closed_starts_unmasked_when_bound_again(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_evtchn_pending(w->back), 1);
    hv_evtchn_close(w->back);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, w->port, &w->back), 0);
    settle(w->back);
}

static void frontend_that_closed_is_not_notified(void **state)
{
    struct world *w = *state;

    hv_evtchn_close(w->front);
    assert_int_equal(hv_evtchn_notify(w->back), 0);
    assert_int_equal(loopd_left(&loopd), 1); /* the backend's end is still open */
    assert_int_equal(hv_evtchn_alloc(w->fhv, 0, &w->front, &w->port), 0);
    assert_false(readable(w->front));
}

static void only_the_domain_it_is_for_may_bind(void **state)
{
    struct world *w = *state;
    uint32_t other = loopd_create(&loopd, 16), port;
    struct hv *hv = open_hv(loopd_spec(&loopd, other));
    struct hv_evtchn *ev, *own;

    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, w->port, &ev), -EINVAL); /* bound already */
    assert_int_equal(hv_evtchn_alloc(w->fhv, 0, &own, &port), 0);
    assert_int_equal(hv_evtchn_bind(hv, w->domid, port, &ev), -EINVAL);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, 0, &ev), -EINVAL);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, 4095, &ev), -EINVAL);
    assert_int_equal(hv_evtchn_bind(w->bhv, w->domid, UINT32_MAX, &ev), -EINVAL);
    assert_int_equal(hv_evtchn_bind(w->bhv, 4000, port, &ev), -ESRCH);
    hv_evtchn_close(own);
    hv_close(hv);
    loopd_destroy(&loopd, other);
}

static void backend_that_dies_leaves_the_port_to_its_successor(void **state)
{
    struct world *w = *state;
    int status;

    hv_evtchn_close(w->back);
    pid_t pid = fork();
    if (!pid) {
        struct hv *hv;
        struct hv_evtchn *ev;
        struct errmsg err;

        if (hv_open(loopd.dom0, &hv, &err) || hv_evtchn_bind(hv, w->domid, w->port, &ev))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (hv_evtchn_bind(w->bhv, w->domid, w->port, &w->back) == -EINVAL)
        usleep(1000); /* the server has yet to hear of the death */
    settle(w->back);
    assert_int_equal(hv_evtchn_notify(w->front), 0);
    settle(w->back);
}

static void domain_destroyed_under_a_bound_port(void **state)
{
    struct world *w = *state;
    uint32_t domid = loopd_create(&loopd, 16), port;
    struct hv *hv = open_hv(loopd_spec(&loopd, domid));
    struct hv_evtchn *front, *back;

    assert_int_equal(hv_evtchn_alloc(hv, 0, &front, &port), 0);
    assert_int_equal(hv_evtchn_bind(w->bhv, domid, port, &back), 0);
    settle(back);
    loopd_destroy(&loopd, domid);
    assert_int_equal(hv_evtchn_notify(back), 0);
    assert_int_equal(hv_evtchn_notify(front), 0); /* from beyond: not heard */
    assert_false(readable(back));
    hv_evtchn_close(back);
    hv_evtchn_close(front);
    hv_close(hv);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(fresh_binding_is_pending_once_on_the_binders_side),
        T(notify_reaches_the_other_side_both_ways),
        T(many_notifies_are_one_event),
        T(event_while_masked_comes_at_unmask),
        T(unmask_without_an_event_makes_none),
        T(notify_after_the_backend_closed_is_dropped),
        T(port_can_be_bound_again_and_again),
        T(masked_when_closed_starts_unmasked_when_bound_again),
        T(frontend_that_closed_is_not_notified),
        T(only_the_domain_it_is_for_may_bind),
        T(backend_that_dies_leaves_the_port_to_its_successor),
        T(domain_destroyed_under_a_bound_port),
    };

    loopd_start(&loopd, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loopd_stop(&loopd))
        failed++;
    return failed;
}
