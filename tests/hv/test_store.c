/* SPDX-License-Identifier: MIT
 *
 * hv/store.h against the loopback's store: permissions, transactions, watches, quotas, relative
 * paths and the errors that callers rely on.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/hv.h"
#include "hv/store.h"
#include "loopd_fixture.h"

static struct loopd loopd;

struct world {
    uint32_t domid;
    struct hv_store *dom0, *other, *guest; /* other: a second connection of domain 0 */
};

static struct hv_store *open_store(const char *spec)
{
    struct hv_store *st;
    struct errmsg err;

    if (hv_store_open(spec, &st, &err))
        fail_msg("%s", err.text);
    return st;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->domid = loopd_create(&loopd, 16);
    w->dom0 = open_store(loopd.dom0);
    w->other = open_store(loopd.dom0);
    w->guest = open_store(loopd_spec(&loopd, w->domid));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_rm(w->dom0, 0, "/t"), 0);
    hv_store_close(w->guest);
    hv_store_close(w->other);
    hv_store_close(w->dom0);
    loopd_destroy(&loopd, w->domid);
    free(w);
    return 0;
}

static void reads_as(struct hv_store *st, hv_tx tx, const char *path, const char *value)
{
    char buf[128];

    assert_int_equal(hv_store_read(st, tx, path, buf, sizeof(buf)), strlen(value));
    assert_string_equal(buf, value);
}

/* ---- Nodes ---- */

static void written_values_read_back_with_their_parents(void **state)
{
    struct world *w = *state;
    char **names;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/a/b", "value"), 0);
    assert_int_equal(hv_store_printf(w->dom0, 0, "/t/a/c", "%d", 42), 0);
    reads_as(w->other, 0, "/t/a/b", "value");
    reads_as(w->other, 0, "/t/a/c", "42");
    reads_as(w->other, 0, "/t/a", "");
    assert_int_equal(hv_store_list(w->dom0, 0, "/t/a", &names), 2);
    assert_string_equal(names[0], "b");
    assert_string_equal(names[1], "c");
    free(names);
    assert_int_equal(hv_store_exists(w->dom0, 0, "/t/a/b"), 1);
    assert_int_equal(hv_store_exists(w->dom0, 0, "/t/a/x"), 0);
}

static void read_says_what_is_wrong(void **state)
{
    struct world *w = *state;
    char small[4];

    assert_int_equal(hv_store_read(w->dom0, 0, "/t/none", small, sizeof(small)), -ENOENT);
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "1234"), 0);
    assert_int_equal(hv_store_read(w->dom0, 0, "/t/v", small, sizeof(small)), -EMSGSIZE);
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "123"), 0);
    assert_int_equal(hv_store_read(w->dom0, 0, "/t/v", small, sizeof(small)), 3);
}

static void rm_takes_the_subtree_and_does_not_mind_an_absent_node(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/a/b/c", "1"), 0);
    assert_int_equal(hv_store_rm(w->dom0, 0, "/t/a"), 0);
    assert_int_equal(hv_store_exists(w->dom0, 0, "/t/a/b/c"), 0);
    assert_int_equal(hv_store_exists(w->dom0, 0, "/t"), 1);
    assert_int_equal(hv_store_rm(w->dom0, 0, "/t/a"), 0);
    assert_int_equal(hv_store_rm(w->dom0, 0, "/t/no/such"), 0);
}

static void odd_paths_are_refused(void **state)
{
    struct world *w = *state;
    char longest[3100];

    memset(longest, 'a', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    const char *const bad[] = {"",       "/t/",     "//t",     "/t//a", "/t/a b",
                               "/t/a.b", "/t/\xff", "/t/a\nb", longest};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(hv_store_write(w->dom0, 0, bad[i], "x"), -EINVAL);
}

static void mkdir_of_what_is_there_keeps_its_value(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "keep"), 0);
    assert_int_equal(hv_store_mkdir(w->dom0, 0, "/t/v"), 0);
    reads_as(w->dom0, 0, "/t/v", "keep");
}

