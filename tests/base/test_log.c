/* SPDX-License-Identifier: MIT
 *
 * The log as a person reads it, how much of it a guest can cause, and the line that explains an
 * error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#include "base/error.h"
#include "base/log.h"

static char text[1 << 16];
static int memory = -1, saved = -1;

/* stderr goes to a memory file between these two. */
static void capture(void)
{
    memory = memfd_create("log", MFD_CLOEXEC);
    assert_true(memory >= 0);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(memory, STDERR_FILENO), STDERR_FILENO);
}

static const char *captured(void)
{
    ssize_t n = pread(memory, text, sizeof(text) - 1, 0);

    dup2(saved, STDERR_FILENO);
    close(saved);
    close(memory);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void a_line_names_its_process_and_its_weight(void **state)
{
    unsetenv("JOURNAL_STREAM");
    log_open("tester 3.51712", LOG_LEVEL_DEBUG);
    capture();
    log_error("one %d", 1);
    log_warn("two");
    log_info("three");
    log_debug("four");
    assert_string_equal(captured(), "tester 3.51712: error: one 1\n"
                                    "tester 3.51712: warning: two\n"
                                    "tester 3.51712: three\n"
                                    "tester 3.51712: debug: four\n");
}

static void lines_above_the_level_are_dropped(void **state)
{
    unsetenv("JOURNAL_STREAM");
    log_open("tester", LOG_LEVEL_WARN);
    capture();
    log_debug("no");
    log_info("no");
    log_warn("yes");
    assert_string_equal(captured(), "tester: warning: yes\n");
}

static void under_systemd_a_line_carries_its_priority(void **state)
{
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("tester", LOG_LEVEL_INFO);
    capture();
    log_error("a");
    log_info("b");
    const char *got = captured();
    unsetenv("JOURNAL_STREAM");
    assert_int_equal(strncmp(got, "<3>", 3), 0);
    assert_non_null(strstr(got, "\n<6>"));
}

static void a_line_without_end_is_cut_and_ends_with_a_newline(void **state)
{
    static char huge[20000];

    memset(huge, 'x', sizeof(huge) - 1);
    log_open("tester", LOG_LEVEL_INFO);
    capture();
    log_info("%s", huge);
    log_info("next");
    const char *got = captured();
    size_t len = strcspn(got, "\n");
    assert_in_range(len, 500, 4096);
    assert_string_equal(got + len, "\ntester: next\n");
}

static void xsa_180_a_flood_of_messages_is_a_handful_of_lines(void **state)
{
    struct log_limit limit = {0};
    unsigned written = 0;

    log_open("tester", LOG_LEVEL_INFO);
    capture();
    for (int i = 0; i < 1000000; i++)
        written += log_limit_ok(&limit);
    captured();
    /* the burst, and a line more for each ten seconds this loop could have taken */
    assert_in_range(written, LOG_LIMIT_BURST, LOG_LIMIT_BURST + 60 / LOG_LIMIT_SECONDS);
    assert_int_equal(limit.suppressed + written, 1000000);
}

/* The clock is not waited for: the window is moved back instead. */
static void after_a_pause_the_count_of_dropped_lines_comes_first(void **state)
{
    struct log_limit limit = {0};

    log_open("tester", LOG_LEVEL_INFO);
    while (log_limit_ok(&limit))
        ;
    for (int i = 0; i < 41; i++)
        log_limit_ok(&limit);
    uint64_t dropped = limit.suppressed;
    assert_int_equal(dropped, 42);
    assert_true(limit.window_start > LOG_LIMIT_SECONDS);
    limit.window_start -= LOG_LIMIT_SECONDS;
    capture();
    assert_true(log_limit_ok(&limit));
    assert_non_null(strstr(captured(), "42"));
    assert_int_equal(limit.suppressed, 0);
    assert_false(log_limit_ok(&limit));
}

static void an_errmsg_returns_its_error_and_holds_one_line(void **state)
{
    struct errmsg e;

    assert_int_equal(errmsg_set(&e, -ENOENT, "%s: not there: make it with truncate", "/x"),
                     -ENOENT);
    assert_string_equal(e.text, "/x: not there: make it with truncate");
    assert_int_equal(errmsg_set(NULL, -EIO, "nobody reads this"), -EIO);
}

static void an_errmsg_that_is_too_long_is_cut(void **state)
{
    struct {
        struct errmsg e;
        char after[16];
    } box;
    static char huge[5000];

    memset(huge, 'y', sizeof(huge) - 1);
    memset(box.after, 'z', sizeof(box.after));
    assert_int_equal(errmsg_set(&box.e, -EINVAL, "%s", huge), -EINVAL);
    assert_int_equal(strlen(box.e.text), ERRMSG_MAX - 1);
    for (size_t i = 0; i < sizeof(box.after); i++)
        assert_int_equal(box.after[i], 'z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_its_process_and_its_weight),
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(under_systemd_a_line_carries_its_priority),
        cmocka_unit_test(a_line_without_end_is_cut_and_ends_with_a_newline),
        cmocka_unit_test(xsa_180_a_flood_of_messages_is_a_handful_of_lines),
        cmocka_unit_test(after_a_pause_the_count_of_dropped_lines_comes_first),
        cmocka_unit_test(an_errmsg_returns_its_error_and_holds_one_line),
        cmocka_unit_test(an_errmsg_that_is_too_long_is_cut),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
