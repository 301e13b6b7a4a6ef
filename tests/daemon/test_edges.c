/* SPDX-License-Identifier: MIT
 *
 * The life of a disk, edge by edge, with a toolstack and a guest that behave.
 */
#include "rig.h"

#include <stdio.h>

static void a_new_disk_is_in_initwait_with_its_limits(void **state)
{
    rig_attach(3, RIG_DEVID);
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_string_equal(fake_get(RIG_BACK "/max-ring-page-order", NULL), "2");
    assert_string_equal(fake_get(RIG_BACK "/multi-queue-max-queues", NULL), "3");
    assert_string_equal(fake_get(RIG_BACK "/feature-max-indirect-segments", NULL), "64");
    assert_int_equal(fake_workers.started, 0);
}

static void it_stays_there_until_the_script_has_named_the_storage(void **state)
{
    struct errmsg waits;

    rig_attach(3, RIG_DEVID);
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_true(vbd_waits_for(rig_vbd(), &waits));
    assert_non_null(strstr(waits.text, "hotplug script"));
    rig_target("null:1M");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
}

static void connected_says_what_the_disk_is(void **state)
{
    rig_connect();
    assert_string_equal(fake_get(RIG_BACK "/sectors", NULL), "2048");
    assert_string_equal(fake_get(RIG_BACK "/sector-size", NULL), "512");
    assert_string_equal(fake_get(RIG_BACK "/info", NULL), "0");
    assert_string_equal(fake_get(RIG_BACK "/feature-persistent", NULL), "1");
    assert_string_equal(fake_get(RIG_BACK "/feature-flush-cache", NULL), "1");
    assert_int_equal(fake_workers.connect.ring[0].port, 7);
    assert_int_equal(fake_workers.connect.ring[0].refs[0], 8);
    assert_int_equal(fake_workers.connect.persistent, 1);
    assert_string_equal(fake_workers.setup.name, "xvda");
    assert_int_equal(fake_workers.setup.domid, 3);
}

static void a_read_only_cdrom_says_so(void **state)
{
    rig_attach(3, RIG_DEVID);
    fake_put(RIG_BACK "/mode", "r");
    fake_put(RIG_BACK "/device-type", "cdrom");
    fake_put(RIG_BACK "/removable", "1");
    rig_target("null:1M");
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    assert_string_equal(fake_get(RIG_BACK "/info", NULL), "7");
    assert_string_equal(fake_get(RIG_BACK "/feature-discard", NULL), "0");
    assert_int_equal(fake_workers.setup.read_only, 1);
}

static void conflicting_transactions_are_done_again(void **state)
{
    fake_conflict(5);
    rig_connect();
    fake_conflict(5);
    rig_front("5");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
}

static void a_guest_that_closes_sees_5_then_6_and_may_come_back(void **state)
{
    rig_connect();
    for (int i = 0; i < 3; i++) { /* kexec: 5, 5, 6, 6, 1, 2 */
        rig_front("5");
        rig_run();
        assert_int_equal(rig_ours(), XB_CLOSING);
        rig_front("6");
        rig_run();
        assert_int_equal(rig_ours(), XB_CLOSED);
        assert_int_equal(rig_vbd()->phase, PHASE_READY);
        rig_front("1");
        rig_run();
        assert_int_equal(rig_ours(), XB_INITWAIT);
        rig_front("3");
        rig_run();
        assert_int_equal(rig_ours(), XB_CONNECTED);
        rig_front("4");
        rig_run();
    }
    assert_int_equal(fake_workers.connects, 4);
    assert_int_equal(fake_workers.disconnects, 3);
}

static void requests_are_still_served_until_the_frontend_is_closed(void **state)
{
    rig_connect();
    rig_front("5");
    rig_run();
    assert_int_equal(rig_vbd()->phase, PHASE_CONNECTED);
    rig_front("6");
    rig_run();
    assert_int_equal(rig_vbd()->phase, PHASE_READY);
}

static void closed_is_not_said_before_the_rings_are_gone(void **state)
{
    struct errmsg waits;

    rig_connect();
    fake_workers.silent = true;
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_true(vbd_waits_for(rig_vbd(), &waits));
    assert_non_null(strstr(waits.text, "finish the I/O"));
    fake_workers_speak();
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
}

