/* SPDX-License-Identifier: MIT
 *
 * blkbackd and blkbackctl as programs, over the loopback's store on the real wire protocol.
 */
#include "live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/msg.h"

static char output[1 << 16];

static int ctl(const char *a, const char *b)
{
    const char *const argv[] = {BLKBACKCTL_PATH, "--socket", live.socket, a, b, NULL};

    return live_run(argv, output, sizeof(output));
}

/* Once an answer has come, earlier clients of the control socket are gone. */
static unsigned settled_fds(void)
{
    live_disk("state");
    return live_daemon_fds();
}

/* The store's events come in order with its answers: after an answer none is under way. */
static unsigned watch_events(void)
{
    char value[16], event[256], token[16];
    unsigned n = 0;

    hv_store_read(live.dom0, 0, live.back, value, sizeof(value));
    while (hv_store_next_watch(live.dom0, event, sizeof(event), token, sizeof(token)) == 1)
        n++;
    return n;
}

static void a_disk_connects_and_is_detached(void **state)
{
    live_connect();
    assert_string_equal(live_disk("state"), "connected");
    live_put(live.dom0, live.back, "online", "0");
    live_put(live.dom0, live.back, "state", "5");
    live_front("5");
    live_front("6");
    live_wait_state(live.back, "6");
    assert_string_equal(live_disk("state"), "");
}

static void the_guest_cannot_write_into_our_directory(void **state)
{
    char path[128];

    live_connect();
    snprintf(path, sizeof(path), "/local/domain/0/%s/physical-device-path", live.back);
    assert_int_equal(hv_store_write(live.guest, 0, path, "/etc/shadow"), -EACCES);
}

static void a_destroyed_domain_leaves_nothing(void **state)
{
    unsigned fds = settled_fds();

    live_connect();
    assert_true(live_daemon_fds() > fds);
    hv_store_close(live.guest); /* the domain's */
    live.guest = NULL;
    loopd_destroy(&live.loopd, live.domid);
    live_wait_state(live.back, "6");
    assert_string_equal(live_disk("state"), "");
    assert_int_equal(live_daemon_fds(), fds);
    struct errmsg err;
    live.domid = loopd_create(&live.loopd, 16);
    assert_int_equal(hv_store_open(loopd_spec(&live.loopd, live.domid), &live.guest, &err), 0);
}

/* XSA-349. The first part warms up what libraries keep; the rest may not cost memory. */
static void a_watch_flood_costs_no_memory(void **state)
{
    live_connect();
    for (int i = 0; i < 5000; i++)
        live_front("4");
    assert_string_equal(live_disk("state"), "connected");
    uint64_t before = live_daemon_rss();
    for (int i = 0; i < 30000; i++)
        live_front(i & 1 ? "3" : "4");
    assert_string_equal(live_disk("state"), "connected");
    uint64_t after = live_daemon_rss();
    assert_true(after < before + (1 << 20));
}

/* What a failed test should show. */
static void print_log(void)
{
    FILE *f = fopen(live.log, "re");
    char line[400];

    for (int i = 0; f && i < 40 && fgets(line, sizeof(line), f); i++)
        print_message("# %s", line);
    if (f)
        fclose(f);
}

/* XSA-180: nor does it cost log. */
static void toggling_states_costs_a_bounded_log(void **state)
{
    struct stat st;

    live_connect();
    for (int i = 0; i < 3000; i++) {
        live_front("99");
        live_front("5");
        live_front("6");
        live_front("1");
        live_front("3");
    }
    live_front("5");
    live_wait_state(live.back, "5");
    assert_int_equal(stat(live.log, &st), 0);
    if (st.st_size >= 8 << 10)
        print_log();
    assert_true(st.st_size < 8 << 10);
}

static void a_killed_daemon_comes_back_without_a_word(void **state)
{
    live_connect();
    assert_int_equal(live_daemon_stop(SIGKILL), 128 + SIGKILL);
    watch_events(); /* what came before */
    assert_int_equal(hv_store_watch(live.dom0, live.back, "silence"), 0);
    assert_int_equal(watch_events(), 1); /* a new watch fires once */
    live_daemon_start();
    while (strcmp(live_disk("state"), "connected") != 0)
        usleep(5000);
    assert_int_equal(watch_events(), 0);
    hv_store_unwatch(live.dom0, live.back, "silence");
    live_front("5");
    live_front("6");
    live_wait_state(live.back, "6");
}

static pid_t worker_of_the_disk(void)
{
    struct json_object *worker = json_tokener_parse(live_disk("worker")), *pid = NULL;

    assert_true(json_object_object_get_ex(worker, "pid", &pid));
    pid_t number = json_object_get_int(pid);
    json_object_put(worker);
    return number;
}

