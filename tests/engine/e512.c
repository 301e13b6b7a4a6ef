/* SPDX-License-Identifier: MIT
 *
 * 512e, step by step: which I/Os reach the store, who waits for whom, and what failure leaves. The
 * store is memory that holds I/Os back (mem.h). Two channels, as two rings of a disk have them, but
 * of one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/e512.h"
#include "rig.h"

#define SECTOR 512u

struct second {
    struct ioctx ctx;
    struct engine_channel *channel;
};

static void second_open(struct rig *rig, struct second *s)
{
    assert_int_equal(ioctx_open(&s->ctx, 64, NULL), 0);
    assert_int_equal(rig->ops->channel_open(rig->engine, &s->ctx, RIG_DEPTH, &s->channel), 0);
}

static void second_close(struct rig *rig, struct second *s)
{
    rig->ops->channel_close(s->channel);
    ioctx_close(&s->ctx);
}

/* Lets happen what can happen. */
static void pump(struct ioctx *ctx)
{
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ioctx_enter(ctx, false, 0), 0);
        ioctx_reap(ctx);
    }
}

static void pump_until(struct ioctx *ctx, const unsigned *count, unsigned at_least)
{
    while (*count < at_least) {
        assert_int_equal(ioctx_enter(ctx, true, UINT64_MAX), 0);
        ioctx_reap(ctx);
    }
}

static void start_held(struct rig *rig)
{
    rig_start(rig, 0);
    for (size_t i = 0; i < STORE_BYTES; i++)
        rig->store.bytes[i] = (unsigned char)(i / SECTOR + 1);
    rig->mem->hold = rig->mem->keep_log = true;
}

static void submit(struct rig *rig, struct engine_channel *ch, struct probe *p, enum engine_op op,
                   uint64_t sector, uint64_t sectors, void *memory)
{
    probe_set(p, op, sector * SECTOR, sectors * SECTOR, memory);
    assert_int_equal(rig->ops->submit(ch, &p->io), 0);
    assert_int_equal(p->calls, 0);
}

static void expect_log(const struct mem *m, const struct mem_log *want, unsigned n)
{
    assert_int_equal(m->nr_log, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(m->log[i].op, want[i].op);
        assert_int_equal(m->log[i].offset, want[i].offset);
        assert_int_equal(m->log[i].length, want[i].length);
    }
}

/* ---- what reaches the store ---- */