static void detach_ends_in_closed_with_no_worker_left(void **state)
{
    rig_connect();
    fake_put(RIG_BACK "/online", "0");
    fake_put(RIG_BACK "/state", "5");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSING);
    assert_int_equal(fake_workers.living, 1); /* the guest still uses it */
    rig_front("5");
    rig_run();
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_int_equal(fake_workers.living, 0);
    assert_null(rig_vbd());
    fake_forget();
    fake_rm(RIG_BACK);
    fake_rm(RIG_FRONT);
    rig_run();
    assert_int_equal(fake_writes("/"), 0);
}

static void detach_of_a_disk_no_guest_uses_needs_no_guest(void **state)
{
    rig_attach(3, RIG_DEVID);
    rig_target("null:1M");
    rig_run();
    assert_int_equal(fake_workers.living, 1);
    fake_put(RIG_BACK "/online", "0");
    fake_put(RIG_BACK "/state", "5");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_int_equal(fake_workers.living, 0);
    assert_null(rig_vbd());
}

static void closed_on_detach_waits_for_the_worker_to_be_gone(void **state)
{
    rig_connect();
    fake_put(RIG_BACK "/online", "0");
    fake_put(RIG_BACK "/state", "5");
    rig_front("6");
    loop_run_once(rig.loop, 0);
    while (rig.bus.again)
        loop_run_once(rig.loop, 0);
    assert_int_equal(rig_ours(), XB_CLOSING);
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
}

