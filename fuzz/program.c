/* SPDX-License-Identifier: MIT
 *
 * See program.h. Threads: one.
 */
#include "program.h"

#include <errno.h>

static enum blkif_abi abi;

bool program_open(struct input *in, uint16_t max_indirect)
{
    static const uint32_t starts[] = {0, 0xffffffffu, 0xfffffff0u, 0x7fffffffu};
    static const uint64_t disks[] = {256, 8, 1u << 20, UINT64_MAX / 512};
    static const uint8_t orders[] = {0, 0, 0, 0, 0, 1, 2, 4};
    uint8_t a = take8(in), can = take8(in), grants = take8(in), faults = take8(in);
    struct ring_config c = {
        .abi = a & 1 ? BLKIF_ABI_X86_32 : BLKIF_ABI_X86_64,
        .persistent = grants & 1,
        .persistent_max = 1 + (grants >> 1 & 31),
        .persistent_unused_ms = grants & 0x80 ? 500 : 0,
        .limits = {.nr_sectors = disks[a >> 4 & 3],
                   .block_sectors = a & 0x40 ? 8 : 1,
                   .max_indirect = max_indirect,
                   .read_only = (can & 0x21) == 0x21,
                   .can_flush = !(can & 2),
                   .can_barrier = !(can & 4),
                   .can_discard = !(can & 8),
                   .can_discard_secure = can & 16},
    };

    abi = c.abi;
    rig_open(&c, 1 + (a >> 7), orders[can >> 6 | (faults & 1) << 2], starts[a >> 2 & 3]);
    rig.fail_map = (faults & 0xe0) == 0x20 ? -ENOMEM : 0;
    rig.fail_bind = (faults & 0xe0) == 0x40 ? -EINVAL : 0;
    rig.fail_channel = (faults & 0xe0) == 0x60 ? -ENOMEM : 0;
    if (!rig_connect())
        return false;
    rig.fail_map = rig.fail_bind = rig.fail_channel = 0;
    return true;
}

uint32_t take_gref(struct input *in)
{
    uint8_t v = take8(in);

    if (v < 0xf0)
        return RIG_DATA_REF + v % (RIG_PAGES - RIG_DATA_REF);
    return v < 0xf8 ? v : v < 0xfe ? v % RIG_DATA_REF : take32(in);
}

uint64_t take_sector(struct input *in)
{
    uint8_t v = take8(in);

    return v < 0xf0 ? v : take64(in);
}

struct blkif_segment take_segment(struct input *in)
{
    struct blkif_segment s = {.gref = take_gref(in)};
    uint8_t v = take8(in);

    /* Mostly good ones. */
    s.first_sect = v & 7;
    s.last_sect = (uint8_t)(s.first_sect + (v >> 3 & 7));
    if (v & 0x40) {
        s.first_sect = 0;
        s.last_sect = 7;
    }
    if (v == 0x80) {
        s.first_sect = take8(in);
        s.last_sect = take8(in);
    }
    return s;
}

static void put_number(unsigned char *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, v >>= 8)
        at[i] = (unsigned char)v;
}

static unsigned char *head(unsigned char *slot, uint8_t op, uint8_t second, uint64_t id,
                           uint64_t sector)
{
    unsigned narrow = abi == BLKIF_ABI_X86_32 ? 4 : 0;

    memset(slot, 0, BLKIF_SLOT_BYTES_X86_64);
    slot[0] = op;
    slot[1] = second;
    put_number(slot + 8 - narrow, id, 8);
    put_number(slot + 16 - narrow, sector, 8);
    return slot + 24 - narrow;
}

void make_rw(unsigned char *slot, uint8_t op, uint64_t id, uint64_t sector,
             const struct blkif_segment *seg, unsigned n)
{
    unsigned char *tail = head(slot, op, (uint8_t)n, id, sector);

    memcpy(tail, seg, (n < 11 ? n : 11) * sizeof(*seg));
}

void make_indirect(unsigned char *slot, uint8_t op, uint64_t id, uint64_t sector, uint16_t n,
                   const uint32_t *grefs)
{
    unsigned char *tail = head(slot, BLKIF_OP_INDIRECT, op, id, sector);

    put_number(slot + 2, n, 2);
    memcpy(tail + 4, grefs, 8 * sizeof(*grefs));
}

