/* SPDX-License-Identifier: MIT
 *
 * The arithmetic of src/blkif/ring.c and check.c over every value there is, in integers so narrow
 * that this ends: the sources themselves, compiled with 8-bit indices and 7-bit sectors. clang's
 * _BitInt is not promoted to int, so it wraps as the wide types do. What is expected is computed in
 * plain int, by counting.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One thread: nothing is ordered here. */
#define BASE_BARRIER_H
#define READ_ONCE(x)        (x)
#define WRITE_ONCE(x, v)    ((x) = (v))
#define load_acquire(p)     (*(p))
#define store_release(p, v) (*(p) = (v))
#define full_barrier()      ((void)0)
#define compiler_barrier()  ((void)0)

typedef unsigned _BitInt(8) narrow_index;
typedef unsigned _BitInt(7) narrow_sector;
typedef uint32_t wide32;

/* The sizes of the wide layouts do not hold here. */
#undef _Static_assert
#define _Static_assert(cond, text) extern int no_assertion

#define uint32_t narrow_index
#include "blkif/ring.h"
#define BLKIF_FEATURES_H
static uint32_t blkif_ring_entries(enum blkif_abi abi, uint32_t pages)
{
    (void)abi;
    return pages * 4;
}
static uint32_t blkif_slot_bytes(enum blkif_abi abi)
{
    (void)abi;
    return 16;
}
#include "../../src/blkif/ring.c"
#undef uint32_t

#define uint64_t narrow_sector
#include "../../src/blkif/check.c"
#undef uint64_t

static int number, failed;

static void point(const char *what, unsigned long long cases, unsigned long long bad)
{
    printf("%sok %d - %s (%llu cases)\n", bad ? "not " : "", ++number, what, cases);
    failed |= bad != 0;
}

static struct {
    struct blkif_sring head;
    unsigned char rest[64 + 8 * 16];
} page;

static struct blkif_ring ring_at(int pvt, int taken, int entries)
{
    return (struct blkif_ring){.shared = &page.head,
                               .entries = (narrow_index)entries,
                               .slot_bytes = 16,
                               .req_cons = (narrow_index)(pvt + taken),
                               .rsp_prod_pvt = (narrow_index)pvt,
                               .rsp_published = (narrow_index)pvt};
}

/* How far ahead of pvt the guest's index is, by counting. */
static int ahead(int pvt, int prod)
{
    int n = 0;

    for (; (pvt & 255) != prod; pvt++)
        n++;
    return n;
}

static int expected_pending(int pvt, int taken, int entries, int prod)
{
    int n = ahead(pvt, prod);

    return n > entries || n < taken ? -EPROTO : n - taken;
}

static void pending_and_arm(int entries)
{
    unsigned long long cases = 0, bad = 0;

    for (int pvt = 0; pvt < 256; pvt++)
        for (int taken = 0; taken <= entries; taken++)
            for (int prod = 0; prod < 256; prod++, cases++) {
                struct blkif_ring r = ring_at(pvt, taken, entries);
                int want = expected_pending(pvt, taken, entries, prod);
                page.head.req_prod = (narrow_index)prod;
                page.head.req_event = 77;
                bad += blkif_ring_pending(&r) != want;
                bad += blkif_ring_arm(&r) != (want != 0);
                narrow_index event = (narrow_index)(want ? 77 : (int)r.req_cons + 1);
                bad += page.head.req_event != event;
            }
    point("pending and arm: every index, taken count and req_prod", cases, bad);
}

static void publish(int entries)
{
    unsigned long long cases = 0, bad = 0;

    for (int old = 0; old < 256; old++)
        for (int n = 0; n <= entries; n++)
            for (int event = 0; event < 256; event++, cases++) {
                struct blkif_ring r = ring_at(old, entries, entries);
                bool want = false;
                for (int i = 1; i <= n; i++)
                    want |= ((old + i) & 255) == event;
                r.rsp_prod_pvt = (narrow_index)(old + n);
                page.head.rsp_event = (narrow_index)event;
                page.head.rsp_prod = (narrow_index)old;
                bad += blkif_ring_publish(&r) != want;
                bad += page.head.rsp_prod != (narrow_index)(old + n);
                bad += r.rsp_published != r.rsp_prod_pvt;
            }
    point("publish: notifies if and only if the guest waits for one of these", cases, bad);
}

static void slots(int entries)
{
    unsigned long long cases = 0, bad = 0;

    for (int index = 0; index < 256; index++, cases++) {
        struct blkif_ring r = ring_at(index, 0, entries);
        unsigned char *at = slot_at(&r, r.req_cons);
        bad += at != (unsigned char *)&page + 64 + (index % entries) * 16;
    }
    point("slot: inside the ring, in turn", cases, bad);
}

static void ranges(void)
{
    unsigned long long cases = 0, bad = 0;

    for (int sector = 0; sector < 128; sector++)
        for (int nr = 0; nr < 128; nr++)
            for (int disk = 0; disk < 128; disk++, cases++)
                bad += blkif_range_ok((narrow_sector)sector, (narrow_sector)nr,
                                      (narrow_sector)disk) != (sector + nr <= disk);
    point("range: sector, count and size of the disk", cases, bad);
}

static enum blkif_refusal expected_segments(const struct blkif_segment *s, int n, int sector,
                                            int disk, int block, int *sum)
{
    *sum = 0;
    for (int i = 0; i < n; i++) {
        if (s[i].last_sect > 7 || s[i].first_sect > s[i].last_sect)
            return REFUSE_SEGMENT_RANGE;
        *sum += s[i].last_sect - s[i].first_sect + 1;
    }
    if (sector + *sum > disk)
        return REFUSE_SECTOR_RANGE;
    return sector % block || *sum % block ? REFUSE_ALIGNMENT : REFUSE_NONE;
}

static void segments(int block)
{
    static const wide32 sectors[] = {0, 1, 7, 8, 63, 112, 120, 126, 127};
    unsigned long long cases = 0, bad = 0;

    for (int a = 0; a < 100; a++)
        for (int b = 0; b < 100; b++)
            for (unsigned at = 0; at < sizeof(sectors) / sizeof(sectors[0]); at++)
                for (int disk = 0; disk < 128; disk++, cases++) {
                    struct blkif_segment s[2] = {
                        {.first_sect = (uint8_t)(a / 10), .last_sect = (uint8_t)(a % 10)},
                        {.first_sect = (uint8_t)(b / 10), .last_sect = (uint8_t)(b % 10)}};
                    struct blkif_limits l = {.nr_sectors = (narrow_sector)disk,
                                             .block_sectors = (wide32)block};
                    narrow_sector got = 0;
                    int sum;
                    enum blkif_refusal want =
                        expected_segments(s, 2, (int)sectors[at], disk, block, &sum);
                    enum blkif_refusal r =
                        blkif_check_segments(s, 2, (narrow_sector)sectors[at], &l, &got);
                    bad += r != want || (!r && (int)got != sum);
                }
    point(block == 1 ? "two segments: bounds, sum and range" : "the same in blocks of 8 sectors",
          cases, bad);
}

int main(void)
{
    pending_and_arm(4);
    pending_and_arm(8);
    publish(4);
    publish(8);
    slots(4);
    slots(8);
    ranges();
    segments(1);
    segments(8);
    printf("1..%d\n", number);
    return failed;
}