static void a_destroyed_domain_ends_in_closed(void **state)
{
    rig_connect();
    fake_rm("/local/domain/3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_int_equal(fake_workers.living, 0);
    assert_null(rig_vbd());
    assert_int_equal(fake_watches(), 2); /* one for each kind */
}

static void forced_detach_removes_the_frontend_first(void **state)
{
    rig_connect();
    fake_rm(RIG_FRONT);
    fake_put(RIG_BACK "/online", "0");
    fake_put(RIG_BACK "/state", "5");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
    assert_null(rig_vbd());
}

static void a_removed_backend_directory_is_not_brought_back(void **state)
{
    rig_connect();
    fake_forget();
    fake_rm(RIG_BACK);
    rig_run();
    assert_int_equal(fake_count("backend"), 3); /* backend, vbd and the domain's, as left */
    assert_int_equal(fake_writes("backend"), 0);
    assert_int_equal(fake_workers.living, 0);
    assert_null(rig_vbd());
    rig_front("5");
    rig_front("6");
    rig_run();
    assert_int_equal(fake_writes("backend"), 0);
}

static void a_backend_gone_while_the_worker_is_busy_is_not_brought_back(void **state)
{
    rig_connect();
    fake_workers.silent = true;
    rig_front("6");
    rig_run();
    fake_forget();
    fake_rm(RIG_BACK);
    fake_workers_speak();
    rig_run();
    assert_int_equal(fake_writes("backend"), 0);
    assert_null(rig_vbd());
}

static void a_backend_that_goes_between_look_and_write_is_not_brought_back(void **state)
{
    static const char *const fronts[] = {NULL, "3", "5"};

    for (unsigned i = 0; i < COUNT(fronts); i++) {
        rig_attach(3, RIG_DEVID);
        rig_target("null:1M");
        rig_front_nodes();
        if (fronts[i]) {
            rig_run();
            rig_front(fronts[i]);
        }
        fake_vanish(RIG_BACK);
        rig_run();
        assert_int_equal(fake_count(RIG_BACK), 0);
        assert_null(rig_vbd());
        assert_int_equal(fake_workers.living, 0);
    }
}

static void a_directory_replaced_while_the_worker_is_busy_is_a_new_disk(void **state)
{
    rig_connect();
    fake_workers.silent = true;
    fake_rm(RIG_BACK);
    rig_run();
    rig_attach(3, RIG_DEVID);
    rig_run();
    assert_int_equal(rig_ours(), XB_INITIALISING); /* the old one is not done yet */
    fake_workers_speak();
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_int_equal(fake_workers.living, 0);
}

/* A crashed guest's new kernel starts at Initialising without having closed anything. */
static void initwait_is_not_said_before_the_old_rings_are_gone(void **state)
{
    rig_connect();
    fake_workers.silent = true;
    rig_front("1");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    fake_workers_speak();
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_int_equal(rig_vbd()->phase, PHASE_READY);
}

static void discard_is_offered_unless_the_toolstack_says_no(void **state)
{
    rig_connect();
    assert_string_equal(fake_get(RIG_BACK "/feature-discard", NULL), "1");
    assert_true(fake_count(RIG_BACK "/discard-granularity") == 1);
    fake_rm("/local/domain/3");
    fake_rm(RIG_BACK);
    rig_run();
    rig_attach(3, RIG_DEVID);
    fake_put(RIG_BACK "/discard-enable", "0");
    rig_target("null:1M");
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_string_equal(fake_get(RIG_BACK "/feature-discard", NULL), "0");
    assert_true(fake_count(RIG_BACK "/discard-granularity") == 0);
}

static void an_error_is_written_once(void **state)
{
    rig_connect();
    fake_forget();
    xb_error(&rig_vbd()->dev, -EIO, "the same again");
    assert_int_equal(fake_writes("error"), 1);
    fake_forget();
    xb_error(&rig_vbd()->dev, -EIO, "the same again");
    assert_int_equal(fake_writes("error"), 0);
}

static void a_directory_that_is_replaced_is_a_new_disk(void **state)
{
    rig_connect();
    fake_rm(RIG_BACK);
    fake_rm(RIG_FRONT);
    rig_attach(3, RIG_DEVID); /* before the daemon has looked */
    rig_target("null:2M");
    rig_run();
    assert_int_equal(rig_ours(), XB_INITWAIT);
    assert_int_equal(fake_workers.living, 1);
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    assert_string_equal(fake_get(RIG_BACK "/sectors", NULL), "4096");
}

static void a_restarted_daemon_attaches_again_without_a_word(void **state)
{
    rig_connect();
    rig_stop();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    fake_forget();
    rig_start();
    assert_int_equal(fake_writes(RIG_BACK), 0);
    assert_int_equal(rig_vbd()->phase, PHASE_CONNECTED);
    assert_int_equal(fake_workers.connect.ring[0].refs[0], 8);
    rig_front("5");
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
}

static void a_restart_in_any_other_state_goes_on_from_there(void **state)
{
    rig_attach(3, RIG_DEVID);
    rig_run();
    rig_stop(); /* in InitWait */
    rig_start();
    rig_target("null:1M");
    rig_front_nodes();
    rig_front("3");
    rig_run();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    rig_stop();
    rig_front("5"); /* while nobody looks */
    rig_start();
    assert_int_equal(rig_ours(), XB_CLOSING);
    rig_stop();
    rig_front("6");
    rig_start();
    assert_int_equal(rig_ours(), XB_CLOSED);
    rig_stop();
    rig_front("1");
    rig_start();
    assert_int_equal(rig_ours(), XB_INITWAIT);
}

static void storage_that_fails_on_restart_does_not_cost_the_guest_its_disk(void **state)
{
    struct errmsg waits;

    rig_connect();
    rig_stop();
    rig_target("/nonexistent/disk.img");
    rig_start();
    assert_int_equal(rig_ours(), XB_CONNECTED);
    assert_non_null(strstr(rig_error(), "/nonexistent/disk.img"));
    assert_true(vbd_waits_for(rig_vbd(), &waits));
    assert_non_null(strstr(waits.text, "storage"));
}

static void the_kernel_drivers_limits_are_replaced(void **state)
{
    rig_attach(3, RIG_DEVID);
    fake_put(RIG_BACK "/max-ring-page-order", "4");
    fake_put(RIG_BACK "/multi-queue-max-queues", "8");
    fake_put(RIG_BACK "/feature-max-indirect-segments", "256");
    fake_put(RIG_BACK "/state", "2"); /* it was there first */
    rig_run();
    assert_string_equal(fake_get(RIG_BACK "/max-ring-page-order", NULL), "2");
    assert_string_equal(fake_get(RIG_BACK "/multi-queue-max-queues", NULL), "3");
    assert_string_equal(fake_get(RIG_BACK "/feature-max-indirect-segments", NULL), "64");
    fake_put(RIG_BACK "/max-ring-page-order", "4"); /* it was slower than we */
    rig_run();
    rig_target("null:1M");
    rig_run();
    assert_string_equal(fake_get(RIG_BACK "/max-ring-page-order", NULL), "2");
}

static void a_disk_without_our_script_is_the_kernels(void **state)
{
    rig.config.claim_all = false;
    rig_attach(3, RIG_DEVID);
    rig_attach(4, RIG_DEVID);
    fake_put(RIG_BACK "/script", "/etc/xen/scripts/block");
    fake_forget();
    rig_run();
    assert_null(rig_vbd());
    assert_int_equal(fake_writes(RIG_BACK), 0);
    assert_string_equal(fake_get("backend/vbd/4/51712/state", NULL), "2");
}

static void a_frontend_path_of_another_domain_is_not_followed(void **state)
{
    fake_put(RIG_BACK "/frontend", "/local/domain/4/device/vbd/51712");
    rig_attach(3, RIG_DEVID);
    fake_put(RIG_BACK "/frontend", "/local/domain/4/device/vbd/51712");
    rig_run();
    assert_null(rig_vbd());
    assert_int_equal(rig_ours(), XB_INITIALISING);
}

static void many_disks_come_and_go(void **state)
{
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned d = 1; d <= 40; d++)
            rig_attach(d, 51712);
        rig_run();
        assert_int_equal(rig.bus.nr_devices, 40);
        for (unsigned d = 1; d <= 40; d++) {
            char path[64];
            snprintf(path, sizeof(path), "/local/domain/%u", d);
            fake_rm(path);
            snprintf(path, sizeof(path), "backend/vbd/%u", d);
            fake_rm(path);
        }
        rig_run();
        assert_int_equal(rig.bus.nr_devices, 0);
        assert_int_equal(cache_active(rig.vbds), 0);
    }
}