static void directory_longer_than_a_message_lists_completely(void **state)
{
    struct world *w = *state;
    char path[128], **names;

    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "/t/d/a-name-of-some-length-%04d", i);
        assert_int_equal(hv_store_mkdir(w->dom0, 0, path), 0);
    }
    assert_int_equal(hv_store_list(w->other, 0, "/t/d", &names), 300);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "a-name-of-some-length-%04d", i);
        assert_string_equal(names[i], path);
    }
    free(names);
}

/* ---- Permissions ---- */

static void guest_paths_are_relative_to_its_own_directory(void **state)
{
    struct world *w = *state;
    char path[64];

    assert_int_equal(hv_store_write(w->guest, 0, "device/vbd/51712/state", "1"), 0);
    snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/51712/state", w->domid);
    reads_as(w->dom0, 0, path, "1");
    reads_as(w->guest, 0, path, "1");
}

static void guest_sees_and_writes_only_what_it_may(void **state)
{
    struct world *w = *state;
    char buf[8], **names;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/back/state", "2"), 0);
    assert_int_equal(hv_store_read(w->guest, 0, "/t/back/state", buf, 8), -EACCES);
    assert_int_equal(hv_store_read(w->guest, 0, "/t/back/none", buf, 8), -EACCES);
    assert_int_equal(hv_store_set_perms(w->dom0, 0, "/t/back", 0, w->domid), 0);
    assert_int_equal(hv_store_set_perms(w->dom0, 0, "/t/back/state", 0, w->domid), 0);
    reads_as(w->guest, 0, "/t/back/state", "2");
    assert_int_equal(hv_store_list(w->guest, 0, "/t/back", &names), 1);
    free(names);
    assert_int_equal(hv_store_read(w->guest, 0, "/t/back/none", buf, 8), -ENOENT);
    assert_int_equal(hv_store_write(w->guest, 0, "/t/back/state", "9"), -EACCES);
    assert_int_equal(hv_store_write(w->guest, 0, "/t/back/new", "9"), -EACCES);
    assert_int_equal(hv_store_rm(w->guest, 0, "/t/back"), -EACCES);
    assert_int_equal(hv_store_set_perms(w->guest, 0, "/t/back", w->domid, w->domid), -EACCES);
    reads_as(w->dom0, 0, "/t/back/state", "2");
}

static void new_nodes_inherit_the_directorys_permissions(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_mkdir(w->dom0, 0, "/t/back"), 0);
    assert_int_equal(hv_store_set_perms(w->dom0, 0, "/t/back", 0, w->domid), 0);
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/back/deep/er", "seen"), 0);
    reads_as(w->guest, 0, "/t/back/deep/er", "seen");
}

static void guest_owns_what_it_creates_but_cannot_give_it_away(void **state)
{
    struct world *w = *state;
    char path[64];

    assert_int_equal(hv_store_write(w->guest, 0, "device/x", "1"), 0);
    assert_int_equal(hv_store_set_perms(w->guest, 0, "device/x", 0, w->domid), -EPERM);
    assert_int_equal(hv_store_set_perms(w->guest, 0, "device/x", w->domid, 0), 0);
    snprintf(path, sizeof(path), "/local/domain/%u/device/x", w->domid);
    /* Domain 0 may do anything, whatever the permissions. */
    assert_int_equal(hv_store_set_perms(w->dom0, 0, path, 0, 0), 0);
    assert_int_equal(hv_store_write(w->guest, 0, "device/x", "2"), -EACCES);
}

/* ---- Transactions ---- */

static void changes_are_seen_by_others_only_after_commit(void **state)
{
    struct world *w = *state;
    hv_tx tx;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "old"), 0);
    assert_int_equal(hv_store_begin(w->dom0, &tx), 0);
    assert_int_equal(hv_store_write(w->dom0, tx, "/t/v", "new"), 0);
    assert_int_equal(hv_store_write(w->dom0, tx, "/t/w", "new"), 0);
    reads_as(w->dom0, tx, "/t/v", "new");
    reads_as(w->dom0, 0, "/t/v", "old");
    reads_as(w->other, 0, "/t/v", "old");
    assert_int_equal(hv_store_commit(w->dom0, tx), 0);
    reads_as(w->other, 0, "/t/v", "new");
    reads_as(w->other, 0, "/t/w", "new");
    assert_int_equal(hv_store_commit(w->dom0, tx), -ENOENT);
}

