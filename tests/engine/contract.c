/* SPDX-License-Identifier: MIT
 *
 * What every engine promises (engine.h), shown on every kind of store.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

/* ---- the callback ---- */

static void callback_fires_once_and_never_inside_submit(void **state)
{
    struct rig *rig = *state;
    static struct probe p[RIG_DEPTH];
    uint32_t block;

    rig_start(rig, 0);
    block = rig->info.logical_block;
    char *memory = rig_memory((size_t)RIG_DEPTH * block);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        enum engine_op op = (enum engine_op)(i % 5);
        bool has_memory = op == ENGINE_READ || op == ENGINE_WRITE;
        if ((op == ENGINE_DISCARD && !rig->info.can_discard) ||
            (op == ENGINE_WRITE_ZEROES && !rig->info.can_write_zeroes))
            op = ENGINE_FLUSH;
        probe_set(&p[i], op, op == ENGINE_FLUSH ? 0 : i * (uint64_t)block,
                  op == ENGINE_FLUSH ? 0 : block, has_memory ? memory + i * block : NULL);
        uint64_t enters = rig->ctx.enters;
        assert_int_equal(rig->ops->submit(rig->channel, &p[i].io), 0);
        assert_int_equal(rig->ctx.enters, enters); /* queued, not entered */
        for (unsigned j = 0; j <= i; j++)
            assert_int_equal(p[j].calls, 0);
    }
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        rig_wait(rig, &p[i]);
    ioctx_enter(&rig->ctx, false, 0);
    ioctx_reap(&rig->ctx);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        assert_int_equal(p[i].calls, 1);
        assert_int_equal(p[i].result, 0);
    }
    free(memory);
}

struct chain {
    struct probe p;
    struct rig *rig;
    unsigned left;
};

static void chain_done(struct engine_io *io, int result)
{
    struct chain *c = (struct chain *)io;

    assert_int_equal(result, 0);
    if (--c->left == 0)
        c->p.calls = 1;
    else
        assert_int_equal(c->rig->ops->submit(c->rig->channel, io), 0);
}

static void callback_may_submit_the_same_io_again(void **state)
{
    struct rig *rig = *state;
    static struct chain c;

    rig_start(rig, 0);
    uint32_t block = rig->info.logical_block;
    char *memory = rig_memory(2 * block);
    static const enum engine_op ops[] = {ENGINE_READ, ENGINE_WRITE, ENGINE_FLUSH, ENGINE_DISCARD};
    for (unsigned i = 0; i < 4; i++) {
        bool rw = ops[i] == ENGINE_READ || ops[i] == ENGINE_WRITE;
        if (ops[i] == ENGINE_DISCARD && !rig->info.can_discard)
            continue;
        probe_set(&c.p, ops[i], 0, ops[i] == ENGINE_FLUSH ? 0 : block, rw ? memory + 4 : NULL);
        c.p.io.done = chain_done;
        c.rig = rig;
        c.left = 20;
        assert_int_equal(rig->ops->submit(rig->channel, &c.p.io), 0);
        rig_wait(rig, &c.p);
    }
    free(memory);
}

/* ---- data ---- */

/* Each of RIG_DEPTH slots owns a lane of the disk and does one random vectored I/O after another in
 * it, with all lanes in flight together. */
#define LANE_BYTES (STORE_BYTES / RIG_DEPTH)
#define LANE_IOS   40
#define SEGMENTS   11

struct lane {
    struct probe p;
    char *memory;    /* LANE_BYTES + slack */
    uint64_t offset; /* of the I/O, in the lane */
    unsigned done;
};

/* Cuts the I/O into up to SEGMENTS pieces of `unit` multiples, at bases `shift` off alignment. */
static void cut(struct rig *rig, struct lane *l, uint64_t length, uint32_t unit, size_t shift)
{
    uint64_t left = length / unit;
    char *at = l->memory + shift;
    unsigned n = 0;

    while (left > 0) {
        uint64_t take = n == SEGMENTS - 1 ? left : 1 + rig_random(rig) % left;
        l->p.iov[n++] = (struct iovec){at, take * unit};
        at += take * unit + shift; /* a gap, so that pieces are not adjacent */
        left -= take;
    }
    l->p.io.iovcnt = n;
}