static void make_discard(struct input *in, unsigned char *slot, uint64_t id)
{
    uint64_t sector = take_sector(in), nr = take_sector(in);
    unsigned char *tail = head(slot, BLKIF_OP_DISCARD, take8(in), id, sector);

    put_number(tail, nr, 8);
}

/* A page of segments, repeated from a few, and the request that names it. */
static void make_table(struct input *in, unsigned char *slot, uint8_t inner, uint64_t id)
{
    uint32_t grefs[8];
    unsigned few = 1 + take8(in) % 6;
    uint16_t n = take8(in);
    struct blkif_segment seg[6];
    uint32_t first = take_gref(in);

    if (n > 0xf0)
        n = take16(in);
    for (unsigned i = 0; i < 8; i++)
        grefs[i] = first + (first < RIG_PAGES - 8 ? i : 0);
    for (unsigned i = 0; i < few; i++)
        seg[i] = take_segment(in);
    for (unsigned i = 0; i < n && i < 4096; i++) {
        uint32_t gref = grefs[i / 512];
        if (gref < RIG_PAGES)
            guest_store((size_t)gref * HV_PAGE + i % 512 * 8, &seg[i % few], 8);
    }
    make_indirect(slot, inner, id, take_sector(in), n, grefs);
}

void make_slot(struct input *in, unsigned char *slot)
{
    static uint64_t serial;
    uint8_t kind = take8(in);
    uint64_t id = kind & 0x40 ? take64(in) : ++serial;
    struct blkif_segment seg[11];
    uint8_t n = kind >> 3 & 7;

    if (kind & 0x80) { /* any number, but few segments: the last one repeats */
        n = take8(in);
        memset(seg, 0, sizeof(seg));
    }
    switch (kind & 7) {
    case 0:
    case 1:
    case 2:
    case 3:
        for (unsigned i = 0; i < n && i < 11; i++)
            seg[i] = i < 6 ? take_segment(in) : seg[5];
        make_rw(slot, kind & 3, id, take_sector(in), seg, n);
        break;
    case 4:
        make_discard(in, slot, id);
        break;
    case 5:
    case 6:
        make_table(in, slot, (kind & 7) - 5, id);
        break;
    default:
        take(in, slot, BLKIF_SLOT_BYTES_X86_64);
    }
}

static void set_index(struct input *in, unsigned ring)
{
    uint8_t which = take8(in);
    size_t at = guest_ring(ring) + (which & 3) * 4;
    uint32_t v;

    memcpy(&v, rig.memory + at, sizeof(v));
    v = which & 4 ? take32(in) : v + (uint32_t)(int8_t)take8(in);
    guest_store(at, &v, sizeof(v));
    rig.rings[ring].tidy = false;
}

void meddle(struct input *in)
{
    uint8_t kind = take8(in);
    unsigned ring = (kind >> 3 & 1) % rig.nr_rings;
    uint8_t byte;
    uint32_t gref;

    switch (kind & 7) {
    case 0: /* a byte of a slot */
        gref = take8(in) % rig.rings[ring].entries;
        byte = take8(in);
        guest_store(guest_ring(ring) + 64 + gref * rig.rings[ring].slot_bytes +
                        take8(in) % rig.rings[ring].slot_bytes,
                    &byte, 1);
        break;
    case 1:
        set_index(in, ring);
        break;
    case 2:
    case 3: /* bytes of a data page: segments, if it is an indirect one */
        gref = RIG_DATA_REF + take8(in) % (RIG_PAGES - RIG_DATA_REF);
        byte = take8(in);
        guest_store((size_t)gref * HV_PAGE + take16(in) % HV_PAGE, &byte, 1);
        break;
    case 4:
    case 5: /* a grant ends, or begins, or becomes read-only */
        gref = take8(in) % RIG_PAGES;
        rig.grant[gref] = (enum rig_grant)(take8(in) % 3);
        break;
    case 6:
        guest_notify(ring);
        break;
    default:
        guest_consume(ring);
    }
}