static void aborted_changes_are_gone(void **state)
{
    struct world *w = *state;
    hv_tx tx;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "old"), 0);
    assert_int_equal(hv_store_begin(w->dom0, &tx), 0);
    assert_int_equal(hv_store_rm(w->dom0, tx, "/t/v"), 0);
    assert_int_equal(hv_store_exists(w->dom0, tx, "/t/v"), 0);
    hv_store_abort(w->dom0, tx);
    reads_as(w->dom0, 0, "/t/v", "old");
}

static void others_changes_are_not_seen_inside(void **state)
{
    struct world *w = *state;
    hv_tx tx;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/v", "old"), 0);
    assert_int_equal(hv_store_begin(w->dom0, &tx), 0);
    assert_int_equal(hv_store_write(w->other, 0, "/t/v", "new"), 0);
    reads_as(w->dom0, tx, "/t/v", "old");
    assert_int_equal(hv_store_commit(w->dom0, tx), -EAGAIN);
}

/* What one side does inside the transaction, the other does to the store meanwhile. */
static int conflict(struct world *w, void (*in)(struct world *, hv_tx), void (*out)(struct world *))
{
    hv_tx tx;

    assert_int_equal(hv_store_rm(w->dom0, 0, "/t"), 0);
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/a/v", "1"), 0);
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/b/v", "1"), 0);
    assert_int_equal(hv_store_begin(w->dom0, &tx), 0);
    in(w, tx);
    out(w);
    return hv_store_commit(w->dom0, tx);
}

static void in_read_a(struct world *w, hv_tx tx)
{
    reads_as(w->dom0, tx, "/t/a/v", "1");
}
static void in_read_absent(struct world *w, hv_tx tx)
{
    assert_int_equal(hv_store_exists(w->dom0, tx, "/t/a/new"), 0);
}
static void in_write_a(struct world *w, hv_tx tx)
{
    assert_int_equal(hv_store_write(w->dom0, tx, "/t/a/v", "2"), 0);
}
static void in_create_in_a(struct world *w, hv_tx tx)
{
    assert_int_equal(hv_store_write(w->dom0, tx, "/t/a/mine/deep", "2"), 0);
}
static void in_rm_a(struct world *w, hv_tx tx)
{
    assert_int_equal(hv_store_rm(w->dom0, tx, "/t/a"), 0);
}
static void out_write_a(struct world *w)
{
    assert_int_equal(hv_store_write(w->other, 0, "/t/a/v", "3"), 0);
}
static void out_write_same_a(struct world *w)
{
    assert_int_equal(hv_store_write(w->other, 0, "/t/a/v", "1"), 0);
}
static void out_write_b(struct world *w)
{
    assert_int_equal(hv_store_write(w->other, 0, "/t/b/v", "3"), 0);
}
static void out_create_in_a(struct world *w)
{
    assert_int_equal(hv_store_write(w->other, 0, "/t/a/new", "3"), 0);
}
static void out_rm_a(struct world *w)
{
    assert_int_equal(hv_store_rm(w->other, 0, "/t/a"), 0);
}
static void out_perms_a(struct world *w)
{
    assert_int_equal(hv_store_set_perms(w->other, 0, "/t/a/v", 0, 0), 0);
}

static void commit_fails_with_eagain_exactly_on_a_conflict(void **state)
{
    struct world *w = *state;

    assert_int_equal(conflict(w, in_read_a, out_write_a), -EAGAIN);
    assert_int_equal(conflict(w, in_read_a, out_write_same_a), -EAGAIN);
    assert_int_equal(conflict(w, in_read_a, out_rm_a), -EAGAIN);
    assert_int_equal(conflict(w, in_read_a, out_perms_a), -EAGAIN);
    assert_int_equal(conflict(w, in_write_a, out_write_a), -EAGAIN);
    reads_as(w->dom0, 0, "/t/a/v", "3");
    assert_int_equal(conflict(w, in_read_absent, out_create_in_a), -EAGAIN);
    assert_int_equal(conflict(w, in_create_in_a, out_create_in_a), -EAGAIN);
    assert_int_equal(conflict(w, in_create_in_a, out_rm_a), -EAGAIN);
    assert_int_equal(conflict(w, in_rm_a, out_write_a), -EAGAIN);
    assert_int_equal(conflict(w, in_rm_a, out_create_in_a), -EAGAIN);

    assert_int_equal(conflict(w, in_read_a, out_write_b), 0);
    assert_int_equal(conflict(w, in_write_a, out_write_b), 0);
    reads_as(w->dom0, 0, "/t/a/v", "2");
    reads_as(w->dom0, 0, "/t/b/v", "3");
    assert_int_equal(conflict(w, in_read_a, out_create_in_a), 0);
    assert_int_equal(conflict(w, in_create_in_a, out_write_a), 0);
    assert_int_equal(conflict(w, in_rm_a, out_write_b), 0);
    assert_int_equal(hv_store_exists(w->dom0, 0, "/t/a"), 0);
}

