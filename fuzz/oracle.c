/* SPDX-License-Identifier: MIT
 *
 * See oracle.h. Threads: any (no state).
 */
#include "oracle.h"

#include <string.h>

typedef unsigned __int128 wide;

static uint64_t number(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

void oracle_decode(enum blkif_abi abi, const void *slot, struct wish *out)
{
    const uint8_t *p = slot;
    bool narrow = abi == BLKIF_ABI_X86_32;
    const uint8_t *tail = p + (narrow ? 20 : 24);

    memset(out, 0, sizeof(*out));
    out->op = out->echo = p[0];
    out->id = number(p + (narrow ? 4 : 8), 8);
    out->sector = number(p + (narrow ? 12 : 16), 8);
    if (out->op == 5) {
        out->flag = p[1];
        out->nr_sectors = number(tail, 8);
    } else if (out->op == 6) {
        out->indirect = true;
        out->echo = p[1];
        out->n = (uint32_t)number(p + 2, 2);
        for (unsigned i = 0; i < 8; i++)
            out->grefs[i] = (uint32_t)number(tail + 4 + i * 4, 4);
    } else {
        out->n = p[1];
        for (unsigned i = 0; i < 11; i++)
            out->seg[i] = (struct blkif_segment){.gref = (uint32_t)number(tail + i * 8, 4),
                                                 .first_sect = tail[i * 8 + 4],
                                                 .last_sect = tail[i * 8 + 5]};
    }
    out->writes = out->echo >= 1 && out->echo <= 3 && out->n > 0;
}

static unsigned range(wide sector, wide n, const struct blkif_limits *l)
{
    if (sector + n > (wide)l->nr_sectors)
        return MAY_ERROR;
    if (l->block_sectors && (sector % l->block_sectors || n % l->block_sectors))
        return MAY_ERROR;
    return MAY_OKAY;
}

unsigned oracle_segments(const struct blkif_segment *seg, uint32_t n, uint64_t sector,
                         const struct blkif_limits *limits, uint64_t *sectors)
{
    wide sum = 0;

    if (n == 0 || n > 4096)
        return MAY_ERROR;
    for (uint32_t i = 0; i < n; i++) {
        if (seg[i].first_sect > 7 || seg[i].last_sect > 7 || seg[i].last_sect < seg[i].first_sect)
            return MAY_ERROR;
        sum += (wide)(seg[i].last_sect - seg[i].first_sect) + 1;
    }
    *sectors = (uint64_t)sum;
    return range(sector, sum, limits);
}

static unsigned direct(const struct wish *w, const struct blkif_limits *l)
{
    uint64_t sectors;

    if ((w->op != 0 && l->read_only) || w->n == 0 || w->n > 11)
        return MAY_ERROR;
    return oracle_segments(w->seg, w->n, w->sector, l, &sectors);
}

static unsigned discard(const struct wish *w, const struct blkif_limits *l)
{
    /* Which of two reasons is named is nobody's business. */
    if (l->read_only)
        return MAY_ERROR | (l->can_discard ? 0 : MAY_UNSUPPORTED);
    if (!l->can_discard)
        return MAY_UNSUPPORTED;
    return w->nr_sectors ? range(w->sector, w->nr_sectors, l) : MAY_OKAY;
}

static unsigned indirect(const struct wish *w, const struct blkif_limits *l)
{
    if (l->max_indirect == 0)
        return MAY_UNSUPPORTED;
    if (w->echo > 1 || (w->echo == 1 && l->read_only) || w->n == 0 || w->n > l->max_indirect ||
        w->n > 4096)
        return MAY_ERROR;
    return MAY_OKAY;
}

unsigned oracle_slot(const struct wish *w, const struct blkif_limits *l)
{
    switch (w->op) {
    case 0:
    case 1:
        return direct(w, l);
    case 2:
        return !l->can_barrier ? MAY_UNSUPPORTED : w->n ? direct(w, l) : MAY_OKAY;
    case 3:
        return !l->can_flush ? MAY_UNSUPPORTED : w->n ? direct(w, l) : MAY_OKAY;
    case 5:
        return discard(w, l);
    case 6:
        return indirect(w, l);
    default:
        return MAY_UNSUPPORTED;
    }
}

unsigned oracle_status(int16_t status)
{
    return status == 0 ? MAY_OKAY : status == -1 ? MAY_ERROR : status == -2 ? MAY_UNSUPPORTED : 0;
}
