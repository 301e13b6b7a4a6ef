/* SPDX-License-Identifier: MIT
 *
 * Several rings of a disk, each on a thread of its own, change neighbouring sectors of the same
 * 4096-byte blocks at random: no update is lost, none is mixed with another.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/e512.h"
#include "rig.h"

#define SECTOR      512u
#define THREADS     4
#define DEPTH       8
#define SECTORS     512u /* of the store that are fought for */
#define CHUNKS_MAX  SECTORS
#define WIDTH_MAX   20u
#define IOS         1500u /* of each thread */
#define BLOCK_PAIRS 6u

struct ring {
    struct rig *rig;
    unsigned index;
    pthread_t thread;
    struct ioctx ctx;
    struct engine_channel *channel;
    uint64_t random;
    unsigned done;
    char failure[160]; /* the first; cmocka's assertions belong to the main thread */
};

static pthread_barrier_t all_open, all_done;

static uint64_t ring_random(struct ring *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static void ring_fail(struct ring *r, const char *what, uint64_t sector)
{
    if (!r->failure[0])
        snprintf(r->failure, sizeof(r->failure), "ring %u: %s, sector %llu", r->index, what,
                 (unsigned long long)sector);
}

static bool ring_begin(struct ring *r, const void *memory)
{
    bool ok = memory && ioctx_open(&r->ctx, 32, NULL) == 0 &&
              r->rig->ops->channel_open(r->rig->engine, &r->ctx, DEPTH, &r->channel) == 0;
    if (!ok)
        ring_fail(r, "cannot begin", 0);
    pthread_barrier_wait(&all_open);
    return ok;
}

/* One completion more or less; lets the other threads run, of which there are more than cores. */
static void ring_pump(struct ring *r)
{
    if (ioctx_enter(&r->ctx, true, UINT64_MAX) < 0)
        ring_fail(r, "ioctx_enter", 0);
    ioctx_reap(&r->ctx);
    if (ring_random(r) % 4 == 0)
        sched_yield();
}

static void ring_end(struct ring *r)
{
    pthread_barrier_wait(&all_done);
    if (!r->channel)
        return;
    r->rig->ops->channel_close(r->channel);
    ioctx_close(&r->ctx);
}

static void ring_submit(struct ring *r, struct probe *p)
{
    if (r->rig->ops->submit(r->channel, &p->io) < 0) {
        ring_fail(r, "submit", p->io.offset / SECTOR);
        p->calls = 1;
    }
}

static void run_rings(struct rig *rig, void *(*const mains[THREADS])(void *))
{
    static struct ring rings[THREADS];
    const struct e512_engine *e = (const struct e512_engine *)rig->engine;

    pthread_barrier_init(&all_open, NULL, THREADS);
    pthread_barrier_init(&all_done, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        rings[i] = (struct ring){.rig = rig, .index = i, .random = 88172645463325252u + i};
        assert_int_equal(pthread_create(&rings[i].thread, NULL, mains[i], &rings[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(rings[i].thread, NULL);
    pthread_barrier_destroy(&all_open);
    pthread_barrier_destroy(&all_done);
    for (unsigned i = 0; i < THREADS; i++)
        if (rings[i].failure[0])
            fail_msg("%s", rings[i].failure);
    assert_int_equal(e->nr_exclusive, 0);
    assert_null(e->first);
    if (rig->mem)
        assert_int_equal(rig->mem->in_flight, 0);
}

/* ---- neighbours: each sector has one owner ---- */

/* Consecutive sectors of one ring; the next ones belong to another. */
struct chunk {
    unsigned first, sectors;
    bool busy;
};

static struct chunk chunks[CHUNKS_MAX];
static unsigned nr_chunks;
static unsigned char model[SECTORS * SECTOR]; /* each part touched by its owner alone */

struct neighbour_io {
    struct probe p;
    struct chunk *chunk; /* NULL: none in flight */
    unsigned char memory[WIDTH_MAX * SECTOR + 8];
};

static void make_chunks(struct rig *rig)
{
    static const unsigned widths[] = {1, 1, 2, 3, 5, WIDTH_MAX};

    nr_chunks = 0;
    for (unsigned at = 0; at < SECTORS;) {
        unsigned n = widths[rig_random(rig) % 6];
        n = n < SECTORS - at ? n : SECTORS - at;
        chunks[nr_chunks++] = (struct chunk){at, n, false};
        at += n;
    }
}

static void neighbour_begin(struct ring *r, struct neighbour_io *io)
{
    static const enum engine_op ops[] = {ENGINE_READ,         ENGINE_WRITE, ENGINE_WRITE,
                                         ENGINE_WRITE_ZEROES, ENGINE_WRITE, ENGINE_DISCARD,
                                         ENGINE_READ,         ENGINE_WRITE};
    enum engine_op op = ops[ring_random(r) % 8];

    do
        io->chunk = &chunks[ring_random(r) % (nr_chunks / THREADS) * THREADS + r->index];
    while (io->chunk->busy);
    io->chunk->busy = true;
    if ((op == ENGINE_DISCARD && !r->rig->mem) || !r->rig->info.can_write_zeroes)
        op = ENGINE_WRITE; /* only that store says what a discarded block reads as */
    unsigned n = 1 + (unsigned)(ring_random(r) % io->chunk->sectors);
    uint64_t first = io->chunk->first + ring_random(r) % (io->chunk->sectors - n + 1);
    bool rw = op == ENGINE_READ || op == ENGINE_WRITE;
    for (unsigned i = 0; i < n * SECTOR; i++)
        io->memory[i] = (unsigned char)(r->random >> i % 57);
    probe_set(&io->p, op, first * SECTOR, n * SECTOR, rw ? io->memory : NULL);
    ring_submit(r, &io->p);
}

static void neighbour_end(struct ring *r, struct neighbour_io *io)
{
    uint64_t at = io->p.io.offset, end = at + io->p.io.length;

    if (io->p.result)
        ring_fail(r, "I/O failed", at / SECTOR);
    if (io->p.io.op == ENGINE_READ && memcmp(io->memory, model + at, end - at))
        ring_fail(r, "not what was written", at / SECTOR);
    if (io->p.io.op == ENGINE_WRITE)
        memcpy(model + at, io->memory, end - at);
    if (io->p.io.op == ENGINE_WRITE_ZEROES)
        memset(model + at, 0, end - at);
    if (io->p.io.op == ENGINE_DISCARD && e512_up(at) < e512_down(end))
        memset(model + e512_up(at), 0xdd, e512_down(end) - e512_up(at));
    io->chunk->busy = false;
    io->chunk = NULL;
    r->done++;
}

static void *neighbour_main(void *arg)
{
    struct ring *r = arg;
    struct neighbour_io *ios = calloc(DEPTH, sizeof(*ios));
    unsigned begun = 0;

    bool ok = ring_begin(r, ios);
    while (ok && r->done < IOS) {
        for (unsigned i = 0; i < DEPTH && begun < IOS; i++)
            if (!ios[i].chunk) {
                neighbour_begin(r, &ios[i]);
                begun++;
            }
        ring_pump(r);
        for (unsigned i = 0; i < DEPTH; i++)
            if (ios[i].chunk && ios[i].p.calls)
                neighbour_end(r, &ios[i]);
    }
    ring_end(r);
    free(ios);
    return NULL;
}

static void neighbouring_sectors_keep_what_their_owners_wrote(void **state)
{
    struct rig *rig = *state;
    void *(*const mains[THREADS])(void *) = {neighbour_main, neighbour_main, neighbour_main,
                                             neighbour_main};

    rig_start(rig, 0);
    if (rig->mem)
        rig->mem->max_delay = 6;
    memset(model, 0, sizeof(model));
    make_chunks(rig);
    run_rings(rig, mains);
    unsigned char *all = rig_memory(SECTORS * SECTOR);
    assert_int_equal(rig_do_simple(rig, ENGINE_READ, 0, SECTORS * SECTOR, all), 0);
    assert_memory_equal(all, model, SECTORS * SECTOR);
    free(all);
}

/* ---- whole blocks against parts of them ---- */

/* Two rings write pairs of blocks as a whole and read them back; two others write some of their
 * sectors meanwhile. Every sector is written with one value, so what is mixed is seen; the sectors
 * that only the whole writes touch must be the last of those. */

#define PAIR_SECTORS 16u
#define PART_FIRST   6u /* of the pair: on both sides of the blocks' border */
#define PART_SECTORS 4u

struct pair_io {
    struct probe p;
    bool reading;
    unsigned char value;
    unsigned char memory[PAIR_SECTORS * SECTOR];
};

static void whole_check(struct ring *r, const struct pair_io *io)
{
    for (unsigned s = 0; s < PAIR_SECTORS; s++) {
        const unsigned char *at = io->memory + s * SECTOR;
        bool shared = s >= PART_FIRST && s < PART_FIRST + PART_SECTORS;
        /* A sector that is read while it is written may be torn, though not in memory. */
        if (memcmp(at, at + 1, SECTOR - 1) && (!shared || r->rig->mem))
            ring_fail(r, "two writes mixed", s);
        else if (*at != io->value && (!shared || *at < 0x80))
            ring_fail(r, "an update is lost", s);
    }
}

/* The pairs of ring r are r->index % 2 apart. */
static uint64_t pair_at(const struct ring *r, unsigned i)
{
    return (uint64_t)(2 * i + r->index % 2) * PAIR_SECTORS * SECTOR;
}

static void *whole_main(void *arg)
{
    struct ring *r = arg;
    struct pair_io *ios = calloc(BLOCK_PAIRS, sizeof(*ios));

    unsigned running = ring_begin(r, ios) ? BLOCK_PAIRS : 0;
    for (unsigned i = 0; i < running; i++) {
        ios[i].reading = true;
        ios[i].p.calls = 1;
    }
    while (running > 0) {
        for (unsigned i = 0; i < BLOCK_PAIRS; i++) {
            struct pair_io *io = &ios[i];
            if (!io->p.calls)
                continue;
            if (io->p.result)
                ring_fail(r, "I/O failed", i);
            if (io->reading)
                whole_check(r, io);
            if (io->reading && r->done++ >= IOS / 2) {
                io->p.calls = 0;
                running--;
                continue;
            }
            io->reading = !io->reading;
            if (!io->reading) {
                io->value = (unsigned char)(1 + ring_random(r) % 0x7f);
                memset(io->memory, io->value, sizeof(io->memory));
            }
            probe_set(&io->p, io->reading ? ENGINE_READ : ENGINE_WRITE, pair_at(r, i),
                      sizeof(io->memory), io->memory);
            ring_submit(r, &io->p);
        }
        if (running)
            ring_pump(r);
    }
    ring_end(r);
    free(ios);
    return NULL;
}

static void *part_main(void *arg)
{
    struct ring *r = arg;
    struct pair_io *ios = calloc(BLOCK_PAIRS, sizeof(*ios));

    unsigned running = ring_begin(r, ios) ? BLOCK_PAIRS : 0;
    for (unsigned i = 0; i < running; i++)
        ios[i].p.calls = 1;
    while (running > 0) {
        for (unsigned i = 0; i < BLOCK_PAIRS; i++) {
            struct pair_io *io = &ios[i];
            if (!io->p.calls)
                continue;
            if (io->p.result)
                ring_fail(r, "I/O failed", i);
            if (r->done++ >= IOS) {
                io->p.calls = 0;
                running--;
                continue;
            }
            unsigned first = PART_FIRST + (unsigned)(ring_random(r) % PART_SECTORS);
            unsigned n = 1 + (unsigned)(ring_random(r) % (PART_FIRST + PART_SECTORS - first));
            memset(io->memory, (int)(0x80 + ring_random(r) % 0x80), n * SECTOR);
            probe_set(&io->p, ENGINE_WRITE, pair_at(r, i) + first * SECTOR, n * SECTOR, io->memory);
            ring_submit(r, &io->p);
        }
        if (running)
            ring_pump(r);
    }
    ring_end(r);
    free(ios);
    return NULL;
}

static void whole_blocks_and_parts_of_them_do_not_mix(void **state)
{
    struct rig *rig = *state;
    void *(*const mains[THREADS])(void *) = {whole_main, whole_main, part_main, part_main};

    rig_start(rig, 0);
    if (rig->mem)
        rig->mem->max_delay = 6;
    run_rings(rig, mains);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(neighbouring_sectors_keep_what_their_owners_wrote, STORE_E512_MEM),
        RIG_CASE(neighbouring_sectors_keep_what_their_owners_wrote, STORE_E512_LOOP),
        RIG_CASE(neighbouring_sectors_keep_what_their_owners_wrote, STORE_E512_FILE),
        RIG_CASE(whole_blocks_and_parts_of_them_do_not_mix, STORE_E512_MEM),
        RIG_CASE(whole_blocks_and_parts_of_them_do_not_mix, STORE_E512_LOOP),
        RIG_CASE(whole_blocks_and_parts_of_them_do_not_mix, STORE_E512_FILE),
    };

    return rig_main("512e race", cases, sizeof(cases) / sizeof(cases[0]));
}
