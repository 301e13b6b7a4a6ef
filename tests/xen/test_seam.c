/* SPDX-License-Identifier: MIT
 *
 * hv/xen over a libxen* that only remembers: limits, what is undone at close, what is told when
 * Xen is absent. What the real libraries do is shown by run.sh's machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xengnttab.h>
#include <unistd.h>

#include "fake_libxen.h"
#include "hv/impl.h"

#define PEER 5u

static struct hv xen = {.ops = &hv_xen_ops};

static int setup(void **state)
{
    fake_reset();
    return 0;
}

static struct hv_gnttab *open_gnttab(uint32_t max)
{
    struct hv_gnttab *gt;
    assert_int_equal(hv_gnttab_open(&xen, PEER, max, &gt), 0);
    return gt;
}

static void says_what_to_do_where_there_is_no_xen(void **state)
{
    struct errmsg err = {""};
    struct hv *hv;
    if (access("/dev/xen/gntdev", F_OK) == 0)
        skip();
    assert_int_equal(hv_open("xen", &hv, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/dev/xen/gntdev"));
    assert_non_null(strstr(err.text, "modprobe xen-gntdev"));
    assert_non_null(strstr(err.text, "make demo"));
    assert_null(strchr(err.text, '\n'));
}

static void takes_no_arguments(void **state)
{
    struct errmsg err = {""};
    struct hv *hv;
    assert_int_equal(hv_open("xen:host", &hv, &err), -EINVAL);
    assert_non_null(strstr(err.text, "host"));
}

static void maps_no_more_than_allowed(void **state)
{
    struct hv_gnttab *gt = open_gnttab(4);
    uint32_t refs[5] = {1, 2, 3, 4, 5};
    void *a, *b;
    assert_int_equal(hv_gnttab_map(gt, refs, 5, PROT_READ, &a), -ENOSPC);
    assert_int_equal(hv_gnttab_map(gt, refs, 3, PROT_READ, &a), 0);
    assert_int_equal(hv_gnttab_map(gt, refs, 2, PROT_READ, &b), -ENOSPC);
    assert_int_equal(hv_gnttab_map(gt, refs, 1, PROT_READ, &b), 0);
    assert_int_equal(hv_gnttab_map(gt, refs, UINT32_MAX, PROT_READ, &b), -ENOSPC);
    assert_int_equal(hv_gnttab_unmap(gt, a, 3), 0);
    assert_int_equal(hv_gnttab_map(gt, refs, 3, PROT_READ, &a), 0);
    assert_int_equal(hv_gnttab_map(gt, refs, 0, PROT_READ, &a), -EINVAL);
    hv_gnttab_close(gt);
}

static void a_failed_map_counts_nothing(void **state)
{
    struct hv_gnttab *gt = open_gnttab(1);
    uint32_t ref = 9;
    void *a;
    for (int i = 0; i < 10; i++) {
        fake.map_errno = EINVAL;
        assert_int_equal(hv_gnttab_map(gt, &ref, 1, PROT_READ, &a), -EINVAL);
    }
    fake.map_errno = 0;
    assert_int_equal(hv_gnttab_map(gt, &ref, 1, PROT_READ, &a), 0);
    hv_gnttab_close(gt);
}

static void unmaps_only_what_was_mapped(void **state)
{
    struct hv_gnttab *gt = open_gnttab(8);
    uint32_t refs[2] = {1, 2};
    char *a;
    assert_int_equal(hv_gnttab_map(gt, refs, 2, PROT_READ, (void **)&a), 0);
    assert_int_equal(hv_gnttab_unmap(gt, a, 1), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(gt, a + HV_PAGE, 1), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(gt, NULL, 2), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(gt, a, 2), 0);
    assert_int_equal(hv_gnttab_unmap(gt, a, 2), -EINVAL);
    hv_gnttab_close(gt);
}

/* Every mapping is found again and every page is gone at close, in whatever order they come. */
static void remembers_every_mapping(void **state)
{
    enum { LIMIT = 256 };
    struct hv_gnttab *gt = open_gnttab(LIMIT);
    struct {
        void *addr;
        uint32_t n;
    } live[LIMIT];
    uint32_t refs[8] = {0}, count = 0, total = 0;
    srand(1);
    for (int i = 0; i < 20000; i++) {
        uint32_t n = rand() % 8 ? 1 : 8;
        if (rand() % 8 < 5 && count < LIMIT) {
            int r = hv_gnttab_map(gt, refs, n, PROT_READ, &live[count].addr);
            assert_int_equal(r, total + n > LIMIT ? -ENOSPC : 0);
            if (r == 0) {
                live[count++].n = n;
                total += n;
            }
        } else if (count) {
            uint32_t k = (uint32_t)rand() % count;
            assert_int_equal(hv_gnttab_unmap(gt, live[k].addr, live[k].n), 0);
            total -= live[k].n;
            live[k] = live[--count];
        }
        assert_int_equal(fake.mapped_pages, total);
    }
    assert_true(total > 0);
    hv_gnttab_close(gt);
    assert_int_equal(fake.mapped_pages, 0);
    assert_int_equal(fake.handles, 0);
}