static void each_io_becomes_the_fewest_in_whole_blocks(void **state)
{
    struct rig *rig = *state;
    static const struct {
        enum engine_op op;
        unsigned sector, sectors, n;
        struct mem_log want[5];
    } cases[] = {
        {ENGINE_READ, 8, 8, 1, {{ENGINE_READ, 4096, 4096}}},
        {ENGINE_READ, 9, 1, 1, {{ENGINE_READ, 4096, 4096}}},
        {ENGINE_READ, 15, 2, 1, {{ENGINE_READ, 4096, 8192}}},
        {ENGINE_READ, 7, 10, 1, {{ENGINE_READ, 0, 12288}}},
        {ENGINE_WRITE, 8, 16, 1, {{ENGINE_WRITE, 4096, 8192}}},
        {ENGINE_WRITE, 9, 1, 2, {{ENGINE_READ, 4096, 4096}, {ENGINE_WRITE, 4096, 4096}}},
        {ENGINE_WRITE, 8, 1, 2, {{ENGINE_READ, 4096, 4096}, {ENGINE_WRITE, 4096, 4096}}},
        {ENGINE_WRITE, 15, 1, 2, {{ENGINE_READ, 4096, 4096}, {ENGINE_WRITE, 4096, 4096}}},
        {ENGINE_WRITE, 15, 2, 2, {{ENGINE_READ, 4096, 8192}, {ENGINE_WRITE, 4096, 8192}}},
        {ENGINE_WRITE, 8, 9, 2, {{ENGINE_READ, 8192, 4096}, {ENGINE_WRITE, 4096, 8192}}},
        {ENGINE_WRITE, 9, 7 + 8, 2, {{ENGINE_READ, 4096, 4096}, {ENGINE_WRITE, 4096, 8192}}},
        {ENGINE_WRITE,
         15,
         10,
         3,
         {{ENGINE_READ, 4096, 4096}, {ENGINE_READ, 12288, 4096}, {ENGINE_WRITE, 4096, 12288}}},
        {ENGINE_WRITE_ZEROES, 8, 8, 1, {{ENGINE_WRITE_ZEROES, 4096, 4096}}},
        {ENGINE_WRITE_ZEROES, 9, 3, 2, {{ENGINE_READ, 4096, 4096}, {ENGINE_WRITE, 4096, 4096}}},
        {ENGINE_WRITE_ZEROES,
         15,
         2,
         3,
         {{ENGINE_READ, 4096, 8192}, {ENGINE_WRITE, 4096, 4096}, {ENGINE_WRITE, 8192, 4096}}},
        {ENGINE_WRITE_ZEROES,
         15,
         18,
         5,
         {{ENGINE_READ, 4096, 4096},
          {ENGINE_READ, 16384, 4096},
          {ENGINE_WRITE, 4096, 4096},
          {ENGINE_WRITE, 16384, 4096},
          {ENGINE_WRITE_ZEROES, 8192, 8192}}},
        {ENGINE_WRITE_ZEROES,
         8,
         9,
         3,
         {{ENGINE_READ, 8192, 4096},
          {ENGINE_WRITE, 8192, 4096},
          {ENGINE_WRITE_ZEROES, 4096, 4096}}},
        {ENGINE_DISCARD, 8, 8, 1, {{ENGINE_DISCARD, 4096, 4096}}},
        {ENGINE_DISCARD, 7, 10, 1, {{ENGINE_DISCARD, 4096, 4096}}},
        {ENGINE_DISCARD, 8, 15, 1, {{ENGINE_DISCARD, 4096, 4096}}},
        {ENGINE_DISCARD, 9, 14, 0, {{ENGINE_READ, 0, 0}}}, /* no whole block in it */
        {ENGINE_DISCARD, 9, 3, 0, {{ENGINE_READ, 0, 0}}},
        {ENGINE_DISCARD, 9, 0, 0, {{ENGINE_READ, 0, 0}}},
        {ENGINE_WRITE_ZEROES, 9, 0, 0, {{ENGINE_READ, 0, 0}}},
    };

    start_held(rig);
    rig->mem->hold = false;
    unsigned char *memory = rig_memory(16384), *model = rig_memory(65536);
    memset(memory, 0xee, 16384);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool rw = cases[i].op == ENGINE_READ || cases[i].op == ENGINE_WRITE;
        size_t at = cases[i].sector * SECTOR, n = cases[i].sectors * SECTOR;
        memcpy(model, rig->store.bytes, 65536);
        rig->mem->nr_log = 0;
        assert_int_equal(rig_do_simple(rig, cases[i].op, at, n, rw ? memory : NULL), 0);
        expect_log(rig->mem, cases[i].want, cases[i].n);
        if (cases[i].op == ENGINE_READ) {
            assert_memory_equal(memory, model + at, n);
            memset(memory, 0xee, 16384);
        } else if (cases[i].op == ENGINE_DISCARD) {
            if (cases[i].n)
                memset(model + cases[i].want[0].offset, 0xdd, cases[i].want[0].length);
        } else {
            memset(model + at, cases[i].op == ENGINE_WRITE ? 0xee : 0, n);
        }
        assert_memory_equal(rig->store.bytes, model, 65536);
    }
    free(memory);
    free(model);
}

