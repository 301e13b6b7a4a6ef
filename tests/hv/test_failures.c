/* SPDX-License-Identifier: MIT
 *
 * Failures on a script, limits and the report: what the loopback offers to tests of other folders
 * must itself do what it says.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>
#include <linux/magic.h>

#include "hv/hv.h"
#include "hv/loop/toolstack.h"
#include "loopd_fixture.h"

static struct loopd loopd;

struct world {
    uint32_t domid, refs[4];
    void *own;
    struct hv *front, *back;
    struct hv_share *share;
    struct hv_gnttab *gt;
};

static struct hv *open_hv(const char *spec)
{
    struct hv *hv;
    struct errmsg err;

    if (hv_open(spec, &hv, &err))
        fail_msg("%s", err.text);
    return hv;
}

static void world_open(struct world *w, struct loopd *d)
{
    w->domid = loopd_create(d, 64);
    w->front = open_hv(loopd_spec(d, w->domid));
    w->back = open_hv(d->dom0);
    assert_int_equal(hv_share_open(w->front, &w->share), 0);
    assert_int_equal(hv_gnttab_open(w->back, w->domid, 32, &w->gt), 0);
    assert_int_equal(hv_share_pages(w->share, 0, 4, true, w->refs, &w->own), 0);
}

static void world_close(struct world *w)
{
    hv_gnttab_close(w->gt);
    hv_share_close(w->share);
    hv_close(w->back);
    hv_close(w->front);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    world_open(w, &loopd);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    loopd_fail(&loopd, NULL);
    world_close(w);
    loopd_destroy(&loopd, w->domid);
    free(w);
    return 0;
}

static int map1(struct world *w)
{
    void *addr;
    int r = hv_gnttab_map(w->gt, w->refs, 1, PROT_READ, &addr);

    if (!r)
        assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
    return r;
}

static void nth_call_fails_once(void **state)
{
    struct world *w = *state;

    loopd_fail(&loopd, "map:3:ENOSPC");
    assert_int_equal(map1(w), 0);
    assert_int_equal(map1(w), 0);
    assert_int_equal(map1(w), -ENOSPC);
    for (int i = 0; i < 10; i++)
        assert_int_equal(map1(w), 0);
}

static void every_call_fails_until_cleared(void **state)
{
    struct world *w = *state;
    char buf[8];
    struct hv_copy op = {.local = buf, .ref = w->refs[0], .len = 8, .status = 7};

    loopd_fail(&loopd, "copy:*:EFAULT");
    for (int i = 0; i < 3; i++)
        assert_int_equal(hv_gnttab_copy(w->gt, &op, 1), -EFAULT);
    assert_int_equal(op.status, 7);
    loopd_fail(&loopd, NULL);
    assert_int_equal(hv_gnttab_copy(w->gt, &op, 1), 0);
    assert_int_equal(op.status, 0);
}

static void gntst_code_fails_one_grant_of_a_copy(void **state)
{
    struct world *w = *state;
    char buf[4][8];
    struct hv_copy ops[4];

    for (int i = 0; i < 4; i++)
        ops[i] = (struct hv_copy){.local = buf[i], .ref = w->refs[i], .len = 8};
    loopd_fail(&loopd, "copy:2:GNTST_bad_page");
    assert_int_equal(hv_gnttab_copy(w->gt, ops, 4), 0);
    assert_int_equal(ops[0].status, 0);
    assert_int_equal(ops[1].status, -9);
    assert_int_equal(ops[2].status, 0);
    assert_int_equal(ops[3].status, 0);
}

static void each_kind_of_call_can_fail(void **state)
{
    struct world *w = *state;
    struct hv_evtchn *front, *back;
    uint32_t port, ref;
    void *p, *addr;

    loopd_fail(&loopd, "alloc:1:ENOSPC");
    loopd_fail(&loopd, "bind:1:ESRCH");
    loopd_fail(&loopd, "notify:1:EIO");
    loopd_fail(&loopd, "share:1:ENOMEM");
    loopd_fail(&loopd, "end:1:EBUSY");
    loopd_fail(&loopd, "unmap:1:EINVAL");
    assert_int_equal(hv_evtchn_alloc(w->front, 0, &front, &port), -ENOSPC);
    assert_int_equal(hv_evtchn_alloc(w->front, 0, &front, &port), 0);
    assert_int_equal(hv_evtchn_bind(w->back, w->domid, port, &back), -ESRCH);
    assert_int_equal(hv_evtchn_bind(w->back, w->domid, port, &back), 0);
    assert_int_equal(hv_evtchn_notify(back), -EIO);
    assert_int_equal(hv_evtchn_notify(back), 0);
    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &p), -ENOMEM);
    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &p), 0);
    assert_int_equal(hv_share_end(w->share, p, 1), -EBUSY);
    assert_int_equal(hv_share_end(w->share, p, 1), 0);
    assert_int_equal(hv_gnttab_map(w->gt, w->refs, 1, PROT_READ, &addr), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
    hv_evtchn_close(back);
    hv_evtchn_close(front);
}

static void environment_scripts_one_process_only(void **state)
{
    struct world *w = *state;
    struct hv_gnttab *gt;
    struct errmsg err;
    struct hv *hv;
    void *addr;

    setenv("BLKBACK_LOOP_FAIL", "map:1:ENOMEM,map:2:EAGAIN", 1);
    hv = open_hv(loopd.dom0);
    unsetenv("BLKBACK_LOOP_FAIL");
    assert_int_equal(map1(w), 0);
    assert_int_equal(hv_gnttab_open(hv, w->domid, 4, &gt), 0);
    assert_int_equal(hv_gnttab_map(gt, w->refs, 1, PROT_READ, &addr), -ENOMEM);
    assert_int_equal(hv_gnttab_map(gt, w->refs, 1, PROT_READ, &addr), -EAGAIN);
    assert_int_equal(hv_gnttab_map(gt, w->refs, 1, PROT_READ, &addr), 0);
    hv_gnttab_close(gt);
    hv_close(hv);
    static const char *const bad[] = {
        "map",       "map:1",       "map:0:EIO", "map:-1:EIO",
        "fly:1:EIO", "map:1:EWHAT", "map:x:EIO", "map:1:GNTST_bad_page"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("BLKBACK_LOOP_FAIL", bad[i], 1);
        assert_int_equal(hv_open(loopd.dom0, &hv, &err), -EINVAL);
    }
    unsetenv("BLKBACK_LOOP_FAIL");
}

static void maptrack_limit_is_enospc_and_ends(void **state)
{
    struct world *w = *state;
    struct loop_hv *ts;
    struct errmsg err;
    void *addr, *more;

    assert_int_equal(loop_toolstack_open(loopd.dir, &ts, &err), 0);
    assert_int_equal(loop_set_limit(ts, LOOP_LIMIT_MAPTRACK, 2), 0);
    assert_int_equal(hv_gnttab_map(w->gt, w->refs, 3, PROT_READ, &addr), -ENOSPC);
    assert_int_equal(hv_gnttab_map(w->gt, w->refs, 2, PROT_READ, &addr), 0);
    assert_int_equal(hv_gnttab_map(w->gt, w->refs, 1, PROT_READ, &more), -ENOSPC);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 2), 0);
    assert_int_equal(map1(w), 0);
    assert_int_equal(loop_set_limit(ts, LOOP_LIMIT_MAPTRACK, 262144), 0);
    loop_toolstack_close(ts);
}

static int take_row(const struct loop_report_row *row, void *arg)
{
    char *text = arg, line[200];

    loop_report_text(row, line, sizeof(line));
    snprintf(text + strlen(text), 1024 - strlen(text), "%s\n", line);
    return 0;
}

static void report_names_each_page_and_each_port(void **state)
{
    struct world *w = *state;
    char text[1024] = "", want[1024];
    struct hv_evtchn *front, *back;
    struct loop_hv *ts;
    struct errmsg err;
    uint32_t port;
    void *rw, *ro;

    assert_int_equal(hv_evtchn_alloc(w->front, 0, &front, &port), 0);
    assert_int_equal(loopd_left(&loopd), 0); /* an offer is no leak */
    assert_int_equal(hv_evtchn_bind(w->back, w->domid, port, &back), 0);
    assert_int_equal(hv_gnttab_map(w->gt, w->refs, 1, PROT_READ | PROT_WRITE, &rw), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &w->refs[1], 1, PROT_READ, &ro), 0);
    assert_int_equal(loopd_left(&loopd), 3);
    assert_int_equal(loop_toolstack_open(loopd.dir, &ts, &err), 0);
    assert_int_equal(loop_report(ts, take_row, text), 0);
    loop_toolstack_close(ts);
    snprintf(want, sizeof(want), "(pid %d) has reference %u of domain %u mapped, read-write\n",
             getpid(), w->refs[0], w->domid);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof(want), "(pid %d) has reference %u of domain %u mapped, read-only\n",
             getpid(), w->refs[1], w->domid);
    assert_non_null(strstr(text, want));
    snprintf(want, sizeof(want), "bound to port %u of domain %u\n", port, w->domid);
    assert_non_null(strstr(text, want));
    hv_evtchn_close(back);
    assert_int_equal(hv_gnttab_unmap(w->gt, rw, 1), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, ro, 1), 0);
    assert_int_equal(loopd_left(&loopd), 0);
    hv_evtchn_close(front);
}