/* Two workers on one ring would answer requests twice. */
static void a_worker_that_outlives_its_daemon_is_waited_for(void **state)
{
    assert_int_equal(live_daemon_stop(SIGTERM), 0);
    setenv("FAKE_VBD", "linger", 1);
    live_daemon_start();
    live_connect();
    pid_t old = worker_of_the_disk();
    assert_int_equal(live_daemon_stop(SIGKILL), 128 + SIGKILL);
    setenv("FAKE_VBD", "", 1);
    live_daemon_start();
    while (!strstr(live_disk("waits_for"), "earlier daemon"))
        usleep(5000);
    assert_int_equal(worker_of_the_disk(), 0);
    assert_int_equal(kill(old, SIGKILL), 0);
    while (strcmp(live_disk("state"), "connected") != 0)
        usleep(5000);
}

static void a_terminated_daemon_ends_its_workers_and_says_nothing(void **state)
{
    char value[16];

    live_connect();
    pid_t number = worker_of_the_disk();
    assert_int_equal(kill(number, 0), 0);
    assert_int_equal(live_daemon_stop(SIGTERM), 0);
    assert_int_equal(kill(number, 0), -1);
    assert_true(hv_store_read(live.dom0, 0, "backend/vbd", value, sizeof(value)) >= 0);
    live_wait_state(live.back, "4");
    assert_int_equal(access(live.socket, F_OK), -1);
}

static void a_worker_that_crashes_on_connect_is_said(void **state)
{
    live_daemon_stop(SIGTERM);
    setenv("FAKE_VBD", "die-on-connect", 1);
    live_daemon_start();
    live_attach(51712, "null:1M");
    live_wait_state(live.back, "2");
    live_front_nodes();
    live_front("3");
    live_wait_state(live.back, "5");
    assert_string_equal(live_disk("state"), "failed");
    assert_non_null(strstr(live_disk("error"), "signal 6"));
    char path[128], text[256];
    snprintf(path, sizeof(path), "error/%s/error", live.back);
    assert_true(hv_store_read(live.dom0, 0, path, text, sizeof(text)) > 0);
    assert_non_null(strstr(text, "signal 6"));
}

static void a_hundred_disks_come_and_go(void **state)
{
    unsigned fds = settled_fds();
    char dir[64];

    for (unsigned i = 0; i < 100; i++)
        live_attach(51712 + 16 * i, "null:1M");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(dir, sizeof(dir), "backend/vbd/%u/%u", live.domid, 51712 + 16 * i);
        live_wait_state(dir, "2");
    }
    snprintf(dir, sizeof(dir), "backend/vbd/%u", live.domid);
    assert_int_equal(hv_store_rm(live.dom0, 0, dir), 0);
    while (*live_disk("disk"))
        usleep(5000);
    assert_int_equal(live_daemon_fds(), fds);
    assert_int_equal(hv_store_exists(live.dom0, 0, dir), 0); /* not brought back */
}

/* ---- the control socket ---------------------------------------------------------------------- */

static void a_silent_client_holds_up_nobody(void **state)
{
    int fds[40];

    for (unsigned i = 0; i < COUNT(fds); i++)
        fds[i] = msg_connect(live.socket, SOCK_STREAM);
    /* All places are taken: the next is turned away at once rather than kept waiting. */
    struct json_object *o = live_ask("{\"cmd\":\"version\"}");
    assert_null(o);
    for (unsigned i = 0; i < COUNT(fds); i++)
        close(fds[i]);
    while (!(o = live_ask("{\"cmd\":\"version\"}")))
        usleep(5000);
    json_object_put(o);
    live_connect();
}

static void an_endless_request_is_refused(void **state)
{
    static char request[8192];
    struct json_object *ok;

    memset(request, '{', sizeof(request) - 1);
    struct json_object *o = live_ask(request);
    /* Answered, or cut off because the rest was not read; never served. */
    if (o) {
        assert_true(json_object_object_get_ex(o, "ok", &ok));
        assert_false(json_object_get_boolean(ok));
        json_object_put(o);
    }
    o = live_ask("{\"cmd\":\"version\"}");
    assert_non_null(o);
    json_object_put(o);
}