static void vector_is_kept_between_ours(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    start_held(rig);
    rig->mem->hold = false;
    unsigned char *out = rig_memory(20480), *in = rig_memory(20480);
    rig_fill(rig, out, 20480);
    for (unsigned write = 0; write < 2; write++) {
        unsigned char *m = write ? out : in;
        /* 5 + 9 + 1 + 4 sectors from sector 13 on, at odd addresses */
        static const unsigned sectors[] = {5, 9, 1, 4};
        probe_set(&p, write ? ENGINE_WRITE : ENGINE_READ, 13 * SECTOR, 19 * SECTOR, m);
        unsigned char *at = m + 1;
        for (unsigned i = 0; i < 4; at += p.iov[i++].iov_len + 3)
            p.iov[i] = (struct iovec){at, sectors[i] * SECTOR};
        p.io.iovcnt = 4;
        assert_int_equal(rig_do(rig, &p), 0);
        const unsigned char *d = rig->store.bytes + 13 * SECTOR;
        for (unsigned i = 0; i < 4; d += p.iov[i++].iov_len)
            assert_memory_equal(p.iov[i].iov_base, d, p.iov[i].iov_len);
    }
    assert_int_equal(rig->store.bytes[13 * SECTOR - 1], 13);
    assert_int_equal(rig->store.bytes[32 * SECTOR], 33);
    assert_int_equal(in[0], 0x5a);
    free(out);
    free(in);
}

static void longest_vector_passes_and_a_longer_one_is_refused(void **state)
{
    struct rig *rig = *state;
    static struct iovec iov[ENGINE_IOV_MAX + 1];
    struct probe p;

    start_held(rig);
    rig->mem->hold = false;
    size_t bytes = (size_t)ENGINE_IOV_MAX * SECTOR;
    char *memory = rig_memory(bytes + SECTOR);
    rig_fill(rig, memory, bytes);
    for (unsigned i = 0; i <= ENGINE_IOV_MAX; i++)
        iov[i] = (struct iovec){memory + i * SECTOR, SECTOR};
    probe_set(&p, ENGINE_WRITE, SECTOR, bytes, memory);
    p.io.iov = iov;
    p.io.iovcnt = ENGINE_IOV_MAX;
    assert_int_equal(rig_do(rig, &p), 0);
    assert_memory_equal(rig->store.bytes + SECTOR, memory, bytes);
    probe_set(&p, ENGINE_WRITE, SECTOR, bytes + SECTOR, memory);
    p.io.iov = iov;
    p.io.iovcnt = ENGINE_IOV_MAX + 1;
    assert_int_equal(rig_do(rig, &p), -EINVAL);
    free(memory);
}

static void secure_discard_of_part_of_a_block_is_refused(void **state)
{
    struct rig *rig = *state;
    struct engine *engine;
    struct engine_info info;
    struct engine_channel *channel;
    struct probe p;

    start_held(rig);
    struct mem *m = mem_new(rig->store.bytes, STORE_BYTES, false);
    assert_non_null(m);
    m->info.can_discard_secure = true;
    m->keep_log = true;
    assert_int_equal(mem_e512(m, &engine, &info), 0);
    assert_int_equal(rig->ops->channel_open(engine, &rig->ctx, 4, &channel), 0);
    for (unsigned sectors = 8; sectors <= 17; sectors += 9) {
        probe_set(&p, ENGINE_DISCARD, 4096, sectors * SECTOR, NULL);
        p.io.flags = ENGINE_IO_SECURE;
        int ret = rig->ops->submit(channel, &p.io);
        assert_int_equal(ret, sectors % 8 ? -EINVAL : 0);
        if (!ret)
            rig_wait(rig, &p);
    }
    assert_int_equal(m->nr_log, 1);
    rig->ops->channel_close(channel);
    rig->ops->stop(engine);
}

/* ---- who waits for whom ---- */

