/* SPDX-License-Identifier: MIT
 *
 * A worker process as the daemon sees it: the exchange, and everything a worker can do wrong. The
 * programs are real (fake_vbd.c); each ends with its process gone.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/lifefile.h"
#include "daemon/process.h"
#include "daemon/worker.h"

static struct loop *loop;
static struct worker *worker;
static struct worker_event last;
static unsigned seen[WORKER_EXITED + 1];

static void on_event(void *owner, const struct worker_event *event)
{
    assert_ptr_equal(owner, &loop);
    last = *event;
    seen[event->type]++;
    if (event->type == WORKER_EXITED) {
        worker_free(worker);
        worker = NULL;
    }
}

static void start_with(const char *mode, uint64_t answer_ms, uint64_t finish_ms)
{
    const struct worker_rules rules = {FAKE_VBD_PATH, "3:xvda", answer_ms, finish_ms};
    struct vbd_setup setup = {.domid = 3};
    struct errmsg err;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    memset(seen, 0, sizeof(seen));
    assert_int_equal(setenv("FAKE_VBD", mode, 1), 0);
    assert_int_equal(loop_create(&loop), 0);
    assert_int_equal(worker_start(loop, &rules, on_event, &loop, &worker, &err), 0);
    worker_setup(worker, &setup, &fd, 1);
    close(fd);
}

#define PATIENT 600000u

static void start(const char *mode)
{
    start_with(mode, PATIENT, PATIENT);
}

static void wait_for(enum worker_event_type type)
{
    while (!seen[type]) {
        assert_int_equal(seen[WORKER_EXITED], 0); /* nothing comes after that */
        loop_run_once(loop, -1);
    }
}

static void finish(void)
{
    wait_for(WORKER_EXITED);
    assert_null(worker);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    loop_destroy(loop);
}

static void connect_it(void)
{
    struct vbd_connect c = {.head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_CONNECT, sizeof(c)},
                            .nr_rings = 1};

    wait_for(WORKER_READY);
    worker_connect(worker, &c);
}

static void the_whole_exchange_twice(void **state)
{
    start("");
    for (int i = 0; i < 2; i++) {
        memset(seen, 0, sizeof(seen));
        seen[WORKER_READY] = i; /* SETUP is said once */
        connect_it();
        wait_for(WORKER_CONNECTED);
        worker_disconnect(worker);
        wait_for(WORKER_DISCONNECTED);
    }
    worker_quit(worker);
    finish();
    assert_string_equal(last.text.text, "it exited with status 0");
}

static void a_refusal_is_printable_and_has_its_error(void **state)
{
    start("refuse");
    wait_for(WORKER_REFUSED);
    assert_int_equal(last.err, -ENODEV);
    assert_int_equal(strncmp(last.text.text, "no device?", 10), 0);
    for (const char *p = last.text.text; *p; p++)
        assert_in_range(*p, 0x20, 0x7e);
    worker_quit(worker);
    finish();
}

static void a_malformed_answer_is_the_end_of_the_worker(void **state)
{
    static const char *const modes[] = {"bad-magic", "bad-version", "bad-length",
                                        "short",     "with-fd",     "bad-type"};

    for (unsigned i = 0; i < COUNT(modes); i++) {
        start(modes[i]);
        finish();
        assert_int_equal(seen[WORKER_READY], 0);
        assert_non_null(strstr(last.text.text, "it sent a m"));
    }
}

static void an_answer_to_another_question_is_the_end_of_the_worker(void **state)
{
    start("wrong-answer");
    finish();
    assert_int_equal(seen[WORKER_CONNECTED], 0);
    start("unasked");
    finish();
    assert_int_equal(seen[WORKER_CONNECTED], 0);
    start("refuse-disconnect");
    connect_it();
    wait_for(WORKER_CONNECTED);
    worker_disconnect(worker);
    finish();
    assert_int_equal(seen[WORKER_DISCONNECTED], 0);
    assert_int_equal(seen[WORKER_REFUSED], 0);
}

static void a_death_says_how(void **state)
{
    start("exit-7");
    finish();
    assert_string_equal(last.text.text, "it exited with status 7");
    start("die-on-connect");
    connect_it();
    finish();
    assert_non_null(strstr(last.text.text, "signal 6"));
}