static void lane_begin(struct rig *rig, struct lane *l, unsigned lane, char *model)
{
    uint32_t block = rig->info.logical_block;
    uint64_t blocks = LANE_BYTES / 2 / block;
    uint64_t length = (1 + rig_random(rig) % blocks) * block;
    bool write = rig_random(rig) % 2;
    static const size_t shifts[] = {0, 512, 1024, 4, 1, 516};
    size_t shift = shifts[rig_random(rig) % 6];
    /* Pieces smaller than a block where only the sum must be whole. */
    uint32_t unit = rig_random(rig) % 2 ? 512 : block;

    l->offset = (rig_random(rig) % (LANE_BYTES / block - length / block + 1)) * block;
    probe_set(&l->p, write ? ENGINE_WRITE : ENGINE_READ, (uint64_t)lane * LANE_BYTES + l->offset,
              length, l->memory);
    cut(rig, l, length, unit, shift);
    if (write) {
        char *m = model + l->p.io.offset;
        for (unsigned i = 0; i < l->p.io.iovcnt; m += l->p.iov[i++].iov_len) {
            rig_fill(rig, l->p.iov[i].iov_base, l->p.iov[i].iov_len);
            if (rig_keeps_data(rig))
                memcpy(m, l->p.iov[i].iov_base, l->p.iov[i].iov_len);
        }
    }
    assert_int_equal(rig->ops->submit(rig->channel, &l->p.io), 0);
}

static void lane_check(const struct lane *l, const char *model)
{
    const char *m = model + l->p.io.offset;

    assert_int_equal(l->p.result, 0);
    if (l->p.io.op == ENGINE_READ)
        for (unsigned i = 0; i < l->p.io.iovcnt; m += l->p.iov[i++].iov_len)
            assert_memory_equal(l->p.iov[i].iov_base, m, l->p.iov[i].iov_len);
}

static void random_vectored_io_reads_what_was_written(void **state)
{
    struct rig *rig = *state;
    static struct lane lanes[RIG_DEPTH];
    unsigned running = RIG_DEPTH;

    rig_start(rig, 0);
    char *model = rig_memory(STORE_BYTES);
    memset(model, 0, STORE_BYTES);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        lanes[i] = (struct lane){.memory = rig_memory(LANE_BYTES + (size_t)SEGMENTS * 2048)};
        lane_begin(rig, &lanes[i], i, model);
    }
    while (running > 0) {
        assert_int_equal(ioctx_enter(&rig->ctx, true, UINT64_MAX), 0);
        ioctx_reap(&rig->ctx);
        for (unsigned i = 0; i < RIG_DEPTH; i++) {
            struct lane *l = &lanes[i];
            if (!l->p.calls)
                continue;
            lane_check(l, model);
            l->p.calls = 0;
            if (++l->done < LANE_IOS)
                lane_begin(rig, l, i, model);
            else
                running--;
        }
    }
    /* Seen by another opening of the store too. */
    rig_restart(rig, ENGINE_OPEN_READ_ONLY);
    char *all = rig_memory(STORE_BYTES);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, STORE_BYTES, all), 0);
    assert_memory_equal(all, model, STORE_BYTES);
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        free(lanes[i].memory);
    free(all);
    free(model);
}

static void large_unaligned_io_passes_whole(void **state)
{
    struct rig *rig = *state;
    const size_t bytes = 3u << 20;

    rig_start(rig, 0);
    char *out = rig_memory(bytes + 4096), *in = rig_memory(bytes + 4096);
    rig_fill(rig, out + 4, bytes);
    assert_int_equal(rig_do_simple(rig, ENGINE_WRITE, 1u << 20, bytes, out + 4), 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 1u << 20, bytes, in + 1), 0);
    if (!rig_keeps_data(rig))
        memset(out, 0, bytes + 4096);
    assert_memory_equal(in + 1, out + 4, bytes);
    assert_int_equal(in[0], 0x5a); /* nothing before, nothing behind */
    assert_int_equal(in[bytes + 1], 0x5a);
    free(out);
    free(in);
}

