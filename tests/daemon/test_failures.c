/* SPDX-License-Identifier: MIT
 *
 * Storage that does not open, workers that refuse, die or are silent, floods of watches: the disk
 * says what is wrong, nothing else suffers, and nothing is tried for ever.
 */
#include "rig.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/report.h"

static void ready_guest(void)
{
    rig_attach(3, RIG_DEVID);
    rig_front_nodes();
    rig_front("3");
}

static void storage_that_does_not_open_is_closing_with_its_reason(void **state)
{
    rig_attach(3, RIG_DEVID);
    rig_run();
    rig_target("/nonexistent/web1.img");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_int_equal(strncmp(rig_error(), "2 ", 2), 0);
    assert_non_null(strstr(rig_error(), "/nonexistent/web1.img"));
    assert_string_equal(vbd_state_word(rig_vbd()), "failed");
    assert_int_equal(fake_workers.started, 0);
}

static void it_is_not_tried_for_ever(void **state)
{
    storage_that_does_not_open_is_closing_with_its_reason(state);
    fake_forget();
    uint64_t looks = rig.bus.looks;
    for (int i = 0; i < 100; i++) {
        bus_mark(&rig_vbd()->dev);
        rig_run();
    }
    assert_int_equal(rig.bus.looks, looks + 100);
    assert_int_equal(fake_writes("/"), 0);
}

static void storage_put_right_serves_at_the_guests_next_start(void **state)
{
    storage_that_does_not_open_is_closing_with_its_reason(state);
    rig_front("5");
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    rig_target("null:1M");
    rig_front("1");
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_string_equal(rig_error(), "");
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
}

static void a_worker_program_that_cannot_run_is_said(void **state)
{
    fake_workers.cannot_run = true;
    ready_guest();
    rig_target("null:1M");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_non_null(strstr(rig_error(), "cannot start the worker program"));
}

static void a_worker_that_cannot_open_the_storage_is_ended(void **state)
{
    fake_workers.refuse = -ENODEV;
    ready_guest();
    rig_target("null:1M");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_string_equal(rig_error(), "19 the worker says no");
    assert_int_equal(fake_workers.living, 0);
}

static void rings_that_cannot_be_mapped_are_said(void **state)
{
    rig_attach(3, RIG_DEVID);
    rig_target("null:1M");
    rig_run();
    fake_workers.refuse = -EINVAL;
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_string_equal(rig_error(), "22 the worker says no");
}

static void a_worker_that_dies_is_closing_with_its_reason(void **state)
{
    rig_connect();
    fake_workers_die();
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_non_null(strstr(rig_error(), "signal 9"));
    rig_front("5");
    rig_front("6");
    rig_run();
    rig_front("1");
    rig_run();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED); /* a new worker serves the next start */
    assert_int_equal(fake_workers.started, 2);
}

static void a_worker_that_dies_during_detach_does_not_hold_it_up(void **state)
{
    rig_connect();
    fake_workers.silent = true;
    fake_put(RIG_BACK "/online", "0");
    fake_put(RIG_BACK "/state", "5");
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    fake_workers_die();
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_null(rig_vbd());
}

static void the_death_of_one_leaves_the_others_alone(void **state)
{
    rig_connect();
    rig_attach(4, RIG_DEVID);
    fake_put("backend/vbd/4/51712/physical-device-path", "/nonexistent/x");
    rig_run();
    assert_string_equal(fake_get("backend/vbd/4/51712/state", NULL), "5");
    assert_int_equal(rig_ours(), XB_CONNECTED);
    assert_int_equal(rig_vbd()->phase, PHASE_CONNECTED);
}

/* XSA-349: a guest that rewrites its state as fast as it can costs marks, not memory or looks. */
static void a_flood_of_watches_is_one_look(void **state)
{
    rig_connect();
    uint64_t looks = rig.bus.looks;
    for (int i = 0; i < 3000; i++)
        rig_front("4");
    rig_run();
    assert_true(rig.bus.events >= 3000);
    assert_true(rig.bus.looks - looks <= 2);
}

static void more_new_directories_than_fit_the_list_are_all_found(void **state)
{
    for (unsigned d = 0; d < 20; d++) {
        char path[64];
        for (unsigned n = 0; n < BUS_PENDING_MAX / 10; n++) { /* many that are not ours */
            snprintf(path, sizeof(path), "backend/vbd/%u/%u/state", 100 + d, n);
            fake_put(path, "4");
        }
        rig_attach(d + 1, 51712);
    }
    rig_run();
    assert_int_equal(rig.bus.nr_devices, 20);
}

static void rewriting_our_own_nodes_does_not_loop(void **state)
{
    rig_connect();
    fake_forget();
    for (int i = 0; i < 20; i++) {
        fake_put(RIG_BACK "/state", "4");
        fake_put(RIG_BACK "/hotplug-status", "connected");
        rig_run();
    }
    assert_int_equal(fake_writes("/"), 0);
}

/* ---- what the control socket says of it ------------------------------------------------------ */