static void a_silent_worker_is_killed(void **state)
{
    start_with("silent", 1, PATIENT);
    finish();
    assert_string_equal(last.text.text, "it did not answer in time");
}

static void a_worker_that_does_not_finish_is_killed(void **state)
{
    start_with("hang-disconnect", PATIENT, 1);
    connect_it();
    wait_for(WORKER_CONNECTED);
    worker_disconnect(worker);
    finish();
    assert_non_null(strstr(last.text.text, "storage may be hanging"));
    start_with("hang-quit", PATIENT, 1);
    wait_for(WORKER_READY);
    worker_quit(worker);
    finish();
}

static void a_worker_that_closes_its_socket_and_stays_is_killed(void **state)
{
    start_with("close", PATIENT, 1);
    /* The answer's deadline runs; nothing comes on a closed socket. */
    worker_quit(worker);
    finish();
}

static void a_halted_ring_is_told_and_an_impossible_one_is_not(void **state)
{
    start("halt");
    connect_it();
    wait_for(WORKER_CONNECTED);
    wait_for(WORKER_HALTED);
    assert_int_equal(last.ring, 0);
    assert_string_equal(last.text.text, "indices");
    worker_disconnect(worker);
    wait_for(WORKER_DISCONNECTED);
    assert_int_equal(seen[WORKER_HALTED], 1);
    worker_quit(worker);
    finish();
}

static void a_program_that_is_not_there(void **state)
{
    const struct worker_rules rules = {"/nonexistent/blkbackd-vbd", "3:xvda", 1, 1};
    struct errmsg err;

    assert_int_equal(loop_create(&loop), 0);
    assert_int_equal(worker_start(loop, &rules, on_event, &loop, &worker, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/blkbackd-vbd"));
    worker = NULL;
    loop_destroy(loop);
}

static void nobody_can_shrink_the_statistics_page(void **state)
{
    struct stats_page *page = NULL;
    int fd;

    assert_int_equal(stats_page_create(&page, &fd), 0);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 24), -1);
    assert_int_equal(page->magic, STATS_MAGIC);
    stats_page_destroy(page, fd);
}

static void the_worker_of_a_killed_daemon_is_known_while_it_lives(void **state)
{
    char dir[256], path[300];
    pid_t pid, found = 0;
    int pidfd, sock;

    temporary(dir, sizeof(dir));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(lifefile_living(dir, "backend/vbd/3/51712", &found), -ENOENT);
    assert_int_equal(spawn_worker(FAKE_VBD_PATH, "3:xvda", &pid, &pidfd, &sock), 0);
    lifefile_write(dir, "backend/vbd/3/51712", pid);
    int again = lifefile_living(dir, "backend/vbd/3/51712", &found);
    assert_true(again >= 0);
    assert_int_equal(found, pid);
    assert_int_equal(lifefile_living(dir, "backend/vbd/3/51713", &found), -ENOENT);
    close(again);
    close(sock); /* the end of the daemon is the end of its worker */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(pidfd);
    assert_int_equal(lifefile_living(dir, "backend/vbd/3/51712", &found), -ENOENT);
    /* The number now names another process: this one. */
    lifefile_write(dir, "backend/vbd/3/51712", getpid());
    snprintf(path, sizeof(path), "%s/vbd-3-51712.worker", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%d 1\n", (int)getpid());
    fclose(f);
    assert_int_equal(lifefile_living(dir, "backend/vbd/3/51712", &found), -ENOENT);
    assert_int_equal(rmdir(dir), 0); /* and nothing is left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_exchange_twice),
        cmocka_unit_test(a_refusal_is_printable_and_has_its_error),
        cmocka_unit_test(a_malformed_answer_is_the_end_of_the_worker),
        cmocka_unit_test(an_answer_to_another_question_is_the_end_of_the_worker),
        cmocka_unit_test(a_death_says_how),
        cmocka_unit_test(a_silent_worker_is_killed),
        cmocka_unit_test(a_worker_that_does_not_finish_is_killed),
        cmocka_unit_test(a_worker_that_closes_its_socket_and_stays_is_killed),
        cmocka_unit_test(a_halted_ring_is_told_and_an_impossible_one_is_not),
        cmocka_unit_test(a_program_that_is_not_there),
        cmocka_unit_test(nobody_can_shrink_the_statistics_page),
        cmocka_unit_test(the_worker_of_a_killed_daemon_is_known_while_it_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
