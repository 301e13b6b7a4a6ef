/* SPDX-License-Identifier: MIT
 *
 * A struct blkfront_io becomes a request on the ring.
 *
 * Threads: the queue's.
 */
#include <string.h>

#include "front/internal.h"

/* What each public operation is on the ring. */
static const struct {
    uint8_t operation;
    uint8_t discard_flag;
    bool data;     /* nr_sectors are carried in segments */
    bool no_data;  /* and may be none */
    bool indirect; /* may be sent as an indirect request */
    bool to_disk;
} ops[] = {
    [BLKFRONT_READ] = {.operation = BLKIF_OP_READ, .data = true, .indirect = true},
    [BLKFRONT_WRITE] = {.operation = BLKIF_OP_WRITE,
                        .data = true,
                        .indirect = true,
                        .to_disk = true},
    [BLKFRONT_FLUSH] = {.operation = BLKIF_OP_FLUSH,
                        .data = true,
                        .no_data = true,
                        .to_disk = true},
    [BLKFRONT_BARRIER] = {.operation = BLKIF_OP_WRITE_BARRIER,
                          .data = true,
                          .no_data = true,
                          .to_disk = true},
    [BLKFRONT_DISCARD] = {.operation = BLKIF_OP_DISCARD},
    [BLKFRONT_DISCARD_SECURE] = {.operation = BLKIF_OP_DISCARD,
                                 .discard_flag = BLKIF_DISCARD_SECURE},
};

static uint32_t pages_of(const struct blkfront_io *io)
{
    if (!ops[io->op].data)
        return 0;
    return (uint32_t)((io->nr_sectors + FRONT_SECTORS_PER_PAGE - 1) / FRONT_SECTORS_PER_PAGE);
}

static int check(const struct front_queue *q, const struct blkfront_io *io)
{
    uint32_t segs;

    if ((unsigned)io->op >= sizeof(ops) / sizeof(ops[0]))
        return -EINVAL;
    if (!ops[io->op].data)
        return 0;
    if (io->nr_sectors == 0)
        return ops[io->op].no_data ? 0 : -EINVAL;
    segs = ops[io->op].indirect ? q->bf->segs_max : BLKIF_SEGS_PER_REQUEST;
    return io->nr_sectors <= (uint64_t)segs * FRONT_SECTORS_PER_PAGE ? 0 : -EINVAL;
}

static void copy_out(const struct front_shadow *s, const struct blkfront_io *io)
{
    const uint8_t *from = io->buf;
    size_t left = (size_t)io->nr_sectors * BLKIF_SECTOR;

    for (uint32_t i = 0; i < s->nr_pages; i++) {
        size_t n = left < HV_PAGE ? left : HV_PAGE;

        memcpy(s->pages[i].addr, from, n);
        from += n;
        left -= n;
    }
}

static void fill_segments(struct blkif_segment *seg, const struct front_shadow *s,
                          uint64_t nr_sectors)
{
    for (uint32_t i = 0; i < s->nr_pages; i++) {
        uint64_t left = nr_sectors - (uint64_t)i * FRONT_SECTORS_PER_PAGE;

        seg[i] = (struct blkif_segment){
            .gref = s->pages[i].gref,
            .first_sect = 0,
            .last_sect =
                (uint8_t)(left < FRONT_SECTORS_PER_PAGE ? left - 1 : FRONT_SECTORS_PER_PAGE - 1)};
    }
}

/* Pages for data and, beyond what fits in a slot, for segments. */
static int prepare(struct front_queue *q, struct front_shadow *s, const struct blkfront_io *io)
{
    uint32_t n = pages_of(io);
    /* A backend only reads what is written: such pages are granted read-only where they are not
     * used again for something else. */
    int rc = front_take_pages(q, s, n, !ops[io->op].to_disk);

    if (rc == 0 && n > BLKIF_SEGS_PER_REQUEST)
        rc = front_indirect_pages(q, s);
    if (rc < 0)
        front_give_pages(q, s);
    return rc;
}

static void put(struct front_queue *q, uint32_t index, struct front_shadow *s,
                const struct blkfront_io *io)
{
    bool indirect = s->nr_pages > BLKIF_SEGS_PER_REQUEST;
    struct front_request req = {
        .operation = ops[io->op].operation,
        .nr_segments = (uint16_t)s->nr_pages,
        .handle = (uint16_t)q->bf->opt.devid,
        .discard_flag = ops[io->op].discard_flag,
        .id = (uint64_t)s->generation << 32 | index,
        .sector = io->sector,
        .nr_sectors = io->nr_sectors,
        .grefs = indirect ? s->indirect_refs : NULL,
    };
    struct blkif_segment *seg;

    seg = q->bf->abi->put(fring_slot(&q->ring, q->ring.req_prod_pvt), &req);
    if (indirect)
        seg = s->indirect;
    if (seg != NULL)
        fill_segments(seg, s, io->nr_sectors);
}

int blkfront_submit(struct blkfront *bf, uint32_t queue, struct blkfront_io *io)
{
    struct front_queue *q = &bf->queues[queue];
    uint32_t index = q->free_shadow;
    struct front_shadow *s;
    int rc;

    if (q->dead)
        return -EPROTO;
    rc = check(q, io);
    if (rc < 0)
        return rc;
    if (fring_free(&q->ring) == 0 || index == q->ring.entries)
        return -EAGAIN;
    s = &q->shadows[index];
    rc = prepare(q, s, io);
    if (rc < 0)
        return rc;
    if (ops[io->op].to_disk && io->buf != NULL)
        copy_out(s, io);

    q->free_shadow = s->next_free;
    s->generation++;
    s->io = io;
    s->operation = ops[io->op].operation;
    put(q, index, s, io);
    q->ring.req_prod_pvt++;
    q->in_flight++;
    return 0;
}

void blkfront_kick(struct blkfront *bf, uint32_t queue)
{
    struct front_queue *q = &bf->queues[queue];

    if (!q->dead && fring_push(&q->ring))
        hv_evtchn_notify(q->ev);
}
