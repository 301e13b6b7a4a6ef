/* SPDX-License-Identifier: MIT
 *
 * An I/O over 512e from its resources (an e512_io, and a buffer if it is unaligned; it waits in
 * line when there is none) through its range and its steps to its callback. The channel's thread;
 * allocates nothing once the channel is open.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/e512.h"

static struct e512_io *e512_io_of(struct engine_io *below)
{
    return (struct e512_io *)((char *)below - offsetof(struct e512_io, below));
}

static bool needs_buffer(const struct engine_io *io)
{
    return io->op != ENGINE_DISCARD && !e512_aligned(io);
}

static void begin(struct e512_channel *ch, struct engine_io *io)
{
    bool unaligned = needs_buffer(io);
    struct e512_io *x = ch->free_io;

    ch->free_io = x->next;
    x->io = io;
    x->buffer = unaligned ? ch->free_buffer[--ch->nr_free_buffers] : NULL;
    e512_plan(x);
    bool go = true;
    if (io->op == ENGINE_DISCARD)
        go = e512_range_begin(x, e512_up(io->offset), e512_down(io->offset + io->length), false);
    else if (io->op != ENGINE_READ)
        go =
            e512_range_begin(x, e512_down(io->offset), e512_up(io->offset + io->length), unaligned);
    if (go)
        e512_run(x);
}

static bool can_begin(const struct e512_channel *ch, const struct engine_io *io)
{
    return ch->free_io && (ch->nr_free_buffers > 0 || !needs_buffer(io));
}

void e512_take(struct e512_channel *ch, struct engine_io *io)
{
    if (can_begin(ch, io)) {
        begin(ch, io);
        return;
    }
    io->priv.next = NULL;
    *ch->waiting_tail = io;
    ch->waiting_tail = &io->priv.next;
}

static void begin_waiting(struct e512_channel *ch)
{
    while (ch->waiting && can_begin(ch, ch->waiting)) {
        struct engine_io *io = ch->waiting;
        ch->waiting = io->priv.next;
        if (!ch->waiting)
            ch->waiting_tail = &ch->waiting;
        begin(ch, io);
    }
}

/* What it held goes to whoever waits, before the callback can submit more. */
static void finish(struct e512_io *x, int result)
{
    struct e512_channel *ch = x->channel;
    struct engine_io *io = x->io;

    if (x->holds_range)
        e512_range_end(x);
    if (x->buffer)
        ch->free_buffer[ch->nr_free_buffers++] = x->buffer;
    x->buffer = NULL;
    x->next = ch->free_io;
    ch->free_io = x;
    begin_waiting(ch);
    io->done(io, result);
}

static void step_done(struct engine_io *below, int result)
{
    struct e512_io *x = e512_io_of(below);

    x->todo &= x->todo - 1;
    if (result < 0 || !x->todo)
        finish(x, result);
    else
        e512_run(x);
}

static void step_refused(struct ioctx_op *op, int res)
{
    finish(e512_io_of(engine_io_of(op)), res);
}

void e512_run(struct e512_io *x)
{
    struct e512_channel *ch = x->channel;

    e512_prepare(x);
    x->below.done = step_done;
    int ret = ch->engine->below_ops->submit(ch->below, &x->below);
    if (ret < 0) { /* perhaps we are inside submit() ourselves */
        x->below.priv.op.done = step_refused;
        ioctx_later(ch->ctx, &x->below.priv.op, ret);
    }
}

static int buffers_open(struct e512_channel *ch, unsigned depth)
{
    unsigned n = depth < E512_BUFFERS ? depth : E512_BUFFERS;

    ch->buffer_bytes = n * E512_BUFFER_BYTES;
    void *memory = mmap(NULL, ch->buffer_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    ch->buffer_memory = memory;
    while (n > 0)
        ch->free_buffer[ch->nr_free_buffers++] =
            (struct e512_buffer *)((char *)memory + --n * E512_BUFFER_BYTES);
    return 0;
}

int e512_ios_open(struct e512_channel *ch, unsigned depth)
{
    depth = depth ? depth : 1;
    ch->waiting_tail = &ch->waiting;
    ch->ios = calloc(depth, sizeof(*ch->ios));
    ch->slots = calloc(depth, sizeof(*ch->slots));
    if (!ch->ios || !ch->slots)
        return -ENOMEM;
    for (unsigned i = depth; i-- > 0;) {
        ch->ios[i].channel = ch;
        ch->ios[i].slot = &ch->slots[i];
        ch->ios[i].next = ch->free_io;
        ch->free_io = &ch->ios[i];
    }
    return buffers_open(ch, depth);
}

void e512_ios_close(struct e512_channel *ch)
{
    if (ch->buffer_memory)
        munmap(ch->buffer_memory, ch->buffer_bytes);
    free(ch->slots);
    free(ch->ios);
}