static void second_ring_waits_for_a_change_of_the_same_block(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe a, b;
    static const struct mem_log want[] = {{ENGINE_READ, 4096, 4096},
                                          {ENGINE_WRITE, 4096, 4096},
                                          {ENGINE_READ, 4096, 4096},
                                          {ENGINE_WRITE, 4096, 4096}};

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(8192);
    memset(memory, 0xaa, SECTOR);
    memset(memory + 4096, 0xbb, SECTOR);
    submit(rig, rig->channel, &a, ENGINE_WRITE, 9, 1, memory);
    submit(rig, s.channel, &b, ENGINE_WRITE, 10, 1, memory + 4096);
    pump(&s.ctx);
    expect_log(rig->mem, want, 1);
    mem_release(rig->mem, 0);
    pump(&rig->ctx);
    pump(&s.ctx);
    expect_log(rig->mem, want, 2);
    assert_int_equal(a.calls, 0);
    mem_release(rig->mem, 0);
    pump(&rig->ctx);
    assert_int_equal(a.calls, 1);
    expect_log(rig->mem, want, 2); /* not on the thread that let go: on its own */
    pump_until(&s.ctx, &rig->mem->nr_log, 3);
    mem_release(rig->mem, 0);
    pump_until(&s.ctx, &rig->mem->nr_log, 4);
    mem_release(rig->mem, 0);
    pump_until(&s.ctx, &b.calls, 1);
    expect_log(rig->mem, want, 4);
    assert_int_equal(a.result | b.result, 0);
    assert_memory_equal(rig->store.bytes + 9 * SECTOR, memory, SECTOR);
    assert_memory_equal(rig->store.bytes + 10 * SECTOR, memory + 4096, SECTOR);
    assert_int_equal(rig->store.bytes[11 * SECTOR], 12);
    second_close(rig, &s);
    free(memory);
}

/* The aligned change was submitted while nothing was unaligned: it took no lock. */
static void aligned_change_in_flight_is_waited_for(void **state)
{
    struct rig *rig = *state;
    static const enum engine_op ops[] = {ENGINE_WRITE, ENGINE_WRITE_ZEROES, ENGINE_DISCARD};
    struct second s;
    struct probe a, b;

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(16384);
    for (unsigned i = 0; i < 3; i++) {
        unsigned char left = ops[i] == ENGINE_WRITE ? 0xaa : ops[i] == ENGINE_DISCARD ? 0xdd : 0;
        rig->mem->nr_log = 0;
        memset(memory, 0xaa, 8192);
        memset(memory + 12288, 0xbb, SECTOR);
        submit(rig, rig->channel, &a, ops[i], 8, 16, ops[i] == ENGINE_WRITE ? memory : NULL);
        submit(rig, s.channel, &b, ENGINE_WRITE, 17, 1, memory + 12288);
        pump(&s.ctx);
        assert_int_equal(rig->mem->nr_log, 1);
        mem_release(rig->mem, 0);
        pump_until(&rig->ctx, &a.calls, 1);
        rig->mem->hold = false;
        pump_until(&s.ctx, &b.calls, 1);
        rig->mem->hold = true;
        assert_int_equal(a.result | b.result, 0);
        for (unsigned sector = 8; sector < 24; sector++)
            assert_int_equal(rig->store.bytes[sector * SECTOR], sector == 17 ? 0xbb : left);
    }
    second_close(rig, &s);
    free(memory);
}

static void aligned_change_waits_and_its_neighbour_does_not(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe rmw, same, other;

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(12288);
    memset(memory, 0xaa, SECTOR);
    memset(memory + 4096, 0xbb, 8192);
    submit(rig, rig->channel, &rmw, ENGINE_WRITE, 9, 1, memory);
    submit(rig, s.channel, &same, ENGINE_WRITE, 8, 8, memory + 4096);
    submit(rig, s.channel, &other, ENGINE_WRITE, 16, 8, memory + 8192);
    pump(&s.ctx);
    assert_int_equal(rig->mem->nr_held, 2);
    mem_release(rig->mem, 1);
    pump_until(&s.ctx, &other.calls, 1);
    assert_int_equal(same.calls, 0);
    rig->mem->hold = false;
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &rmw.calls, 1);
    pump_until(&s.ctx, &same.calls, 1);
    for (unsigned sector = 8; sector < 24; sector++)
        assert_int_equal(rig->store.bytes[sector * SECTOR], 0xbb);
    second_close(rig, &s);
    free(memory);
}

