/* SPDX-License-Identifier: MIT
 *
 * The event loop: order of timers, descriptors, signals, and sources that go away inside a
 * callback. No test depends on how long something takes, only on what comes before what.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

#include "base/loop.h"

static struct loop *loop;
static char trace[64];

static int make_loop(void **state)
{
    memset(trace, 0, sizeof(trace));
    return loop_create(&loop);
}

static int destroy_loop(void **state)
{
    loop_destroy(loop);
    loop = NULL;
    return 0;
}

static void note(char c)
{
    size_t len = strlen(trace);

    assert_true(len + 1 < sizeof(trace));
    trace[len] = c;
}

static void timer_cb(void *arg)
{
    note(*(const char *)arg);
}

static void stop_cb(void *arg)
{
    loop_stop(loop);
}

static void timers_fire_once_and_in_the_order_they_are_due(void **state)
{
    loop_add_timer(loop, 30, timer_cb, "c", NULL);
    loop_add_timer(loop, 0, timer_cb, "a", NULL);
    loop_add_timer(loop, 10, timer_cb, "b", NULL);
    loop_add_timer(loop, 60, stop_cb, NULL, NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "abc");
}

static void timers_due_at_once_fire_in_the_order_they_were_made(void **state)
{
    for (const char *p = "abcdef"; *p; p++)
        loop_add_timer(loop, 0, timer_cb, (void *)(uintptr_t)p, NULL);
    while (strlen(trace) < 6)
        assert_int_equal(loop_run_once(loop, -1), 0);
    assert_string_equal(trace, "abcdef");
}

static void a_timer_never_fires_early(void **state)
{
    uint64_t start = loop_now_ms();

    loop_add_timer(loop, 20, stop_cb, NULL, NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_true(loop_now_ms() - start >= 20);
}

static void a_removed_timer_does_not_fire(void **state)
{
    struct loop_source *t;

    loop_add_timer(loop, 0, timer_cb, "x", &t);
    loop_add_timer(loop, 5, stop_cb, NULL, NULL);
    loop_remove(t);
    loop_remove(NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "");
}

static struct loop_source *victim;

static void kill_victim(void *arg)
{
    note('k');
    loop_remove(victim);
}

static void a_timer_may_remove_another_that_is_due_at_the_same_moment(void **state)
{
    loop_add_timer(loop, 0, kill_victim, NULL, NULL);
    loop_add_timer(loop, 0, timer_cb, "x", &victim);
    loop_add_timer(loop, 5, stop_cb, NULL, NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "k");
}

static void again_cb(void *arg)
{
    note('a');
    if (strlen(trace) < 3)
        loop_add_timer(loop, 1, again_cb, NULL, NULL);
    else
        loop_stop(loop);
}

static void a_timer_may_be_made_in_a_timers_callback(void **state)
{
    loop_add_timer(loop, 0, again_cb, NULL, NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "aaa");
}

/* Two descriptors, both ready; the callback of whichever comes first removes both. */
static struct loop_source *pair[2];

static void remove_both(void *arg, uint32_t events)
{
    note('r');
    loop_remove(pair[0]);
    loop_remove(pair[1]);
}

static void a_source_removed_in_anothers_callback_is_not_called_any_more(void **state)
{
    int fd[2] = {eventfd(1, EFD_CLOEXEC), eventfd(1, EFD_CLOEXEC)};

    for (int i = 0; i < 2; i++)
        assert_int_equal(loop_add_fd(loop, fd[i], EPOLLIN, remove_both, NULL, &pair[i]), 0);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_string_equal(trace, "r");
    close(fd[0]);
    close(fd[1]);
}

static void count_cb(void *arg, uint32_t events)
{
    note(events & EPOLLIN ? 'i' : 'o');
}

static void a_descriptor_is_level_triggered_and_stays_the_callers(void **state)
{
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    struct loop_source *s;
    uint64_t v;

    assert_int_equal(loop_add_fd(loop, fd, EPOLLIN, count_cb, NULL, &s), 0);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_string_equal(trace, "ii");
    assert_int_equal(read(fd, &v, sizeof(v)), 8);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_string_equal(trace, "ii");
    assert_int_equal(loop_set_events(s, EPOLLOUT), 0);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_string_equal(trace, "iio");
    loop_remove(s);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_string_equal(trace, "iio");
    assert_int_equal(close(fd), 0);
}

static void a_bad_descriptor_is_refused(void **state)
{
    struct loop_source *s = NULL;

    assert_int_equal(loop_add_fd(loop, -1, EPOLLIN, count_cb, NULL, &s), -EBADF);
    assert_null(s);
}

static void signal_cb(void *arg, int signo)
{
    note(signo == SIGUSR1 ? '1' : '?');
    loop_stop(loop);
}

static void a_signal_is_delivered_in_the_loop(void **state)
{
    assert_int_equal(loop_add_signal(loop, SIGUSR1, signal_cb, NULL, NULL), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "1");
}

static void remove_self(void *arg, uint32_t events)
{
    note('s');
    loop_remove(*(struct loop_source **)arg);
}

static void a_source_may_remove_itself_many_times_over(void **state)
{
    int fd = eventfd(1, EFD_CLOEXEC);

    for (int i = 0; i < 20; i++) {
        struct loop_source *s;

        assert_int_equal(loop_add_fd(loop, fd, EPOLLIN, remove_self, &s, &s), 0);
        assert_int_equal(loop_run_once(loop, 0), 0);
        assert_int_equal(loop_run_once(loop, 0), 0);
    }
    assert_int_equal(strlen(trace), 20);
    close(fd);
}

static void what_is_left_goes_with_the_loop(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    loop_add_fd(loop, fd, EPOLLIN, count_cb, NULL, NULL);
    loop_add_timer(loop, 100000, timer_cb, "x", NULL);
    loop_destroy(loop); /* the leak checker of the sanitizer build looks at this */
    assert_int_equal(loop_create(&loop), 0);
    assert_int_equal(close(fd), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_loop, destroy_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_once_and_in_the_order_they_are_due),
        TEST(timers_due_at_once_fire_in_the_order_they_were_made),
        TEST(a_timer_never_fires_early),
        TEST(a_removed_timer_does_not_fire),
        TEST(a_timer_may_remove_another_that_is_due_at_the_same_moment),
        TEST(a_timer_may_be_made_in_a_timers_callback),
        TEST(a_source_removed_in_anothers_callback_is_not_called_any_more),
        TEST(a_descriptor_is_level_triggered_and_stays_the_callers),
        TEST(a_bad_descriptor_is_refused),
        TEST(a_signal_is_delivered_in_the_loop),
        TEST(a_source_may_remove_itself_many_times_over),
        TEST(what_is_left_goes_with_the_loop),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