/* ---- Watches ---- */

static void event_is(struct hv_store *st, const char *path, const char *token)
{
    char got_path[256], got_token[64];
    struct pollfd p = {.fd = hv_store_fd(st), .events = POLLIN};
    int r;

    while (!(r = hv_store_next_watch(st, got_path, sizeof(got_path), got_token, sizeof(got_token))))
        poll(&p, 1, -1);
    assert_int_equal(r, 1);
    assert_string_equal(got_path, path);
    assert_string_equal(got_token, token);
}

/* A round trip later everything that was sent before it has arrived. */
static void no_event(struct hv_store *st)
{
    char path[256], token[64];

    assert_int_equal(hv_store_exists(st, 0, "/"), 1);
    assert_int_equal(hv_store_next_watch(st, path, sizeof(path), token, sizeof(token)), 0);
}

static void watch_fires_once_at_once_and_then_for_the_node_and_all_below(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_watch(w->dom0, "/t/w", "tok"), 0);
    event_is(w->dom0, "/t/w", "tok");
    no_event(w->dom0);
    assert_int_equal(hv_store_write(w->other, 0, "/t/w/a/b", "1"), 0);
    event_is(w->dom0, "/t/w/a/b", "tok");
    assert_int_equal(hv_store_write(w->other, 0, "/t/wide", "1"), 0);
    assert_int_equal(hv_store_write(w->other, 0, "/t/w/a/b", "1"), 0);
    event_is(w->dom0, "/t/w/a/b", "tok");
    assert_int_equal(hv_store_set_perms(w->other, 0, "/t/w", 0, 0), 0);
    event_is(w->dom0, "/t/w", "tok");
    assert_int_equal(hv_store_rm(w->other, 0, "/t/w"), 0);
    event_is(w->dom0, "/t/w", "tok");
    assert_int_equal(hv_store_unwatch(w->dom0, "/t/w", "tok"), 0);
    assert_int_equal(hv_store_write(w->other, 0, "/t/w", "1"), 0);
    no_event(w->dom0);
    assert_int_equal(hv_store_unwatch(w->dom0, "/t/w", "tok"), -ENOENT);
}

static void watch_below_a_removed_directory_fires(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_write(w->other, 0, "/t/front/dev/state", "4"), 0);
    assert_int_equal(hv_store_watch(w->dom0, "/t/front/dev/state", "s"), 0);
    event_is(w->dom0, "/t/front/dev/state", "s");
    assert_int_equal(hv_store_rm(w->other, 0, "/t/front"), 0);
    event_is(w->dom0, "/t/front/dev/state", "s");
}

static void same_watch_twice_is_refused_another_token_is_not(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_watch(w->dom0, "/t/w", "one"), 0);
    assert_int_equal(hv_store_watch(w->dom0, "/t/w", "one"), -EEXIST);
    assert_int_equal(hv_store_watch(w->dom0, "/t/w", "two"), 0);
    event_is(w->dom0, "/t/w", "one");
    event_is(w->dom0, "/t/w", "two");
}

static void events_of_a_transaction_come_with_its_commit(void **state)
{
    struct world *w = *state;
    hv_tx tx;

    assert_int_equal(hv_store_watch(w->dom0, "/t", "t"), 0);
    event_is(w->dom0, "/t", "t");
    assert_int_equal(hv_store_begin(w->other, &tx), 0);
    assert_int_equal(hv_store_write(w->other, tx, "/t/a", "1"), 0);
    assert_int_equal(hv_store_write(w->other, tx, "/t/b", "1"), 0);
    no_event(w->dom0);
    assert_int_equal(hv_store_commit(w->other, tx), 0);
    event_is(w->dom0, "/t/a", "t");
    event_is(w->dom0, "/t/b", "t");
    assert_int_equal(hv_store_begin(w->other, &tx), 0);
    assert_int_equal(hv_store_write(w->other, tx, "/t/a", "2"), 0);
    hv_store_abort(w->other, tx);
    no_event(w->dom0);
}