static void more_unaligned_ios_than_bounce_buffers_all_finish(void **state)
{
    struct rig *rig = *state;
    static struct probe p[RIG_DEPTH];

    rig_start(rig, 0);
    const size_t bytes = 16u << 10;
    char *memory = rig_memory(RIG_DEPTH * bytes + 4096), *back = rig_memory(RIG_DEPTH * bytes);
    rig_fill(rig, memory, RIG_DEPTH * bytes + 4);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        probe_set(&p[i], ENGINE_WRITE, i * bytes, bytes, memory + i * bytes + 4);
        assert_int_equal(rig->ops->submit(rig->channel, &p[i].io), 0);
    }
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        rig_wait(rig, &p[i]);
        assert_int_equal(p[i].result, 0);
        assert_int_equal(p[i].calls, 1);
    }
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, RIG_DEPTH * bytes, back), 0);
    if (rig_keeps_data(rig))
        assert_memory_equal(back, memory + 4, RIG_DEPTH * bytes);
    free(memory);
    free(back);
}

static void two_channels_share_one_context(void **state)
{
    struct rig *rig = *state;
    struct engine_channel *second = NULL;
    struct probe p;

    rig_start(rig, 0);
    uint32_t block = rig->info.logical_block;
    char *memory = rig_memory(2 * block);
    assert_int_equal(rig->ops->channel_open(rig->engine, &rig->ctx, 4, &second), 0);
    rig_fill(rig, memory, block);
    probe_set(&p, ENGINE_WRITE, block, block, memory);
    assert_int_equal(rig->ops->submit(second, &p.io), 0);
    rig_wait(rig, &p);
    assert_int_equal(p.result, 0);
    rig->ops->channel_close(second);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, block, block, memory + block), 0);
    if (rig_keeps_data(rig))
        assert_memory_equal(memory, memory + block, block);
    free(memory);
}

/* ---- flush, discard, write-zeroes ---- */

static void flush_succeeds_with_writes_before_it(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    assert_true(rig->info.can_flush);
    uint32_t block = rig->info.logical_block;
    char *memory = rig_memory(block);
    assert_int_equal(rig_do_simple(rig, ENGINE_WRITE, 0, block, memory), 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_FLUSH, 0, 0, NULL), 0);
    free(memory);
}

/* Ranges that start and end off any granularity: what is around them must stay. */
static void neighbours_stay(struct rig *rig, enum engine_op op)
{
    uint32_t block = rig->info.logical_block;
    uint64_t at[][2] = {{block, block}, {65536 + block, 3 * 65536}, {1u << 20, 1u << 20}};
    char *before = rig_memory(STORE_BYTES), *after = rig_memory(STORE_BYTES);
    char *zeroes = calloc(1, STORE_BYTES);

    assert_non_null(zeroes);
    rig_fill(rig, before, STORE_BYTES);
    if (!rig_keeps_data(rig))
        memset(before, 0, STORE_BYTES);
    assert_int_equal(rig_do_simple(rig, ENGINE_WRITE, 0, STORE_BYTES, before), 0);
    for (size_t i = 0; i < 3; i++) {
        uint64_t start = at[i][0], length = at[i][1];
        assert_int_equal(rig_do_simple(rig, op, start, length, NULL), 0);
        assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, STORE_BYTES, after), 0);
        if (op == ENGINE_WRITE_ZEROES)
            assert_memory_equal(after + start, zeroes, length);
        memcpy(before + start, after + start, length); /* a discard may leave anything */
        assert_memory_equal(after, before, STORE_BYTES);
    }
    free(zeroes);
    free(before);
    free(after);
}

