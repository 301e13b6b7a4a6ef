/* SPDX-License-Identifier: MIT
 *
 * Which I/Os of whole blocks make up one that is not. All that is to be read is read before
 * anything is written, so that a failed read leaves the storage as it was.
 *
 * Reads and writes go below as one I/O whose vector has private memory before and behind the
 * caller's, up to the bounds of blocks. Pure.
 */
#include <string.h>

#include "engine/e512.h"

/* In the order they are done. */
enum step {
    STEP_PASS,       /* the I/O as it is */
    STEP_READ_FIRST, /* its first block */
    STEP_READ_LAST,
    STEP_READ_BOTH, /* there are no others */
    STEP_MOVE,      /* all blocks, with the caller's memory between ours */
    STEP_WRITE_FIRST,
    STEP_WRITE_LAST,
    STEP_ZERO_MIDDLE, /* what is between those two */
};

#define BIT(step) (1u << (step))

/* An unaligned I/O's place. First and last block are the same where there is but one. */
struct place {
    uint64_t start, end;       /* bytes, whole blocks */
    unsigned before, behind;   /* bytes of the first and the last block that are not the caller's */
    unsigned char *last_block; /* where it is kept */
};

static struct place place_of(const struct e512_io *x)
{
    const struct engine_io *io = x->io;
    struct place p = {.start = e512_down(io->offset), .end = e512_up(io->offset + io->length)};

    p.before = (unsigned)(io->offset - p.start);
    p.behind = (unsigned)(p.end - io->offset - io->length);
    p.last_block = x->buffer->block[p.end - p.start > E512_BLOCK];
    return p;
}

static void set(struct e512_io *x, enum engine_op op, uint64_t offset, uint64_t length)
{
    x->below.op = op;
    x->below.offset = offset;
    x->below.length = length;
    x->below.iov = NULL;
    x->below.iovcnt = 0;
}

static void set_blocks(struct e512_io *x, enum engine_op op, uint64_t offset, unsigned char *memory,
                       uint64_t length)
{
    set(x, op, offset, length);
    x->buffer->iov[0] = (struct iovec){memory, length};
    x->below.iov = x->buffer->iov;
    x->below.iovcnt = 1;
}

static void set_pass(struct e512_io *x)
{
    const struct engine_io *io = x->io;
    uint64_t start = io->offset, end = io->offset + io->length;

    if (io->op == ENGINE_DISCARD) { /* only the blocks that are in it as a whole */
        start = e512_up(start);
        end = e512_down(end);
    }
    set(x, io->op, start, end - start);
    x->below.flags = io->flags;
    x->below.iov = io->iov;
    x->below.iovcnt = io->iovcnt;
}

static void set_move(struct e512_io *x, const struct place *p)
{
    struct iovec *v = x->buffer->iov;
    unsigned n = 0;

    if (p->before)
        v[n++] = (struct iovec){x->buffer->block[0], p->before};
    memcpy(&v[n], x->io->iov, x->io->iovcnt * sizeof(*v));
    n += x->io->iovcnt;
    if (p->behind)
        v[n++] = (struct iovec){p->last_block + E512_BLOCK - p->behind, p->behind};
    set(x, x->io->op, p->start, p->end - p->start);
    x->below.iov = v;
    x->below.iovcnt = n;
}

static void set_zeroed_first(struct e512_io *x, const struct place *p)
{
    unsigned char *block = x->buffer->block[0];
    uint64_t length = x->io->length;

    if (length > E512_BLOCK - p->before)
        length = E512_BLOCK - p->before;
    memset(block + p->before, 0, length);
    set_blocks(x, ENGINE_WRITE, p->start, block, E512_BLOCK);
}

static void set_zeroed_last(struct e512_io *x, const struct place *p)
{
    memset(p->last_block, 0, E512_BLOCK - p->behind);
    set_blocks(x, ENGINE_WRITE, p->end - E512_BLOCK, p->last_block, E512_BLOCK);
}

void e512_prepare(struct e512_io *x)
{
    enum step step = (enum step)__builtin_ctz(x->todo);

    x->below.flags = 0;
    if (step == STEP_PASS) {
        set_pass(x);
        return;
    }
    struct place p = place_of(x);
    switch (step) {
    case STEP_READ_FIRST:
        set_blocks(x, ENGINE_READ, p.start, x->buffer->block[0], E512_BLOCK);
        break;
    case STEP_READ_LAST:
        set_blocks(x, ENGINE_READ, p.end - E512_BLOCK, p.last_block, E512_BLOCK);
        break;
    case STEP_READ_BOTH:
        set_blocks(x, ENGINE_READ, p.start, x->buffer->block[0], 2 * E512_BLOCK);
        break;
    case STEP_WRITE_FIRST:
        set_zeroed_first(x, &p);
        break;
    case STEP_WRITE_LAST:
        set_zeroed_last(x, &p);
        break;
    case STEP_ZERO_MIDDLE:
        p.start += p.before ? E512_BLOCK : 0;
        p.end -= p.behind ? E512_BLOCK : 0;
        set(x, ENGINE_WRITE_ZEROES, p.start, p.end - p.start);
        break;
    default:
        set_move(x, &p);
    }
}

static unsigned plan_change(const struct e512_io *x)
{
    struct place p = place_of(x);
    uint64_t blocks = (p.end - p.start) / E512_BLOCK;
    bool first = p.before || (blocks == 1 && p.behind);
    bool last = p.behind && blocks > 1;
    unsigned todo;

    if (first && last && blocks == 2)
        todo = BIT(STEP_READ_BOTH);
    else
        todo = (first ? BIT(STEP_READ_FIRST) : 0) | (last ? BIT(STEP_READ_LAST) : 0);
    if (x->io->op == ENGINE_WRITE)
        return todo | BIT(STEP_MOVE);
    todo |= (first ? BIT(STEP_WRITE_FIRST) : 0) | (last ? BIT(STEP_WRITE_LAST) : 0);
    return todo | (blocks > (uint64_t)first + last ? BIT(STEP_ZERO_MIDDLE) : 0);
}

void e512_plan(struct e512_io *x)
{
    if (!x->buffer)
        x->todo = BIT(STEP_PASS);
    else if (x->io->op == ENGINE_READ)
        x->todo = BIT(STEP_MOVE);
    else
        x->todo = plan_change(x);
}
