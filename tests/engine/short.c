/* SPDX-License-Identifier: MIT
 *
 * What the kernel may answer but seldom does: short transfers, interruptions, a store that has
 * become shorter. The answers are put into the completion queue before the engine reads it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/uring.h"
#include "rig.h"

#define BLOCKS 16
#define BYTES  ((size_t)BLOCKS * 4096)

/* Waits for completions and replaces results that are positive by what lie() makes of them. */
static void pump(struct rig *rig, const struct probe *p, int (*lie)(int res, unsigned nth))
{
    unsigned nth = 0;

    while (!p->calls) {
        struct io_uring_cqe *cqe;
        unsigned head;
        assert_int_equal(ioctx_enter(&rig->ctx, true, UINT64_MAX), 0);
        io_uring_for_each_cqe(&rig->ctx.uring, head, cqe) cqe->res = lie(cqe->res, nth++);
        ioctx_reap(&rig->ctx);
    }
}

static int half(int res, unsigned nth)
{
    return res > 8192 ? res / 2 / 4096 * 4096 : res;
}

static int one_block(int res, unsigned nth)
{
    return res > 4096 ? 4096 : res;
}

static int interrupted(int res, unsigned nth)
{
    static const int seq[] = {-EINTR, -EAGAIN, -EAGAIN, 4096, -EINTR, 8192};
    return nth < 6 ? seq[nth] : res;
}

static int always_again(int res, unsigned nth)
{
    return -EAGAIN;
}

static int no_space(int res, unsigned nth)
{
    return nth == 0 ? 4096 : -ENOSPC;
}

/* Vectors of whole blocks; `shift` 4 forces the bounce where there is one. */
static void cut(struct probe *p, char *memory, size_t shift)
{
    static const unsigned blocks[] = {1, 5, 2, 7, 1};
    char *at = memory + shift;

    for (unsigned i = 0; i < 5; i++) {
        p->iov[i] = (struct iovec){at, blocks[i] * 4096u};
        at += p->iov[i].iov_len;
    }
    p->io.iovcnt = 5;
}

static void through(struct rig *rig, int (*lie)(int, unsigned), size_t shift)
{
    char *out = rig_memory(BYTES + 4096), *in = rig_memory(BYTES + 4096);
    struct probe p;

    rig_fill(rig, out, BYTES + 4096);
    probe_set(&p, ENGINE_WRITE, 4096, BYTES, out);
    cut(&p, out, shift);
    assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
    pump(rig, &p, lie);
    assert_int_equal(p.result, 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 4096, BYTES, in), 0);
    assert_memory_equal(in, out + shift, BYTES);

    memset(in, 0x5a, BYTES + 4096);
    probe_set(&p, ENGINE_READ, 4096, BYTES, in);
    cut(&p, in, shift);
    assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
    pump(rig, &p, lie);
    assert_int_equal(p.result, 0);
    assert_int_equal(p.calls, 1);
    assert_memory_equal(in + shift, out + shift, BYTES);
    free(out);
    free(in);
}

static void short_transfers_are_continued(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    for (size_t shift = 0; shift <= 4; shift += 4) {
        through(rig, half, shift);
        through(rig, one_block, shift);
        through(rig, interrupted, shift);
    }
}

static void endless_interruption_ends_with_an_error(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    rig_start(rig, 0);
    char *memory = rig_memory(8192);
    for (size_t shift = 0; shift <= 4; shift += 4) {
        probe_set(&p, ENGINE_READ, 0, 4096, memory + shift);
        assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
        pump(rig, &p, always_again);
        assert_int_equal(p.result, -EAGAIN);
    }
    probe_set(&p, ENGINE_FLUSH, 0, 0, NULL);
    assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
    pump(rig, &p, always_again);
    assert_int_equal(p.result, -EAGAIN);
    free(memory);
}

static void error_after_a_short_transfer_is_reported(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    rig_start(rig, 0);
    char *memory = rig_memory(BYTES + 4096);
    for (size_t shift = 0; shift <= 4; shift += 4) {
        probe_set(&p, ENGINE_WRITE, 0, BYTES, memory + shift);
        assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
        pump(rig, &p, no_space);
        assert_int_equal(p.result, -ENOSPC);
        assert_int_equal(p.calls, 1);
    }
    free(memory);
}

/* No lie here: the file really ends in the middle of what is asked. */
static void reading_a_shrunken_file_fails(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    char *memory = rig_memory(BYTES + 4096);
    assert_int_equal(truncate(rig->store.path, 8192), 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, BYTES, memory), -EIO);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, BYTES, memory + 4), -EIO);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 65536, 4096, memory), -EIO);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, 8192, memory), 0);
    free(memory);
}

static int zero_range_unknown(int res, unsigned nth)
{
    return nth == 0 ? -EOPNOTSUPP : res;
}

static void zeroing_falls_back_to_punching(void **state)
{
    struct rig *rig = *state;
    struct probe p;
    char zeroes[4096] = {0};

    rig_start(rig, 0);
    if (!rig->info.can_write_zeroes)
        rig_skip(rig, "this file system cannot punch holes");
    char *memory = rig_memory(4096);
    assert_int_equal(rig_do_simple(rig, ENGINE_WRITE, 4096, 4096, memory), 0);
    probe_set(&p, ENGINE_WRITE_ZEROES, 4096, 4096, NULL);
    assert_int_equal(rig->ops->submit(rig->channel, &p.io), 0);
    pump(rig, &p, zero_range_unknown);
    assert_int_equal(p.result, 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 4096, 4096, memory), 0);
    assert_memory_equal(memory, zeroes, 4096);
    free(memory);
}

static void rest_of_a_vector(void **state)
{
    char m[100];
    const struct iovec iov[] = {{m, 10}, {m + 20, 0}, {m + 30, 30}, {m + 70, 5}};
    static const struct {
        uint64_t done;
        unsigned n, first;
        size_t at, len;
    } cases[] = {
        {0, 4, 0, 0, 10},   {3, 1, 0, 3, 7},   {10, 2, 2, 30, 30},
        {11, 1, 2, 31, 29}, {39, 1, 2, 59, 1}, {40, 1, 3, 70, 5},
        {44, 1, 3, 74, 1},  {45, 0, 4, 0, 0},  {99, 0, 4, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned first = 99;
        struct iovec part = {0};
        assert_int_equal(uring_iov_rest(iov, 4, cases[i].done, &first, &part), cases[i].n);
        assert_int_equal(first, cases[i].first);
        if (cases[i].n) {
            assert_ptr_equal(part.iov_base, m + cases[i].at);
            assert_int_equal(part.iov_len, cases[i].len);
        }
    }
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(rest_of_a_vector, STORE_NULL),
        RIG_CASE(short_transfers_are_continued, STORE_FILE),
        RIG_CASE(short_transfers_are_continued, STORE_SHM),
        RIG_CASE(short_transfers_are_continued, STORE_LOOP4K),
        RIG_CASE(endless_interruption_ends_with_an_error, STORE_FILE),
        RIG_CASE(error_after_a_short_transfer_is_reported, STORE_FILE),
        RIG_CASE(reading_a_shrunken_file_fails, STORE_FILE),
        RIG_CASE(reading_a_shrunken_file_fails, STORE_SHM),
        RIG_CASE(zeroing_falls_back_to_punching, STORE_FILE),
    };

    return rig_main("short", cases, sizeof(cases) / sizeof(cases[0]));
}