static void relative_watch_reports_relative_paths(void **state)
{
    struct world *w = *state;
    char path[64];

    assert_int_equal(hv_store_watch(w->guest, "device", "d"), 0);
    event_is(w->guest, "device", "d");
    snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/1", w->domid);
    assert_int_equal(hv_store_write(w->dom0, 0, path, "x"), 0);
    event_is(w->guest, "device/vbd/1", "d");
}

static void guest_hears_nothing_of_what_it_may_not_read(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_write(w->dom0, 0, "/t/secret/v", "1"), 0);
    assert_int_equal(hv_store_watch(w->guest, "/t/secret/v", "s"), 0);
    event_is(w->guest, "/t/secret/v", "s");
    assert_int_equal(hv_store_write(w->dom0, 0, "/t/secret/v", "2"), 0);
    assert_int_equal(hv_store_set_perms(w->dom0, 0, "/t/secret/v", 0, w->domid), 0);
    event_is(w->guest, "/t/secret/v", "s"); /* of the permission, not of the value */
    char path[64], token[8];
    hv_store_watch(w->guest, "device", "sync");
    event_is(w->guest, "device", "sync");
    assert_int_equal(hv_store_next_watch(w->guest, path, sizeof(path), token, sizeof(token)), 0);
}

static void domains_coming_and_going_fire_the_special_watches(void **state)
{
    struct world *w = *state;

    assert_int_equal(hv_store_watch(w->dom0, "@introduceDomain", "in"), 0);
    assert_int_equal(hv_store_watch(w->dom0, "@releaseDomain", "out"), 0);
    event_is(w->dom0, "@introduceDomain", "in");
    event_is(w->dom0, "@releaseDomain", "out");
    uint32_t domid = loopd_create(&loopd, 16);
    event_is(w->dom0, "@introduceDomain", "in");
    loopd_destroy(&loopd, domid);
    event_is(w->dom0, "@releaseDomain", "out");
    assert_int_equal(hv_store_watch(w->dom0, "@nonsense", "x"), -EINVAL);
}

/* ---- Quotas of guests ---- */

static void guest_cannot_fill_the_store(void **state)
{
    struct world *w = *state;
    char path[64];
    int n = 0, r;

    do {
        snprintf(path, sizeof(path), "device/n%d", n++);
        r = hv_store_write(w->guest, 0, path, "x");
    } while (!r && n < 5000);
    assert_int_equal(r, -ENOSPC);
    assert_in_range(n, 900, 1000);
    /* What is there can still be changed, and room made. */
    assert_int_equal(hv_store_write(w->guest, 0, "device/n0", "y"), 0);
    assert_int_equal(hv_store_rm(w->guest, 0, "device/n0"), 0);
    assert_int_equal(hv_store_write(w->guest, 0, "device/again", "x"), 0);
    assert_int_equal(hv_store_write(w->guest, 0, "device/more", "x"), -ENOSPC);
}

static void guest_cannot_get_round_its_quota_with_transactions(void **state)
{
    struct world *w = *state;
    char path[64];
    hv_tx tx[2];

    for (int i = 0; i < 900; i++) {
        snprintf(path, sizeof(path), "device/n%d", i);
        assert_int_equal(hv_store_write(w->guest, 0, path, "x"), 0);
    }
    for (int t = 0; t < 2; t++) {
        assert_int_equal(hv_store_begin(w->guest, &tx[t]), 0);
        for (int i = 0; i < 80; i++) {
            snprintf(path, sizeof(path), "device/n%d/t%d-%d", t, t, i);
            assert_int_equal(hv_store_write(w->guest, tx[t], path, "x"), 0);
        }
    }
    assert_int_equal(hv_store_commit(w->guest, tx[0]), 0);
    assert_int_equal(hv_store_commit(w->guest, tx[1]), -ENOSPC);
}