static void those_who_wait_go_in_the_order_they_came(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe p[5];
    static const struct mem_log want[] = {
        {ENGINE_READ, 0, 4096},    {ENGINE_WRITE, 0, 4096}, /* p[0] */
        {ENGINE_WRITE, 0, 4096},   {ENGINE_WRITE, 0, 8192}, /* p[1] and p[2] together */
        {ENGINE_READ, 4096, 4096},                          /* p[4] has waited for p[2] alone */
        {ENGINE_READ, 0, 4096},                             /* p[3] */
    };

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(16384);
    submit(rig, rig->channel, &p[0], ENGINE_WRITE, 1, 1, memory);
    submit(rig, s.channel, &p[1], ENGINE_WRITE, 0, 8, memory);
    submit(rig, s.channel, &p[2], ENGINE_WRITE, 0, 16, memory);
    submit(rig, rig->channel, &p[3], ENGINE_WRITE, 2, 1, memory);
    submit(rig, rig->channel, &p[4], ENGINE_WRITE, 9, 1, memory);
    pump(&s.ctx);
    pump(&rig->ctx);
    expect_log(rig->mem, want, 1);
    mem_release(rig->mem, 0);
    pump(&rig->ctx);
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &p[0].calls, 1);
    pump_until(&s.ctx, &rig->mem->nr_log, 4);
    pump(&rig->ctx);
    expect_log(rig->mem, want, 4);
    mem_release(rig->mem, 1); /* p[2] */
    pump_until(&s.ctx, &p[2].calls, 1);
    pump_until(&rig->ctx, &rig->mem->nr_log, 5);
    mem_release(rig->mem, 0); /* p[1] */
    pump_until(&s.ctx, &p[1].calls, 1);
    pump_until(&rig->ctx, &rig->mem->nr_log, 6);
    expect_log(rig->mem, want, 6);
    rig->mem->hold = false;
    mem_release(rig->mem, 0);
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &p[3].calls, 1);
    pump_until(&rig->ctx, &p[4].calls, 1);
    second_close(rig, &s);
    free(memory);
}

static void reads_wait_for_nothing(void **state)
{
    struct rig *rig = *state;
    struct probe write, reads[2];

    start_held(rig);
    unsigned char *memory = rig_memory(16384);
    submit(rig, rig->channel, &write, ENGINE_WRITE, 9, 1, memory);
    submit(rig, rig->channel, &reads[0], ENGINE_READ, 10, 1, memory + 4096);
    submit(rig, rig->channel, &reads[1], ENGINE_READ, 8, 8, memory + 8192);
    assert_int_equal(rig->mem->nr_held, 3);
    mem_release(rig->mem, 2);
    mem_release(rig->mem, 1);
    pump_until(&rig->ctx, &reads[0].calls, 1);
    pump_until(&rig->ctx, &reads[1].calls, 1);
    assert_int_equal(write.calls, 0);
    assert_int_equal(memory[4096], 11);
    rig->mem->hold = false;
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &write.calls, 1);
    free(memory);
}

static void more_unaligned_ios_than_buffers_wait_in_line(void **state)
{
    struct rig *rig = *state;
    static struct probe p[RIG_DEPTH];

    start_held(rig);
    assert_true(RIG_DEPTH > E512_BUFFERS);
    unsigned char *memory = rig_memory(RIG_DEPTH * 4096);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        memset(memory + i * 4096, (int)(0x80 + i), SECTOR);
        submit(rig, rig->channel, &p[i], ENGINE_WRITE, i * 8 + 3, 1, memory + i * 4096);
    }
    assert_int_equal(rig->mem->nr_held, E512_BUFFERS);
    rig->mem->hold = false;
    while (rig->mem->nr_held)
        mem_release(rig->mem, rig->mem->nr_held - 1);
    for (unsigned i = 0; i < RIG_DEPTH; i++) {
        pump_until(&rig->ctx, &p[i].calls, 1);
        assert_int_equal(p[i].result, 0);
        assert_memory_equal(rig->store.bytes + (i * 8 + 3) * SECTOR, memory + i * 4096, SECTOR);
    }
    pump(&rig->ctx);
    for (unsigned i = 0; i < RIG_DEPTH; i++)
        assert_int_equal(p[i].calls, 1);
    free(memory);
}

