/* SPDX-License-Identifier: MIT
 *
 * 512e: which change waits for which. The waiting is seen in what reaches the store, which is
 * memory that holds I/Os back. pthread_mutex_lock is wrapped by the linker (-Wl,--wrap).
 */
#include <stdlib.h>
#include <string.h>

#include "engine/e512.h"
#include "held.h"

static void (*before_lock)(void); /* called once, by whoever is about to take a lock */

int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    void (*call)(void) = before_lock;

    before_lock = NULL;
    if (call)
        call();
    return __real_pthread_mutex_lock(m);
}

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

/* ---- between a shared change's look at the others and its lock ---- */

static struct {
    struct rig *rig;
    struct probe *first, *third;
    void *memory;
    bool end_first;
} meanwhile;

/* A third change finds the second one in its slot, and the first one ends or not. */
static void another_comes(void)
{
    struct rig *rig = meanwhile.rig;

    submit(rig, rig->channel, meanwhile.third, ENGINE_WRITE, 10, 1, meanwhile.memory);
    if (!meanwhile.end_first)
        return;
    mem_release(rig->mem, 0);
    pump(&rig->ctx);
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &meanwhile.first->calls, 1);
}

static void who_is_listed_on_his_way_to_the_lock_goes_once(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe p[3];
    static const struct mem_log want[] = {{ENGINE_READ, 4096, 4096},
                                          {ENGINE_WRITE, 4096, 4096},
                                          {ENGINE_WRITE, 4096, 8192},
                                          {ENGINE_READ, 4096, 4096},
                                          {ENGINE_WRITE, 4096, 4096}};

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(8192);
    /* Waiting comes last: a grant that nobody waited for would show then. */
    for (unsigned wait = 0; wait < 2; wait++) {
        rig->mem->nr_log = 0;
        meanwhile.rig = rig;
        meanwhile.first = &p[0];
        meanwhile.third = &p[2];
        meanwhile.memory = memory;
        meanwhile.end_first = !wait;
        submit(rig, rig->channel, &p[0], ENGINE_WRITE, 9, 1, memory);
        before_lock = another_comes;
        submit(rig, s.channel, &p[1], ENGINE_WRITE, 8, 16, memory);
        assert_null(before_lock);
        if (wait) {
            pump(&s.ctx);
            expect_log(rig->mem, want, 1);
            mem_release(rig->mem, 0);
            pump(&rig->ctx);
            mem_release(rig->mem, 0);
            pump_until(&rig->ctx, &p[0].calls, 1);
        }
        pump_until(&s.ctx, &rig->mem->nr_log, 3);
        pump(&s.ctx);
        pump(&rig->ctx);
        expect_log(rig->mem, want, 3);
        rig->mem->hold = false;
        mem_release(rig->mem, 0);
        pump_until(&s.ctx, &p[1].calls, 1);
        pump_until(&rig->ctx, &p[2].calls, 1);
        expect_log(rig->mem, want, 5);
        rig->mem->hold = true;
    }
    second_close(rig, &s);
    free(memory);
}

/* The one it saw is gone when it has the lock: it does not stay in the list. */
static void nobody_comes(void)
{
    struct rig *rig = meanwhile.rig;

    mem_release(rig->mem, 0);
    pump(&rig->ctx);
    mem_release(rig->mem, 0);
    pump_until(&rig->ctx, &meanwhile.first->calls, 1);
}

static void who_finds_the_others_gone_goes_at_once(void **state)
{
    struct rig *rig = *state;
    struct second s;
    struct probe p[2];

    start_held(rig);
    second_open(rig, &s);
    unsigned char *memory = rig_memory(8192);
    meanwhile.rig = rig;
    meanwhile.first = &p[0];
    submit(rig, rig->channel, &p[0], ENGINE_WRITE, 9, 1, memory);
    before_lock = nobody_comes;
    submit(rig, s.channel, &p[1], ENGINE_WRITE, 8, 16, memory);
    assert_int_equal(rig->mem->nr_log, 3);
    mem_release(rig->mem, 0);
    pump_until(&s.ctx, &p[1].calls, 1);
    const struct e512_engine *e = (const struct e512_engine *)rig->engine;
    assert_null(e->first);
    assert_int_equal(e->nr_exclusive, 0);
    second_close(rig, &s);
    free(memory);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(second_ring_waits_for_a_change_of_the_same_block, STORE_E512_MEM),
        RIG_CASE(aligned_change_in_flight_is_waited_for, STORE_E512_MEM),
        RIG_CASE(aligned_change_waits_and_its_neighbour_does_not, STORE_E512_MEM),
        RIG_CASE(those_who_wait_go_in_the_order_they_came, STORE_E512_MEM),
        RIG_CASE(reads_wait_for_nothing, STORE_E512_MEM),
        RIG_CASE(failure_of_one_lets_the_next_go, STORE_E512_MEM),
        RIG_CASE(who_is_listed_on_his_way_to_the_lock_goes_once, STORE_E512_MEM),
        RIG_CASE(who_finds_the_others_gone_goes_at_once, STORE_E512_MEM),
    };

    return rig_main("512e order", cases, sizeof(cases) / sizeof(cases[0]));
}
