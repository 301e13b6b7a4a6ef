/* SPDX-License-Identifier: MIT
 *
 * See held.h.
 */
#include "held.h"

void second_open(struct rig *rig, struct second *s)
{
    assert_int_equal(ioctx_open(&s->ctx, 64, NULL), 0);
    assert_int_equal(rig->ops->channel_open(rig->engine, &s->ctx, RIG_DEPTH, &s->channel), 0);
}

void second_close(struct rig *rig, struct second *s)
{
    rig->ops->channel_close(s->channel);
    ioctx_close(&s->ctx);
}

void pump(struct ioctx *ctx)
{
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ioctx_enter(ctx, false, 0), 0);
        ioctx_reap(ctx);
    }
}

void pump_until(struct ioctx *ctx, const unsigned *count, unsigned at_least)
{
    while (*count < at_least) {
        assert_int_equal(ioctx_enter(ctx, true, UINT64_MAX), 0);
        ioctx_reap(ctx);
    }
}

void start_held(struct rig *rig)
{
    rig_start(rig, 0);
    for (size_t i = 0; i < STORE_BYTES; i++)
        rig->store.bytes[i] = (unsigned char)(i / SECTOR + 1);
    rig->mem->hold = rig->mem->keep_log = true;
}

void submit(struct rig *rig, struct engine_channel *ch, struct probe *p, enum engine_op op,
            uint64_t sector, uint64_t sectors, void *memory)
{
    probe_set(p, op, sector * SECTOR, sectors * SECTOR, memory);
    assert_int_equal(rig->ops->submit(ch, &p->io), 0);
    assert_int_equal(p->calls, 0);
}

void expect_log(const struct mem *m, const struct mem_log *want, unsigned n)
{
    assert_int_equal(m->nr_log, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(m->log[i].op, want[i].op);
        assert_int_equal(m->log[i].offset, want[i].offset);
        assert_int_equal(m->log[i].length, want[i].length);
    }
}