static void discard_touches_only_its_range(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    if (!rig->info.can_discard) {
        assert_int_equal(rig->info.discard_granularity, 0);
        assert_int_equal(rig_do_simple(rig, ENGINE_DISCARD, 0, 4096, NULL), -EOPNOTSUPP);
        rig_skip(rig, "it cannot discard");
    }
    assert_true(rig->info.discard_granularity > 0);
    neighbours_stay(rig, ENGINE_DISCARD);
    assert_int_equal(rig_do_simple(rig, ENGINE_DISCARD, 0, STORE_BYTES, NULL), 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_DISCARD, 0, 0, NULL), 0);
}

static void write_zeroes_touches_only_its_range(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    if (!rig->info.can_write_zeroes) {
        assert_int_equal(rig_do_simple(rig, ENGINE_WRITE_ZEROES, 0, 4096, NULL), -EOPNOTSUPP);
        rig_skip(rig, "it cannot write zeroes");
    }
    neighbours_stay(rig, ENGINE_WRITE_ZEROES);
}

static void secure_discard_is_refused_where_it_cannot_be(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    rig_start(rig, 0);
    probe_set(&p, ENGINE_DISCARD, 0, 4096, NULL);
    p.io.flags = ENGINE_IO_SECURE;
    assert_false(rig->info.can_discard_secure);
    assert_int_equal(rig_do(rig, &p), -EOPNOTSUPP);
    assert_int_equal(p.calls, 0);
}

/* ---- limits ---- */

static void io_outside_the_store_is_refused(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    uint32_t block = rig->info.logical_block;
    uint64_t size = rig->info.size_bytes;
    char *memory = rig_memory(2 * block);
    const uint64_t bad[][2] = {
        {size, block},
        {size - block, 2 * block},
        {UINT64_MAX - block + 1, block},
        {UINT64_MAX - 511, 512},
        {0, block - 1},
        {1, block},
        {size + block, block},
        {block, UINT64_MAX - block + 1},
    };

    assert_int_equal(size, STORE_BYTES);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (unsigned op = 0; op < 5; op++) {
            if (op == ENGINE_FLUSH)
                continue;
            bool rw = op == ENGINE_READ || op == ENGINE_WRITE;
            int ret =
                rig_do_simple(rig, (enum engine_op)op, bad[i][0], bad[i][1], rw ? memory : NULL);
            assert_true(ret == -EINVAL || (!rw && ret == -EOPNOTSUPP));
        }
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, size - block, block, memory), 0);
    free(memory);
}

static void vector_of_another_length_is_refused(void **state)
{
    struct rig *rig = *state;
    struct probe p;
    static const int off_by[] = {-512, 512, 4096};

    rig_start(rig, 0);
    char *memory = rig_memory(16384);
    for (size_t i = 0; i < 3; i++)
        for (unsigned write = 0; write < 2; write++) {
            probe_set(&p, write ? ENGINE_WRITE : ENGINE_READ, STORE_BYTES - 8192, 8192, memory);
            p.iov[0].iov_len = 4096;
            p.iov[1] = (struct iovec){memory + 4096, (size_t)(4096 + off_by[i])};
            p.io.iovcnt = 2;
            assert_int_equal(rig_do(rig, &p), -EINVAL);
            assert_int_equal(p.calls, 0);
        }
    free(memory);
}

static void read_only_refuses_every_change(void **state)
{
    struct rig *rig = *state;
    static const enum engine_op ops[] = {ENGINE_WRITE, ENGINE_DISCARD, ENGINE_WRITE_ZEROES};

    rig_start(rig, ENGINE_OPEN_READ_ONLY);
    assert_true(rig->info.read_only);
    assert_false(rig->info.can_discard);
    assert_false(rig->info.can_write_zeroes);
    char *memory = rig_memory(4096);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            rig_do_simple(rig, ops[i], 0, 4096, ops[i] == ENGINE_WRITE ? memory : NULL), -EROFS);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, 4096, memory), 0);
    assert_int_equal(rig_do_simple(rig, ENGINE_FLUSH, 0, 0, NULL), 0);
    free(memory);
}