static void only_its_owner_may_use_the_socket(void **state)
{
    struct stat st;

    assert_int_equal(stat(live.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void ctl_lists_and_shows(void **state)
{
    assert_int_equal(ctl("list", NULL), 0);
    assert_string_equal(output, "no disks\n");
    live_attach(51712, NULL);
    live_wait_state(live.back, "2");
    assert_int_equal(ctl("list", NULL), 0);
    assert_non_null(strstr(output, "waiting"));
    assert_non_null(strstr(output, "└ waits for the hotplug script to name its storage"));
    live_put(live.dom0, live.back, "physical-device-path", "null:3M");
    live_front_nodes();
    live_front("3");
    live_wait_state(live.back, "4");
    assert_int_equal(ctl("list", NULL), 0);
    assert_non_null(strstr(output, "connected"));
    assert_non_null(strstr(output, " 3M  rw"));
    char name[32];
    snprintf(name, sizeof(name), "%u:xvda", live.domid);
    assert_int_equal(ctl("show", name), 0);
    static const char *const words[] = {"4 (Connected)", "null:3M", "x86_64-abi", "oo_req",
                                        "rd_sect",       "wr_sect", "ds_req",     "f_req"};
    for (unsigned i = 0; i < COUNT(words); i++)
        assert_non_null(strstr(output, words[i]));
    assert_int_equal(ctl("--json", "list"), 0);
    assert_int_equal(strncmp(output, "{\"schema\":1,", 12), 0);
    assert_int_equal(ctl("caches", NULL), 0);
    assert_non_null(strstr(output, "vbd"));
}

static void ctl_says_what_is_wrong_by_its_exit_status(void **state)
{
    assert_int_equal(ctl("show", "9:nope"), 4);
    assert_non_null(strstr(output, "9:nope"));
    assert_int_equal(ctl("erase", NULL), 2);
    assert_int_equal(ctl("show", NULL), 2);
    assert_int_equal(ctl("--nonsense", NULL), 2);
    assert_int_equal(ctl("list", "extra"), 2);
    assert_int_equal(ctl("--version", NULL), 0);
    assert_int_equal(ctl("--help", NULL), 0);
    assert_int_equal(live_daemon_stop(SIGTERM), 0);
    assert_int_equal(ctl("list", NULL), 3);
    assert_non_null(strstr(output, "hint: start it"));
    assert_int_equal(ctl("doctor", NULL), 1);
}

static void doctor_finds_the_disk_that_failed(void **state)
{
    ctl("doctor", NULL);
    assert_non_null(strstr(output, "loopback hypervisor"));
    assert_non_null(strstr(output, "none of them stuck"));
    live_attach(51712, "/nonexistent/web1.img");
    live_wait_state(live.back, "5");
    assert_int_equal(ctl("doctor", NULL), 1);
    assert_non_null(strstr(output, "FAIL"));
    assert_non_null(strstr(output, "/nonexistent/web1.img"));
    assert_int_equal(ctl("--json", "doctor"), 1);
    struct json_object *o = json_tokener_parse(output);
    assert_non_null(o);
    json_object_put(o);
}

/* ---- starting -------------------------------------------------------------------------------- */

static int run_daemon(const char *a, const char *b, const char *c, const char *d)
{
    const char *const argv[] = {BLKBACKD_PATH, a, b, c, d, "--worker", FAKE_VBD_PATH, NULL};

    return live_run(argv, output, sizeof(output));
}

static void assert_one_line_about(const char *what)
{
    assert_non_null(strstr(output, what));
    assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
}

static void what_stops_it_from_starting_is_one_line(void **state)
{
    assert_int_equal(run_daemon("--hv", live.loopd.dom0, "--run-dir", live.loopd.dir), 1);
    assert_one_line_about("another blkbackd");
    assert_int_equal(run_daemon("--hv", "loop:/nonexistent", "--run-dir", "/nonexistent/x"), 1);
    assert_one_line_about("/nonexistent/x");
    assert_int_equal(run_daemon("--hv", "vmware", "--run-dir", live.loopd.dir), 1);
    assert_int_equal(run_daemon("--kinds", "vbd,", "--hv", "xen"), 2);
    assert_one_line_about("--kinds");
    assert_int_equal(run_daemon("--log-level", "loud", "--hv", "xen"), 2);
    assert_one_line_about("--log-level");
    assert_int_equal(run_daemon("--bogus", "x", "--hv", "xen"), 2);
    assert_one_line_about("--bogus");
    const char *const argv[] = {BLKBACKD_PATH, "--worker", "/nonexistent/vbd", NULL};
    assert_int_equal(live_run(argv, output, sizeof(output)), 1);
    assert_one_line_about("/nonexistent/vbd");
}

static void no_driver_for_a_kind_is_said(void **state)
{
    assert_int_equal(live_daemon_stop(SIGTERM), 0);
    const char *const argv[] = {BLKBACKD_PATH,  "--hv",     live.loopd.dom0, "--run-dir",
                                live.loopd.dir, "--worker", FAKE_VBD_PATH,   "--kinds",
                                "vif",          NULL};
    assert_int_equal(live_run(argv, output, sizeof(output)), 1);
    assert_one_line_about("'vif'");
}

#define LIVE(f) cmocka_unit_test_setup_teardown(f, live_setup, live_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE(a_disk_connects_and_is_detached),
        LIVE(the_guest_cannot_write_into_our_directory),
        LIVE(a_destroyed_domain_leaves_nothing),
        LIVE(a_watch_flood_costs_no_memory),
        LIVE(toggling_states_costs_a_bounded_log),
        LIVE(a_killed_daemon_comes_back_without_a_word),
        LIVE(a_worker_that_outlives_its_daemon_is_waited_for),
        LIVE(a_terminated_daemon_ends_its_workers_and_says_nothing),
        LIVE(a_worker_that_crashes_on_connect_is_said),
        LIVE(a_hundred_disks_come_and_go),
        LIVE(a_silent_client_holds_up_nobody),
        LIVE(an_endless_request_is_refused),
        LIVE(only_its_owner_may_use_the_socket),
        LIVE(ctl_lists_and_shows),
        LIVE(ctl_says_what_is_wrong_by_its_exit_status),
        LIVE(doctor_finds_the_disk_that_failed),
        LIVE(what_stops_it_from_starting_is_one_line),
        LIVE(no_driver_for_a_kind_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
