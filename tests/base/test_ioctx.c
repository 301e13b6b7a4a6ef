/* SPDX-License-Identifier: MIT
 *
 * A thread's io_uring: completions run once each, from the reaping call only, and waiting ends when
 * it should.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#include "base/ioctx.h"

struct probe {
    struct ioctx_op op;
    int calls, res;
    struct ioctx *again; /* complete once more, later */
};

static struct ioctx ctx;

static void probe_done(struct ioctx_op *op, int res)
{
    struct probe *p = (struct probe *)(void *)op;

    p->calls++;
    p->res = res;
    if (p->again) {
        struct ioctx *c = p->again;

        p->again = NULL;
        ioctx_later(c, op, res + 1);
    }
}

static int open_ctx(void **state)
{
    return ioctx_open(&ctx, 8, NULL);
}

static int close_ctx(void **state)
{
    ioctx_close(&ctx);
    return 0;
}

static void an_operation_completes_once_and_only_when_reaped(void **state)
{
    struct probe p = {.op.done = probe_done};
    char buf[4] = {0};
    int fd = memfd_create("m", MFD_CLOEXEC);

    assert_int_equal(write(fd, "abc", 3), 3);
    struct io_uring_sqe *sqe = ioctx_sqe(&ctx, &p.op);
    sqe->opcode = IORING_OP_READ;
    sqe->fd = fd;
    sqe->addr = (uint64_t)(uintptr_t)buf;
    sqe->len = 3;
    assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
    assert_int_equal(p.calls, 0);
    assert_true(ioctx_ready(&ctx));
    assert_int_equal(ioctx_reap(&ctx), 1);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.res, 3);
    assert_string_equal(buf, "abc");
    assert_int_equal(ioctx_reap(&ctx), 0);
    assert_false(ioctx_ready(&ctx));
    close(fd);
}

static void a_failed_operation_reports_its_errno(void **state)
{
    struct probe p = {.op.done = probe_done};
    struct io_uring_sqe *sqe = ioctx_sqe(&ctx, &p.op);

    sqe->opcode = IORING_OP_FSYNC;
    sqe->fd = -1;
    assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
    assert_int_equal(ioctx_reap(&ctx), 1);
    assert_int_equal(p.res, -EBADF);
}

static void a_submission_entry_is_clean_whatever_was_in_it(void **state)
{
    struct probe p = {.op.done = probe_done};
    static const struct io_uring_sqe zero;

    for (int i = 0; i < 50; i++) {
        struct io_uring_sqe *sqe = ioctx_sqe(&ctx, &p.op);
        struct io_uring_sqe seen = *sqe;

        assert_true(seen.user_data == (uint64_t)(uintptr_t)&p.op);
        seen.user_data = 0;
        assert_memory_equal(&seen, &zero, sizeof(zero));
        memset(sqe, 0, sizeof(*sqe));
        sqe->opcode = IORING_OP_NOP;
        sqe->user_data = (uint64_t)(uintptr_t)&p.op;
        sqe->len = 0x55; /* what a NOP does not look at */
        assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
        assert_int_equal(ioctx_reap(&ctx), 1);
    }
    assert_int_equal(p.calls, 50);
}

static void more_operations_than_there_are_entries_are_all_done(void **state)
{
    struct probe p[32];
    unsigned done = 0;

    memset(p, 0, sizeof(p));
    for (unsigned i = 0; i < COUNT(p); i++) {
        p[i].op.done = probe_done;
        ioctx_sqe(&ctx, &p[i].op)->opcode = IORING_OP_NOP;
    }
    while (done < COUNT(p)) {
        assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
        done += ioctx_reap(&ctx);
    }
    for (unsigned i = 0; i < COUNT(p); i++)
        assert_int_equal(p[i].calls, 1);
}

static void an_answer_known_at_once_is_given_later_and_in_order(void **state)
{
    struct probe a = {.op.done = probe_done}, b = {.op.done = probe_done};

    ioctx_later(&ctx, &a.op, 7);
    ioctx_later(&ctx, &b.op, -EIO);
    assert_int_equal(a.calls + b.calls, 0);
    assert_true(ioctx_ready(&ctx));
    /* waiting without limit must not wait */
    assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
    assert_int_equal(ioctx_reap(&ctx), 2);
    assert_int_equal(a.res, 7);
    assert_int_equal(b.res, -EIO);
    assert_false(ioctx_ready(&ctx));
}