static void read_only_descriptor_itself_cannot_write(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;
    struct errmsg err = {""};
    const char *target;

    rig_start(rig, ENGINE_OPEN_READ_ONLY);
    if (rig->mem)
        rig_skip(rig, "it has no descriptors");
    const struct engine_ops *ops = engine_resolve(rig->store.spec, &target, &err);
    assert_int_equal(ops->open(target, ENGINE_OPEN_READ_ONLY, &desc, &err), 0);
    char *memory = rig_memory(4096);
    for (unsigned i = 0; i < desc.nr_fds; i++) {
        assert_int_equal(pwrite(desc.fds[i], memory, 4096, 0), -1);
        assert_int_equal(errno, EBADF);
        assert_int_equal(fallocate(desc.fds[i], 3, 0, 4096), -1);
    }
    engine_desc_close(&desc);
    free(memory);
}

static void facts_are_plausible(void **state)
{
    struct rig *rig = *state;
    struct engine_info *info = &rig->info;
    enum store_kind kind = rig->store.kind;
    bool e512 = kind == STORE_E512_LOOP || kind == STORE_E512_FILE || kind == STORE_E512_MEM;

    rig_start(rig, 0);
    assert_int_equal(info->size_bytes, STORE_BYTES);
    assert_int_equal(info->logical_block, rig->store.kind == STORE_LOOP4K ? 4096 : 512);
    assert_true(info->physical_block >= info->logical_block);
    assert_int_equal(info->memory_align & (info->memory_align - 1), 0);
    assert_true(info->memory_align >= 1);
    assert_false(info->read_only);
    assert_int_equal(info->is_block_device, rig->store.loop_fd >= 0 && kind != STORE_E512_FILE);
    assert_int_equal(info->dev_major, info->is_block_device ? 7 : 0);
    if (rig->store.kind == STORE_SHM)
        assert_non_null(strstr(info->note, "buffered"));
    if (e512) {
        assert_int_equal(info->physical_block, 4096);
        assert_string_equal(info->note, "512e over 4096-byte sectors"); /* O_DIRECT */
        assert_int_equal(info->discard_granularity % 4096, 0);
    } else if (info->is_block_device) {
        assert_string_equal(info->note, "");
    }
    print_message("# %s: memory %u, discard %u, zeroes %d, note \"%s\"\n",
                  store_names[rig->store.kind], info->memory_align, info->discard_granularity,
                  info->can_write_zeroes, info->note);
}

static const struct {
    const char *name;
    void (*test)(void **state);
} promises[] = {
    {"facts_are_plausible", facts_are_plausible},
    {"callback_fires_once_and_never_inside_submit", callback_fires_once_and_never_inside_submit},
    {"callback_may_submit_the_same_io_again", callback_may_submit_the_same_io_again},
    {"random_vectored_io_reads_what_was_written", random_vectored_io_reads_what_was_written},
    {"large_unaligned_io_passes_whole", large_unaligned_io_passes_whole},
    {"more_unaligned_ios_than_bounce_buffers_all_finish",
     more_unaligned_ios_than_bounce_buffers_all_finish},
    {"two_channels_share_one_context", two_channels_share_one_context},
    {"flush_succeeds_with_writes_before_it", flush_succeeds_with_writes_before_it},
    {"discard_touches_only_its_range", discard_touches_only_its_range},
    {"write_zeroes_touches_only_its_range", write_zeroes_touches_only_its_range},
    {"secure_discard_is_refused_where_it_cannot_be", secure_discard_is_refused_where_it_cannot_be},
    {"io_outside_the_store_is_refused", io_outside_the_store_is_refused},
    {"vector_of_another_length_is_refused", vector_of_another_length_is_refused},
    {"read_only_refuses_every_change", read_only_refuses_every_change},
    {"read_only_descriptor_itself_cannot_write", read_only_descriptor_itself_cannot_write},
};

#define PROMISES (sizeof(promises) / sizeof(promises[0]))

int main(void)
{
    static struct rig_case cases[PROMISES * STORE_KINDS];
    size_t n = 0;

    for (unsigned kind = 0; kind < STORE_KINDS; kind++)
        for (size_t i = 0; i < PROMISES; i++)
            cases[n++] =
                (struct rig_case){promises[i].name, promises[i].test, (enum store_kind)kind};
    return rig_main("contract", cases, n);
}
