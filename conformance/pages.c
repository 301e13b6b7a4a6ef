/* SPDX-License-Identifier: MIT
 *
 * Granted pages and what is in them. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

uint8_t *pages_new(struct ctx *c, unsigned n, bool writable, uint32_t *gref)
{
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        struct block *b = &c->blocks[i];
        int rc;

        if (b->n != 0)
            continue;
        rc = hv_share_pages(c->share, c->dev.peer, n, writable, gref, &b->addr);
        require(c, rc == 0, "%u pages cannot be granted: %s", n, strerror(-rc));
        b->n = n;
        return b->addr;
    }
    fail(c, "the case grants more than %d blocks", BLOCKS_MAX);
}

int pages_end(struct ctx *c, void *addr)
{
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        struct block *b = &c->blocks[i];
        int rc;

        if (b->n == 0 || b->addr != addr)
            continue;
        rc = hv_share_end(c->share, addr, b->n);
        if (rc == 0)
            b->n = 0;
        return rc;
    }
    return -EINVAL;
}

void pages_want_end(struct ctx *c, void *addr, const char *when)
{
    int rc = pages_end(c, addr);

    require(c, rc == 0, "%s the backend still maps the pages (%s)", when, strerror(-rc));
}

unsigned pages_end_all(struct ctx *c)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < BLOCKS_MAX; i++)
        if (c->blocks[i].n != 0 && pages_end(c, c->blocks[i].addr) != 0) {
            c->blocks[i].n = 0;
            busy++;
        }
    return busy;
}

static uint32_t word(uint64_t sector, unsigned i, uint32_t seed)
{
    uint64_t x = (sector * 128 + i) * 0x9e3779b97f4a7c15u + seed;

    return (uint32_t)(x ^ x >> 29);
}

void fill(void *to, uint64_t sector, unsigned sectors, uint32_t seed)
{
    uint32_t *words = to;

    for (unsigned s = 0; s < sectors; s++)
        for (unsigned i = 0; i < BLKIF_SECTOR / 4; i++)
            *words++ = word(sector + s, i, seed);
}

bool filled(const void *from, uint64_t sector, unsigned sectors, uint32_t seed)
{
    const uint32_t *words = from;

    for (unsigned s = 0; s < sectors; s++)
        for (unsigned i = 0; i < BLKIF_SECTOR / 4; i++)
            if (*words++ != word(sector + s, i, seed))
                return false;
    return true;
}

/* One request of at most a page, through a page kept for this. */
static void disk_step(struct ctx *c, uint8_t op, uint64_t sector, unsigned n, uint32_t seed)
{
    struct rq rq;

    if (c->disk_page == NULL)
        c->disk_page = pages_new(c, 1, true, &c->disk_gref);
    rq = rq_rw(op, sector, &c->disk_gref, 1);
    rq.seg[0].last_sect = (uint8_t)(n - 1);
    if (op == BLKIF_OP_WRITE)
        fill(c->disk_page, sector, n, seed);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    if (op == BLKIF_OP_READ)
        require(c, filled(c->disk_page, sector, n, seed),
                "sectors %" PRIu64 " to %" PRIu64 " do not hold what was written last", sector,
                sector + n - 1);
}

static void disk_walk(struct ctx *c, uint8_t op, uint64_t sector, unsigned sectors, uint32_t seed)
{
    while (sectors != 0) {
        unsigned n = sectors < PAGE_SECTORS ? sectors : PAGE_SECTORS;

        disk_step(c, op, sector, n, seed);
        sector += n;
        sectors -= n;
    }
}

void disk_fill(struct ctx *c, uint64_t sector, unsigned sectors, uint32_t seed)
{
    disk_walk(c, BLKIF_OP_WRITE, sector, sectors, seed);
}

void disk_want(struct ctx *c, uint64_t sector, unsigned sectors, uint32_t seed)
{
    disk_walk(c, BLKIF_OP_READ, sector, sectors, seed);
}

uint64_t disk_sectors(const struct ctx *c)
{
    return c->offer->info.sectors;
}