static struct json_object *ask(const char *request)
{
    char *text = report_answer(&rig, request);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_null(memchr(text, '\n', strlen(text) - 1)); /* one line */
    struct json_object *o = json_tokener_parse(text);
    free(text);
    assert_non_null(o);
    return o;
}

static struct json_object *member(struct json_object *o, const char *key)
{
    struct json_object *value = NULL;
    assert_true(json_object_object_get_ex(o, key, &value));
    return value;
}

static void a_report_has_every_disk_and_its_error(void **state)
{
    rig_connect();
    rig_attach(4, RIG_DEVID);
    fake_put("backend/vbd/4/51712/physical-device-path", "/nonexistent/x");
    rig_run();
    struct json_object *o = ask("{\"cmd\":\"list\"}");
    assert_int_equal(json_object_get_int(member(o, "schema")), 1);
    struct json_object *disks = member(o, "disks");
    assert_int_equal(json_object_array_length(disks), 2);
    struct json_object *good = json_object_array_get_idx(disks, 0);
    struct json_object *bad = json_object_array_get_idx(disks, 1);
    assert_string_equal(json_object_get_string(member(good, "state")), "connected");
    assert_int_equal(json_object_get_int64(member(good, "size_bytes")), 1 << 20);
    assert_string_equal(json_object_get_string(member(bad, "state")), "failed");
    assert_non_null(strstr(json_object_get_string(member(bad, "error")), "/nonexistent/x"));
    json_object_put(o);
}

static void a_disk_answers_to_each_of_its_names(void **state)
{
    static const char *const names[] = {"3:xvda", "3:51712", "web1:xvda", RIG_BACK};
    char request[128];

    fake_put("/local/domain/3/name", "web1");
    rig_connect();
    rig_vbd()->stats->nr_rings = 1;
    rig_vbd()->stats->ring[0].rd_sect = 77;
    for (unsigned i = 0; i < COUNT(names); i++) {
        snprintf(request, sizeof(request), "{\"cmd\":\"show\",\"disk\":\"%s\"}", names[i]);
        struct json_object *o = ask(request);
        struct json_object *disk = member(o, "disk");
        assert_string_equal(json_object_get_string(member(disk, "domain")), "web1");
        assert_int_equal(json_object_get_int(member(member(disk, "stats"), "rd_sect")), 77);
        assert_int_equal(json_object_array_length(member(disk, "rings")), 1);
        json_object_put(o);
    }
}

static void a_bad_request_gets_an_error(void **state)
{
    static const char *const requests[][2] = {
        {"", "usage"},
        {"{", "usage"},
        {"[]", "usage"},
        {"7", "usage"},
        {"{\"cmd\":7}", "usage"},
        {"{\"cmd\":null}", "usage"},
        {"{\"cmd\":\"erase\"}", "usage"},
        {"{\"cmd\":\"show\"}", "usage"},
        {"{\"cmd\":\"show\",\"disk\":null}", "usage"},
        {"{\"cmd\":\"show\",\"disk\":\"9:xvdz\"}", "not-found"},
    };

    for (unsigned i = 0; i < COUNT(requests); i++) {
        struct json_object *o = ask(requests[i][0]);
        assert_false(json_object_get_boolean(member(o, "ok")));
        assert_string_equal(json_object_get_string(member(o, "code")), requests[i][1]);
        json_object_put(o);
    }
}

/* A worker has touched guest memory: what it writes for us to show cannot hurt. */
static void a_worker_that_writes_nonsense_into_its_page(void **state)
{
    rig_connect();
    memset(rig_vbd()->stats, 0xff, sizeof(*rig_vbd()->stats));
    struct json_object *o = ask("{\"cmd\":\"caches\"}");
    struct json_object *rows = member(o, "caches");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        const char *name =
            json_object_get_string(member(json_object_array_get_idx(rows, i), "name"));
        for (; *name; name++)
            assert_in_range(*name, 0x20, 0x7e);
    }
    json_object_put(o);
    json_object_put(ask("{\"cmd\":\"show\",\"disk\":\"3:xvda\"}"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(storage_that_does_not_open_is_closing_with_its_reason),
        CASE(it_is_not_tried_for_ever),
        CASE(storage_put_right_serves_at_the_guests_next_start),
        CASE(a_worker_program_that_cannot_run_is_said),
        CASE(a_worker_that_cannot_open_the_storage_is_ended),
        CASE(rings_that_cannot_be_mapped_are_said),
        CASE(a_worker_that_dies_is_closing_with_its_reason),
        CASE(a_worker_that_dies_during_detach_does_not_hold_it_up),
        CASE(the_death_of_one_leaves_the_others_alone),
        CASE(a_flood_of_watches_is_one_look),
        CASE(more_new_directories_than_fit_the_list_are_all_found),
        CASE(rewriting_our_own_nodes_does_not_loop),
        CASE(a_report_has_every_disk_and_its_error),
        CASE(a_disk_answers_to_each_of_its_names),
        CASE(a_bad_request_gets_an_error),
        CASE(a_worker_that_writes_nonsense_into_its_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
