/* SPDX-License-Identifier: MIT
 *
 * null:SIZE is a disk of that size that forgets what is written and reads as zeroes. It measures
 * everything but the storage. A read fills the memory: what was in it before must not reach the
 * guest. Answers come from the next ioctx_reap(), as with a real disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engines.h"

struct null_engine {
    const struct engine_ops *ops;
    struct engine_info info;
};

struct null_channel {
    struct null_engine *engine;
    struct ioctx *ctx;
};

/* "10G", "1048576": bytes, with a binary suffix K, M, G or T. */
static int parse_bytes(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMGT";
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    const char *suffix = *p ? strchr(suffixes, *p) : NULL;
    if (suffix) {
        unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
        if (n > (UINT64_MAX >> shift))
            return -ERANGE;
        n <<= shift;
        p++;
    }
    if (*p)
        return -EINVAL;
    if (n > INT64_MAX)
        return -ERANGE;
    *out = n;
    return 0;
}

static int null_open(const char *target, unsigned flags, struct engine_desc *desc,
                     struct errmsg *err)
{
    uint64_t bytes = 0;
    int ret = parse_bytes(target, &bytes);
    if (ret < 0 || bytes == 0 || bytes % 512)
        return errmsg_set(err, ret < 0 ? ret : -EINVAL,
                          "null:%s is no disk size; write for example null:10G (suffixes K, M, G, "
                          "T; a multiple of 512 bytes)",
                          target);
    bool writable = !(flags & ENGINE_OPEN_READ_ONLY);
    *desc = (struct engine_desc){
        .info = {.size_bytes = bytes,
                 .logical_block = 512,
                 .physical_block = 512,
                 .memory_align = 1,
                 .discard_granularity = writable ? 512 : 0,
                 .read_only = !writable,
                 .can_flush = true,
                 .can_discard = writable,
                 .can_write_zeroes = writable,
                 .note = "null: what is written is forgotten"},
    };
    snprintf(desc->engine, sizeof(desc->engine), "null");
    return 0;
}

static int null_start(struct engine_desc *desc, struct engine **out, struct errmsg *err)
{
    uint32_t nr_fds = desc->nr_fds;
    uint32_t block = desc->info.logical_block;
    engine_desc_close(desc);
    if (nr_fds != 0 || (block != 512 && block != 4096))
        return errmsg_set(err, -EINVAL, "not the description of a null disk");
    struct null_engine *e = malloc(sizeof(*e));
    if (!e)
        return errmsg_set(err, -ENOMEM, "out of memory");
    *e = (struct null_engine){.ops = &engine_null, .info = desc->info};
    *out = (struct engine *)e;
    return 0;
}

static void null_stop(struct engine *engine)
{
    free(engine);
}

static int null_channel_open(struct engine *engine, struct ioctx *ctx, unsigned depth,
                             struct engine_channel **out)
{
    struct null_channel *ch = malloc(sizeof(*ch));
    if (!ch)
        return -ENOMEM;
    *ch = (struct null_channel){.engine = (struct null_engine *)engine, .ctx = ctx};
    *out = (struct engine_channel *)ch;
    return 0;
}

static void null_channel_close(struct engine_channel *channel)
{
    free(channel);
}

static void null_done(struct ioctx_op *op, int res)
{
    struct engine_io *io = engine_io_of(op);
    io->done(io, res);
}

static int null_submit(struct engine_channel *channel, struct engine_io *io)
{
    struct null_channel *ch = (struct null_channel *)channel;
    int ret = engine_io_check(&ch->engine->info, io);
    if (ret < 0)
        return ret;
    if (io->op == ENGINE_READ)
        for (unsigned i = 0; i < io->iovcnt; i++)
            memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
    io->priv.op.done = null_done;
    ioctx_later(ch->ctx, &io->priv.op, 0);
    return 0;
}

const struct engine_ops engine_null = {
    .name = "null",
    .open = null_open,
    .start = null_start,
    .stop = null_stop,
    .channel_open = null_channel_open,
    .channel_close = null_channel_close,
    .submit = null_submit,
};