/* ---- failure ---- */

/* One of the steps of an I/O from sector 15 of `sectors` fails: the I/O fails with that, and no
 * step after it is tried. Whether complete or refused below. */
static void expect_failure(struct rig *rig, enum engine_op op, unsigned sectors,
                           enum engine_op fail_op, uint64_t fail_at, unsigned want_log)
{
    struct mem *m = rig->mem;
    unsigned char *memory = rig_memory(65536), *model = rig_memory(65536);
    struct probe p;

    memcpy(model, rig->store.bytes, 65536);
    m->fail_op = fail_op;
    m->fail_at = fail_at;
    m->fail_with = -ENODATA;
    for (unsigned refused = 0; refused < 2; refused++) {
        m->fail = !refused;
        m->refuse = refused;
        m->nr_log = 0;
        submit(rig, rig->channel, &p, op, 15, sectors, op == ENGINE_WRITE ? memory : NULL);
        rig_wait(rig, &p);
        assert_int_equal(p.result, -ENODATA);
        assert_int_equal(p.calls, 1);
        assert_int_equal(m->nr_log + refused, want_log);
        if (fail_op == ENGINE_READ)
            assert_memory_equal(rig->store.bytes, model, 65536);
        /* The block is free for others, and the buffer came back. */
        m->fail = m->refuse = false;
        assert_int_equal(rig_do_simple(rig, ENGINE_WRITE, 14 * SECTOR, SECTOR, model), 0);
        memcpy(rig->store.bytes, model, 65536);
    }
    free(memory);
    free(model);
}

static void failed_read_writes_nothing(void **state)
{
    struct rig *rig = *state;

    start_held(rig);
    rig->mem->hold = false;
    expect_failure(rig, ENGINE_WRITE, 1, ENGINE_READ, 4096, 1);
    expect_failure(rig, ENGINE_WRITE, 2, ENGINE_READ, 8192, 1);
    expect_failure(rig, ENGINE_WRITE, 18, ENGINE_READ, 4096, 1);
    expect_failure(rig, ENGINE_WRITE, 18, ENGINE_READ, 16384, 2);
    expect_failure(rig, ENGINE_WRITE_ZEROES, 18, ENGINE_READ, 4096, 1);
    expect_failure(rig, ENGINE_WRITE_ZEROES, 18, ENGINE_READ, 16384, 2);
}

static void failed_write_is_reported(void **state)
{
    struct rig *rig = *state;

    start_held(rig);
    rig->mem->hold = false;
    expect_failure(rig, ENGINE_WRITE, 1, ENGINE_WRITE, 4096, 2);
    expect_failure(rig, ENGINE_WRITE, 18, ENGINE_WRITE, 8192, 3);
    expect_failure(rig, ENGINE_WRITE_ZEROES, 18, ENGINE_WRITE, 4096, 3);
    expect_failure(rig, ENGINE_WRITE_ZEROES, 18, ENGINE_WRITE, 16384, 4);
    expect_failure(rig, ENGINE_WRITE_ZEROES, 18, ENGINE_WRITE_ZEROES, 8192, 5);
    expect_failure(rig, ENGINE_DISCARD, 9, ENGINE_DISCARD, 8192, 1);
}