static int register_buffer(void *addr, size_t len)
{
    struct io_uring ring;
    struct iovec iov = {.iov_base = addr, .iov_len = len};

    int r = io_uring_queue_init(4, &ring, 0);
    if (r)
        return 0;
    r = io_uring_register_buffers(&ring, &iov, 1);
    io_uring_queue_exit(&ring);
    return r;
}

static void memory_in_a_file_refuses_registration(void **state)
{
    const char *const args[] = {"--memory-dir", "/var/tmp", NULL};
    struct world w = {0};
    struct statfs fs;
    struct loopd own;
    struct io_uring probe;
    void *addr;

    if (io_uring_queue_init(4, &probe, 0) || statfs("/var/tmp", &fs) || fs.f_type == TMPFS_MAGIC)
        skip(); /* needs io_uring and a /var/tmp on a disk */
    io_uring_queue_exit(&probe);
    loopd_start(&own, args);
    world_open(&w, &own);
    assert_int_equal(hv_gnttab_map(w.gt, w.refs, 4, PROT_READ | PROT_WRITE, &addr), 0);
    memcpy(addr, "works all the same", 19);
    assert_string_equal(w.own, "works all the same");
    assert_true(register_buffer(addr, 4 * 4096) < 0);
    world_close(&w);
    assert_int_equal(loopd_stop(&own), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nth_call_fails_once),
        T(every_call_fails_until_cleared),
        T(gntst_code_fails_one_grant_of_a_copy),
        T(each_kind_of_call_can_fail),
        T(environment_scripts_one_process_only),
        T(maptrack_limit_is_enospc_and_ends),
        T(report_names_each_page_and_each_port),
        cmocka_unit_test(memory_in_a_file_refuses_registration),
    };

    loopd_start(&loopd, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loopd_stop(&loopd))
        failed++;
    return failed;
}