static void what_a_completion_completes_is_left_for_the_next_call(void **state)
{
    struct probe p = {.op.done = probe_done, .again = &ctx};

    ioctx_later(&ctx, &p.op, 1);
    assert_int_equal(ioctx_reap(&ctx), 1);
    assert_int_equal(p.calls, 1);
    assert_true(ioctx_ready(&ctx));
    assert_int_equal(ioctx_reap(&ctx), 1);
    assert_int_equal(p.calls, 2);
    assert_int_equal(p.res, 2);
    assert_int_equal(ioctx_reap(&ctx), 0);
}

static void a_wait_ends_at_its_timeout_without_an_error(void **state)
{
    assert_int_equal(ioctx_enter(&ctx, true, 1000000), 0);
    assert_int_equal(ioctx_reap(&ctx), 0);
}

static void a_wait_ends_when_an_event_arrives(void **state)
{
    struct probe p = {.op.done = probe_done};
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1, got = 0;
    struct io_uring_sqe *sqe = ioctx_sqe(&ctx, &p.op);

    sqe->opcode = IORING_OP_READ;
    sqe->fd = fd;
    sqe->addr = (uint64_t)(uintptr_t)&got;
    sqe->len = 8;
    assert_int_equal(ioctx_enter(&ctx, false, 0), 0);
    assert_int_equal(ioctx_reap(&ctx), 0);
    assert_int_equal(write(fd, &one, 8), 8);
    while (!ioctx_reap(&ctx))
        assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
    assert_int_equal(p.res, 8);
    assert_int_equal(got, 1);
    close(fd);
}

static void nothing_queued_and_no_wait_is_no_system_call(void **state)
{
    uint64_t before = ctx.enters;

    for (int i = 0; i < 10; i++)
        assert_int_equal(ioctx_enter(&ctx, false, 0), 0);
    assert_int_equal(ctx.enters, before);
}

static void a_whole_batch_is_one_system_call(void **state)
{
    struct probe p[8];
    uint64_t before = ctx.enters;

    memset(p, 0, sizeof(p));
    for (unsigned i = 0; i < COUNT(p); i++) {
        p[i].op.done = probe_done;
        ioctx_sqe(&ctx, &p[i].op)->opcode = IORING_OP_NOP;
    }
    assert_int_equal(ioctx_enter(&ctx, true, UINT64_MAX), 0);
    assert_int_equal(ctx.enters, before + 1);
    assert_int_equal(ioctx_reap(&ctx), COUNT(p));
}

static void a_queue_that_cannot_be_had_is_explained(void **state)
{
    struct ioctx other;
    struct errmsg err = {""};

    assert_true(ioctx_open(&other, 0, &err) < 0);
    assert_true(strlen(err.text) > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_ctx, close_ctx)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_operation_completes_once_and_only_when_reaped),
        TEST(a_failed_operation_reports_its_errno),
        TEST(a_submission_entry_is_clean_whatever_was_in_it),
        TEST(more_operations_than_there_are_entries_are_all_done),
        TEST(an_answer_known_at_once_is_given_later_and_in_order),
        TEST(what_a_completion_completes_is_left_for_the_next_call),
        TEST(a_wait_ends_at_its_timeout_without_an_error),
        TEST(a_wait_ends_when_an_event_arrives),
        TEST(nothing_queued_and_no_wait_is_no_system_call),
        TEST(a_whole_batch_is_one_system_call),
        cmocka_unit_test(a_queue_that_cannot_be_had_is_explained),
    };

    struct errmsg err = {""};
    int ret = ioctx_open(&ctx, 8, &err);

    if (ret == -EPERM || ret == -ENOSYS) {
        printf("1..0 # SKIP %s\n", err.text);
        return 0;
    }
    if (ret == 0)
        ioctx_close(&ctx);
    return cmocka_run_group_tests_name("ioctx", tests, NULL, NULL);
}