static void fill_copies(struct hv_copy *ops, uint32_t n, char *page)
{
    for (uint32_t i = 0; i < n; i++)
        ops[i] = (struct hv_copy){.local = page, .ref = 1000 + i, .len = 512, .to_guest = i % 2};
}

static void copies_any_number(void **state)
{
    enum { N = 1000 };
    static struct hv_copy ops[N];
    static char page[HV_PAGE];
    struct hv_gnttab *gt = open_gnttab(0);
    fill_copies(ops, N, page);
    fake.bad_ref = 1000 + 777;
    assert_int_equal(hv_gnttab_copy(gt, ops, N), 0);
    assert_int_equal(fake.copy_segments, N);
    assert_true(fake.copy_calls <= N / 64);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(ops[i].status, i == 777 ? GNTST_bad_gntref : 0);
    hv_gnttab_close(gt);
}

static void a_failed_copy_is_a_failure_whatever_the_statuses_say(void **state)
{
    enum { N = 300 };
    static struct hv_copy ops[N];
    static char page[HV_PAGE];
    struct hv_gnttab *gt = open_gnttab(0);
    fill_copies(ops, N, page);
    fake.copy_fails_at = 2;
    assert_int_equal(hv_gnttab_copy(gt, ops, N), -EFAULT);
    hv_gnttab_close(gt);
}

static void shared_pages_end_at_close(void **state)
{
    struct hv_share *sh;
    uint32_t refs[4];
    void *a, *b;
    assert_int_equal(hv_share_open(&xen, &sh), 0);
    assert_int_equal(hv_share_pages(sh, PEER, 4, true, refs, &a), 0);
    assert_int_equal(hv_share_pages(sh, PEER, 1, false, refs, &b), 0);
    assert_int_equal(hv_share_end(sh, a, 3), -EINVAL);
    assert_int_equal(hv_share_end(sh, a, 4), 0);
    assert_int_equal(hv_share_end(sh, a, 4), -EINVAL);
    assert_int_equal(hv_share_pages(sh, PEER, 0, true, refs, &a), -EINVAL);
    assert_int_equal(fake.mapped_pages, 1);
    hv_share_close(sh);
    assert_int_equal(fake.mapped_pages, 0);
    assert_int_equal(fake.handles, 0);
}

static void a_channel_is_restricted_before_it_is_bound(void **state)
{
    struct hv_evtchn *ev;
    uint32_t port;
    assert_int_equal(hv_evtchn_bind(&xen, PEER, 3, &ev), 0);
    assert_true(fake.restricted_first);
    hv_evtchn_close(ev);
    fake_reset();
    assert_int_equal(hv_evtchn_alloc(&xen, PEER, &ev, &port), 0);
    assert_true(fake.restricted_first);
    assert_int_equal(hv_evtchn_notify(ev), 0);
    assert_int_equal(fake.notified, port);
    hv_evtchn_close(ev);
    assert_int_equal(fake.handles, 0);
}

static void a_channel_that_cannot_be_restricted_is_refused(void **state)
{
    struct hv_evtchn *ev;
    fake.restrict_errno = ENOTTY;
    assert_int_equal(hv_evtchn_bind(&xen, PEER, 3, &ev), -ENOTTY);
    fake.restrict_errno = 0;
    fake.bind_errno = EINVAL;
    assert_int_equal(hv_evtchn_bind(&xen, PEER, 3, &ev), -EINVAL);
    assert_int_equal(fake.handles, 0);
}

static void pending_never_blocks(void **state)
{
    struct hv_evtchn *ev;
    assert_int_equal(hv_evtchn_bind(&xen, PEER, 3, &ev), 0);
    assert_true(fcntl(hv_evtchn_fd(ev), F_GETFL) & O_NONBLOCK);
    assert_int_equal(hv_evtchn_pending(ev), 0);
    fake_event();
    assert_int_equal(hv_evtchn_pending(ev), 1);
    assert_int_equal(hv_evtchn_pending(ev), 0);
    assert_int_equal(hv_evtchn_unmask(ev), 0);
    assert_int_not_equal(fake.unmasked, 0);
    hv_evtchn_close(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(says_what_to_do_where_there_is_no_xen, setup),
        cmocka_unit_test_setup(takes_no_arguments, setup),
        cmocka_unit_test_setup(maps_no_more_than_allowed, setup),
        cmocka_unit_test_setup(a_failed_map_counts_nothing, setup),
        cmocka_unit_test_setup(unmaps_only_what_was_mapped, setup),
        cmocka_unit_test_setup(remembers_every_mapping, setup),
        cmocka_unit_test_setup(copies_any_number, setup),
        cmocka_unit_test_setup(a_failed_copy_is_a_failure_whatever_the_statuses_say, setup),
        cmocka_unit_test_setup(shared_pages_end_at_close, setup),
        cmocka_unit_test_setup(a_channel_is_restricted_before_it_is_bound, setup),
        cmocka_unit_test_setup(a_channel_that_cannot_be_restricted_is_refused, setup),
        cmocka_unit_test_setup(pending_never_blocks, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
