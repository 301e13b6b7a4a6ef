/* SPDX-License-Identifier: MIT
 *
 * 512e: which disks get it, and the engine itself. The daemon's open() gives a disk of 4096-byte
 * blocks to it by name (engine_e512_apply), and start() on the worker's side finds by that name
 * what lies below. Threads: see engine.h.
 */
#include "engine/e512.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the daemon's side ---- */

void engine_e512_apply(struct engine_desc *desc, unsigned open_flags)
{
    struct engine_info *info = &desc->info;
    char below[ENGINE_NAME_MAX];

    if (info->logical_block != E512_BLOCK || (open_flags & ENGINE_OPEN_OWN_BLOCKS))
        return;
    snprintf(below, sizeof(below), "%s", desc->engine);
    snprintf(desc->engine, sizeof(desc->engine), "%s%.*s", ENGINE_E512_PREFIX,
             (int)(sizeof(desc->engine) - sizeof(ENGINE_E512_PREFIX)), below);
    info->logical_block = 512;
    if (info->physical_block < E512_BLOCK)
        info->physical_block = E512_BLOCK;
    if (info->can_discard && info->discard_granularity < E512_BLOCK)
        info->discard_granularity = E512_BLOCK;
    engine_note(info, "512e over 4096-byte sectors");
    if (open_flags & ENGINE_OPEN_SHARED)
        engine_note(info, "shared: smaller writes are not ordered with those of other hosts or "
                          "disks");
}

static int e512_open(const char *target, unsigned flags, struct engine_desc *desc,
                     struct errmsg *err)
{
    return errmsg_set(err, -EINVAL, "%s: 512e is not opened by name, it comes with the storage",
                      target);
}

/* ---- the worker's side ---- */

int e512_over(struct engine *below, const struct engine_info *info, struct engine **out,
              struct errmsg *err)
{
    struct e512_engine *e = calloc(1, sizeof(*e));

    if (!e)
        return errmsg_set(err, -ENOMEM, "out of memory");
    e->ops = &engine_e512;
    e->info = *info;
    e->below = below;
    e->below_ops = engine_ops_of(below);
    pthread_mutex_init(&e->lock, NULL);
    *out = (struct engine *)e;
    return 0;
}

static int e512_start(struct engine_desc *desc, struct engine **out, struct errmsg *err)
{
    const size_t prefix = sizeof(ENGINE_E512_PREFIX) - 1;
    const struct engine_info info = desc->info;
    const struct engine_ops *ops = NULL;
    struct engine *below;

    if (strncmp(desc->engine, ENGINE_E512_PREFIX, prefix) == 0) {
        memmove(desc->engine, desc->engine + prefix, sizeof(desc->engine) - prefix);
        ops = engine_find(desc->engine);
    }
    if (!ops || ops == &engine_e512 || info.logical_block != 512 || info.size_bytes % E512_BLOCK) {
        engine_desc_close(desc);
        return errmsg_set(err, -EINVAL, "not the description of a 512e disk");
    }
    desc->info.logical_block = E512_BLOCK;
    int ret = ops->start(desc, &below, err);
    if (ret < 0)
        return ret;
    ret = e512_over(below, &info, out, err);
    if (ret < 0)
        ops->stop(below);
    return ret;
}

static void e512_stop(struct engine *engine)
{
    struct e512_engine *e = (struct e512_engine *)engine;

    e->below_ops->stop(e->below);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- the rings' threads ---- */

static void e512_channel_close(struct engine_channel *channel)
{
    struct e512_channel *ch = (struct e512_channel *)channel;

    e512_ranges_close(ch);
    if (ch->below)
        ch->engine->below_ops->channel_close(ch->below);
    e512_ios_close(ch);
    free(ch);
}

static int e512_channel_open(struct engine *engine, struct ioctx *ctx, unsigned depth,
                             struct engine_channel **out)
{
    struct e512_engine *e = (struct e512_engine *)engine;
    struct e512_channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return -ENOMEM;
    ch->engine = e;
    ch->ctx = ctx;
    ch->event_fd = -1;
    int ret = e512_ios_open(ch, depth);
    if (!ret)
        ret = e->below_ops->channel_open(e->below, ctx, depth, &ch->below);
    if (!ret)
        ret = e512_ranges_open(ch);
    if (ret < 0) {
        e512_channel_close((struct engine_channel *)ch);
        return ret;
    }
    *out = (struct engine_channel *)ch;
    return 0;
}

static void nothing_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);

    io->done(io, res);
}

/* A discard without one whole block in it, or a change of nothing. */
static bool nothing_to_do(const struct engine_io *io)
{
    if (io->op == ENGINE_DISCARD)
        return e512_up(io->offset) >= e512_down(io->offset + io->length);
    return io->op == ENGINE_WRITE_ZEROES && io->length == 0;
}

static int e512_submit(struct engine_channel *channel, struct engine_io *io)
{
    struct e512_channel *ch = (struct e512_channel *)channel;
    int ret = engine_io_check(&ch->engine->info, io);

    if (ret < 0)
        return ret;
    if (io->op == ENGINE_FLUSH || (io->op == ENGINE_READ && e512_aligned(io)))
        return ch->engine->below_ops->submit(ch->below, io);
    /* The edges would not be beyond recovery. */
    if (io->op == ENGINE_DISCARD && (io->flags & ENGINE_IO_SECURE) && !e512_aligned(io))
        return -EINVAL;
    if (io->iovcnt > ENGINE_IOV_MAX)
        return -EINVAL;
    if (nothing_to_do(io)) {
        io->priv.op.done = nothing_done;
        ioctx_later(ch->ctx, &io->priv.op, 0);
        return 0;
    }
    e512_take(ch, io);
    return 0;
}

const struct engine_ops engine_e512 = {
    .name = "e512",
    .open = e512_open,
    .start = e512_start,
    .stop = e512_stop,
    .channel_open = e512_channel_open,
    .channel_close = e512_channel_close,
    .submit = e512_submit,
};
