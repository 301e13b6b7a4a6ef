/* SPDX-License-Identifier: MIT
 *
 * See mem.h.
 */
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/e512.h"

struct mem_channel {
    struct mem *mem;
    struct ioctx *ctx;
    uint64_t random;
};

static const struct engine_ops mem_ops;

struct mem *mem_new(unsigned char *bytes, uint64_t size_bytes, bool read_only)
{
    struct mem *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->ops = &mem_ops;
    m->bytes = bytes;
    m->info = (struct engine_info){
        .size_bytes = size_bytes,
        .logical_block = MEM_BLOCK,
        .physical_block = MEM_BLOCK,
        .memory_align = 1,
        .discard_granularity = read_only ? 0 : MEM_BLOCK,
        .read_only = read_only,
        .can_flush = true,
        .can_discard = !read_only,
        .can_write_zeroes = !read_only,
    };
    for (unsigned i = 0; i < MEM_LOCKS; i++)
        pthread_spin_init(&m->lock[i], PTHREAD_PROCESS_PRIVATE);
    return m;
}

int mem_e512(struct mem *m, struct engine **out, struct engine_info *info)
{
    struct engine_desc desc = {.engine = "mem", .info = m->info};

    engine_e512_apply(&desc, 0);
    *info = desc.info;
    return e512_over((struct engine *)m, &desc.info, out, NULL);
}

static void mem_stop(struct engine *engine)
{
    struct mem *m = (struct mem *)engine;

    for (unsigned i = 0; i < MEM_LOCKS; i++)
        pthread_spin_destroy(&m->lock[i]);
    free(m);
}

static int mem_channel_open(struct engine *engine, struct ioctx *ctx, unsigned depth,
                            struct engine_channel **out)
{
    struct mem_channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return -ENOMEM;
    ch->mem = (struct mem *)engine;
    ch->ctx = ctx;
    ch->random = (uintptr_t)ch | 1;
    *out = (struct engine_channel *)ch;
    return 0;
}

static void mem_channel_close(struct engine_channel *channel)
{
    free(channel);
}

/* A block at a time, as a disk does it. */
static void copy(struct mem *m, const struct engine_io *io)
{
    uint64_t at = io->offset;

    for (unsigned i = 0; i < io->iovcnt; i++) {
        char *base = io->iov[i].iov_base;
        size_t left = io->iov[i].iov_len;
        while (left > 0) {
            size_t n = MEM_BLOCK - at % MEM_BLOCK;
            n = n < left ? n : left;
            pthread_spinlock_t *lock = &m->lock[at / MEM_BLOCK % MEM_LOCKS];
            pthread_spin_lock(lock);
            if (io->op == ENGINE_READ)
                memcpy(base, m->bytes + at, n);
            else
                memcpy(m->bytes + at, base, n);
            pthread_spin_unlock(lock);
            at += n;
            base += n;
            left -= n;
        }
    }
}

static void fill(struct mem *m, const struct engine_io *io)
{
    for (uint64_t at = io->offset; at < io->offset + io->length; at += MEM_BLOCK) {
        pthread_spinlock_t *lock = &m->lock[at / MEM_BLOCK % MEM_LOCKS];
        pthread_spin_lock(lock);
        memset(m->bytes + at, io->op == ENGINE_DISCARD ? 0xdd : 0, MEM_BLOCK);
        pthread_spin_unlock(lock);
    }
}

static bool fails(const struct mem *m, const struct engine_io *io)
{
    return io->op == m->fail_op && m->fail_at >= io->offset && m->fail_at < io->offset + io->length;
}

static void complete(struct mem *m, struct engine_io *io)
{
    int result = 0;

    if (m->fail && fails(m, io))
        result = m->fail_with;
    else if (io->op == ENGINE_WRITE)
        copy(m, io);
    else if (io->op == ENGINE_DISCARD || io->op == ENGINE_WRITE_ZEROES)
        fill(m, io);
    __atomic_fetch_sub(&m->in_flight, 1, __ATOMIC_RELAXED);
    io->done(io, result);
}

static struct engine_io *io_of(struct ioctx_op *op)
{
    return (struct engine_io *)((char *)op - offsetof(struct engine_io, priv.op));
}

static void round_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = io_of(op);
    struct mem_channel *ch = io->priv.channel;

    if (io->priv.word[0]-- > 0)
        ioctx_later(ch->ctx, op, 0);
    else
        complete(ch->mem, io);
}

static int mem_submit(struct engine_channel *channel, struct engine_io *io)
{
    struct mem_channel *ch = (struct mem_channel *)channel;
    struct mem *m = ch->mem;

    if ((io->offset | io->length) % MEM_BLOCK || io->iovcnt > IOV_MAX) {
        __atomic_fetch_add(&m->violations, 1, __ATOMIC_RELAXED);
        return -EINVAL;
    }
    int ret = engine_io_check(&m->info, io);
    if (ret < 0)
        return ret;
    if (m->refuse && fails(m, io))
        return m->fail_with;
    if (m->keep_log && m->nr_log < MEM_LOG_MAX)
        m->log[m->nr_log++] = (struct mem_log){io->op, io->offset, io->length};
    __atomic_fetch_add(&m->in_flight, 1, __ATOMIC_RELAXED);
    if (io->op == ENGINE_READ)
        copy(m, io);
    io->priv.channel = ch;
    io->priv.op.done = round_done;
    io->priv.word[0] = 0;
    if (m->hold) {
        m->held[m->nr_held++] = io;
        return 0;
    }
    if (m->max_delay) {
        ch->random = ch->random * 6364136223846793005u + 1442695040888963407u;
        io->priv.word[0] = (ch->random >> 33) % m->max_delay;
    }
    ioctx_later(ch->ctx, &io->priv.op, 0);
    return 0;
}

void mem_release(struct mem *m, unsigned i)
{
    struct engine_io *io = m->held[i];
    struct mem_channel *ch = io->priv.channel;

    m->nr_held--;
    memmove(&m->held[i], &m->held[i + 1], (m->nr_held - i) * sizeof(m->held[0]));
    ioctx_later(ch->ctx, &io->priv.op, 0);
}

static const struct engine_ops mem_ops = {
    .name = "mem",
    .stop = mem_stop,
    .channel_open = mem_channel_open,
    .channel_close = mem_channel_close,
    .submit = mem_submit,
};