static void one_disk_too_many_is_refused_and_the_others_go_on(void **state)
{
    for (unsigned d = 1; d <= 65; d++)
        rig_attach(d, 51712);
    rig_run();
    assert_int_equal(rig.bus.nr_devices, 64);
    unsigned refused = 0;
    for (unsigned d = 1; d <= 65; d++) {
        char path[64];
        snprintf(path, sizeof(path), "error/backend/vbd/%u/51712/error", d);
        refused += strstr(fake_get(path, NULL), "at most") != NULL;
    }
    assert_int_equal(refused, 1);
}

static void a_lost_store_is_found_again(void **state)
{
    rig_connect();
    fake_break();
    rig_run();
    assert_null(rig.bus.store);
    assert_int_equal(rig_vbd()->phase, PHASE_CONNECTED);
    while (!rig.bus.store)
        loop_run_once(rig.loop, -1);
    rig_front("5");
    rig_front("6");
    rig_run();
    assert_int_equal(rig_ours(), XB_CLOSED);
}

#define EDGE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE(a_new_disk_is_in_initwait_with_its_limits),
        EDGE(it_stays_there_until_the_script_has_named_the_storage),
        EDGE(connected_says_what_the_disk_is),
        EDGE(a_read_only_cdrom_says_so),
        EDGE(conflicting_transactions_are_done_again),
        EDGE(a_guest_that_closes_sees_5_then_6_and_may_come_back),
        EDGE(requests_are_still_served_until_the_frontend_is_closed),
        EDGE(closed_is_not_said_before_the_rings_are_gone),
        EDGE(detach_ends_in_closed_with_no_worker_left),
        EDGE(detach_of_a_disk_no_guest_uses_needs_no_guest),
        EDGE(closed_on_detach_waits_for_the_worker_to_be_gone),
        EDGE(a_destroyed_domain_ends_in_closed),
        EDGE(forced_detach_removes_the_frontend_first),
        EDGE(a_removed_backend_directory_is_not_brought_back),
        EDGE(a_backend_gone_while_the_worker_is_busy_is_not_brought_back),
        EDGE(a_backend_that_goes_between_look_and_write_is_not_brought_back),
        EDGE(a_directory_that_is_replaced_is_a_new_disk),
        EDGE(a_directory_replaced_while_the_worker_is_busy_is_a_new_disk),
        EDGE(initwait_is_not_said_before_the_old_rings_are_gone),
        EDGE(discard_is_offered_unless_the_toolstack_says_no),
        EDGE(an_error_is_written_once),
        EDGE(a_restarted_daemon_attaches_again_without_a_word),
        EDGE(a_restart_in_any_other_state_goes_on_from_there),
        EDGE(storage_that_fails_on_restart_does_not_cost_the_guest_its_disk),
        EDGE(the_kernel_drivers_limits_are_replaced),
        EDGE(a_disk_without_our_script_is_the_kernels),
        EDGE(a_frontend_path_of_another_domain_is_not_followed),
        EDGE(many_disks_come_and_go),
        EDGE(one_disk_too_many_is_refused_and_the_others_go_on),
        EDGE(a_lost_store_is_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