static void failure_of_one_lets_the_next_go(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe a, b;

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(4096);
    submit(rig, rig->channel, &a, ENGINE_WRITE, 9, 1, memory);
    submit(rig, s.channel, &b, ENGINE_WRITE, 10, 1, memory);
    rig->mem->fail = true;
    rig->mem->fail_op = ENGINE_READ;
    rig->mem->fail_at = 4096;
    rig->mem->fail_with = -EIO;
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &a.calls, 1);
    assert_int_equal(a.result, -EIO);
    rig->mem->fail = rig->mem->hold = false;
    pump_until(&s.ctx, &b.calls, 1);
    assert_int_equal(b.result, 0);
    assert_int_equal(rig->store.bytes[9 * SECTOR], 10);
    assert_int_equal(rig->store.bytes[10 * SECTOR], 0x5a);
    second_close(rig, &s);
    free(memory);
}

/* ---- which disks get it ---- */

static void only_storage_of_4096_byte_blocks_gets_it(void **state)
{
    struct engine_desc desc = {.engine = "uring",
                               .info = {.logical_block = 512, .physical_block = 512}};

    engine_e512_apply(&desc, 0);
    assert_string_equal(desc.engine, "uring");
    desc.info.logical_block = desc.info.physical_block = 4096;
    engine_e512_apply(&desc, ENGINE_OPEN_OWN_BLOCKS);
    assert_string_equal(desc.engine, "uring");
    assert_int_equal(desc.info.logical_block, 4096);
    engine_e512_apply(&desc, ENGINE_OPEN_SHARED);
    assert_string_equal(desc.engine, "e512+uring");
    assert_int_equal(desc.info.logical_block, 512);
    assert_int_equal(desc.info.physical_block, 4096);
    assert_non_null(strstr(desc.info.note, "512e over 4096-byte sectors; shared"));
    assert_string_equal(engine_find(desc.engine)->name, "e512");
}

static void wrong_descriptions_are_not_started(void **state)
{
    static const char *const names[] = {"e512+", "e512+nosuch", "e512+e512+null", "e512"};
    struct errmsg err = {""};
    struct engine *engine;

    for (unsigned i = 0; i < 6; i++) {
        struct engine_desc desc;
        assert_int_equal(engine_find("null")->open("1M", 0, &desc, &err), 0);
        snprintf(desc.engine, sizeof(desc.engine), "%s", i < 4 ? names[i] : "e512+null");
        if (i == 4)
            desc.info.logical_block = 4096;
        if (i == 5)
            desc.info.size_bytes += 512;
        assert_int_equal(engine_e512.start(&desc, &engine, &err), -EINVAL);
        assert_non_null(strstr(err.text, "512e"));
    }
    struct engine_desc desc;
    assert_int_equal(engine_e512.open("/x", 0, &desc, &err), -EINVAL);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(each_io_becomes_the_fewest_in_whole_blocks, STORE_E512_MEM),
        RIG_CASE(vector_is_kept_between_ours, STORE_E512_MEM),
        RIG_CASE(longest_vector_passes_and_a_longer_one_is_refused, STORE_E512_MEM),
        RIG_CASE(secure_discard_of_part_of_a_block_is_refused, STORE_E512_MEM),
        RIG_CASE(second_ring_waits_for_a_change_of_the_same_block, STORE_E512_MEM),
        RIG_CASE(aligned_change_in_flight_is_waited_for, STORE_E512_MEM),
        RIG_CASE(aligned_change_waits_and_its_neighbour_does_not, STORE_E512_MEM),
        RIG_CASE(those_who_wait_go_in_the_order_they_came, STORE_E512_MEM),
        RIG_CASE(reads_wait_for_nothing, STORE_E512_MEM),
        RIG_CASE(more_unaligned_ios_than_buffers_wait_in_line, STORE_E512_MEM),
        RIG_CASE(failed_read_writes_nothing, STORE_E512_MEM),
        RIG_CASE(failed_write_is_reported, STORE_E512_MEM),
        RIG_CASE(failure_of_one_lets_the_next_go, STORE_E512_MEM),
        RIG_CASE(only_storage_of_4096_byte_blocks_gets_it, STORE_NULL),
        RIG_CASE(wrong_descriptions_are_not_started, STORE_NULL),
    };

    return rig_main("512e", cases, sizeof(cases) / sizeof(cases[0]));
}
