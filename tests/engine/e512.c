/* SPDX-License-Identifier: MIT
 *
 * 512e, step by step: which I/Os reach the store, and what shortage and failure leave.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/e512.h"
#include "held.h"

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

/* ---- shortage ---- */

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
        RIG_CASE(more_unaligned_ios_than_buffers_wait_in_line, STORE_E512_MEM),
        RIG_CASE(failed_read_writes_nothing, STORE_E512_MEM),
        RIG_CASE(failed_write_is_reported, STORE_E512_MEM),
        RIG_CASE(only_storage_of_4096_byte_blocks_gets_it, STORE_NULL),
        RIG_CASE(wrong_descriptions_are_not_started, STORE_NULL),
    };

    return rig_main("512e", cases, sizeof(cases) / sizeof(cases[0]));
}