static void guest_limits_on_values_watches_and_transactions(void **state)
{
    struct world *w = *state;
    char value[2100], path[64];
    hv_tx tx;
    int r = 0;

    memset(value, 'v', sizeof(value));
    value[2049] = '\0';
    assert_int_equal(hv_store_write(w->guest, 0, "device/v", value), -ENOSPC);
    value[2048] = '\0';
    assert_int_equal(hv_store_write(w->guest, 0, "device/v", value), 0);
    for (int i = 0; i < 128; i++) {
        snprintf(path, sizeof(path), "device/w%d", i);
        assert_int_equal(hv_store_watch(w->guest, path, "t"), 0);
    }
    assert_int_equal(hv_store_watch(w->guest, "device", "t"), -E2BIG);
    for (int i = 0; i < 10; i++)
        assert_int_equal(hv_store_begin(w->guest, &tx), 0);
    r = hv_store_begin(w->guest, &tx);
    assert_int_equal(r, -ENOSPC);
}

/* ---- Connections ---- */

static void opening_says_what_to_do(void **state)
{
    struct hv_store *st;
    struct errmsg err;

    assert_int_equal(hv_store_open("loop:/nonexistent", &st, &err), -ENOENT);
    assert_non_null(strstr(err.text, "blkback-loopd --dir"));
    assert_int_equal(hv_store_open(loopd_spec(&loopd, 4000), &st, &err), -ENOENT);
    assert_int_equal(hv_store_open("nonsense", &st, &err), -EINVAL);
}

static void store_that_dies_is_noticed(void **state)
{
    struct loopd own;
    char buf[8], token[8];

    loopd_start(&own, NULL);
    struct hv_store *st = open_store(own.dom0), *idle = open_store(own.dom0);
    assert_int_equal(hv_store_watch(st, "/t", "t"), 0);
    event_is(st, "/t", "t");
    kill(own.pid, SIGKILL);
    loopd_stop(&own);
    struct pollfd p = {.fd = hv_store_fd(st), .events = POLLIN};
    assert_int_equal(poll(&p, 1, -1), 1); /* whoever waits for a watch wakes up */
    assert_int_equal(hv_store_next_watch(st, buf, sizeof(buf), token, sizeof(token)), -EPIPE);
    assert_int_equal(hv_store_next_watch(idle, buf, sizeof(buf), token, sizeof(token)), -EPIPE);
    hv_store_close(idle);
    assert_true(hv_store_read(st, 0, "/", buf, sizeof(buf)) < 0);
    assert_true(hv_store_next_watch(st, buf, sizeof(buf), token, sizeof(token)) < 0);
    hv_store_close(st);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(written_values_read_back_with_their_parents),
        T(read_says_what_is_wrong),
        T(rm_takes_the_subtree_and_does_not_mind_an_absent_node),
        T(odd_paths_are_refused),
        T(mkdir_of_what_is_there_keeps_its_value),
        T(directory_longer_than_a_message_lists_completely),
        T(guest_paths_are_relative_to_its_own_directory),
        T(guest_sees_and_writes_only_what_it_may),
        T(new_nodes_inherit_the_directorys_permissions),
        T(guest_owns_what_it_creates_but_cannot_give_it_away),
        T(changes_are_seen_by_others_only_after_commit),
        T(aborted_changes_are_gone),
        T(others_changes_are_not_seen_inside),
        T(commit_fails_with_eagain_exactly_on_a_conflict),
        T(watch_fires_once_at_once_and_then_for_the_node_and_all_below),
        T(watch_below_a_removed_directory_fires),
        T(same_watch_twice_is_refused_another_token_is_not),
        T(events_of_a_transaction_come_with_its_commit),
        T(relative_watch_reports_relative_paths),
        T(guest_hears_nothing_of_what_it_may_not_read),
        T(domains_coming_and_going_fire_the_special_watches),
        T(guest_cannot_fill_the_store),
        T(guest_cannot_get_round_its_quota_with_transactions),
        T(guest_limits_on_values_watches_and_transactions),
        T(opening_says_what_to_do),
        T(store_that_dies_is_noticed),
    };

    loopd_start(&loopd, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loopd_stop(&loopd))
        failed++;
    return failed;
}
