/* SPDX-License-Identifier: MIT
 *
 * Indirect requests through the ring: pages of segments of any bytes, up to all eight of them, from
 * grants of every kind, while the guest changes them.
 *
 * Input: a configuration (program.c), then requests, each with its fields and its segments. What is
 * judged: rig.h. Threads: one.
 */
#include <errno.h>

#include "program.h"

#define REQUESTS_MAX 24

static struct input input;

static void strike(void)
{
    meddle(&input);
}

/* Segments lie in pages from gref on; how says what they are made of. */
static void fill_pages(const uint32_t *grefs, uint16_t n, uint8_t how)
{
    struct blkif_segment pattern[4];

    for (unsigned i = 0; i < 4; i++)
        pattern[i] = take_segment(&input);
    for (unsigned i = 0; i < n && i < 4096; i++) {
        struct blkif_segment s = pattern[i & how & 3];
        if (how & 4)
            s.gref = RIG_DATA_REF + (s.gref + i) % (RIG_PAGES - RIG_DATA_REF);
        if (how & 8 && i == n - 1u)
            take(&input, &s, sizeof(s));
        uint32_t gref = grefs[i / 512];
        if (gref < RIG_PAGES)
            guest_store((size_t)gref * HV_PAGE + i % 512 * 8, &s, 8);
    }
}

static void request(unsigned ring)
{
    static const uint16_t counts[] = {1, 11, 12, 32, 511, 512, 513, 4096};
    unsigned char slot[BLKIF_SLOT_BYTES_X86_64];
    uint8_t kind = take8(&input), how = take8(&input);
    uint16_t n = kind & 0x40 ? take16(&input) : counts[kind >> 3 & 7];
    uint32_t grefs[8];

    for (unsigned i = 0; i < 8; i++)
        grefs[i] = how & 0x10 ? take_gref(&input) : RIG_DATA_REF + (how >> 5) + i;
    fill_pages(grefs, n, how);
    make_indirect(slot, kind & 4 ? kind & 3 : kind & 1, take64(&input), take_sector(&input), n,
                  grefs);
    guest_put(ring, slot);
    if (kind & 0x80) {
        rig.strike = strike;
        rig.strike_in = 1 + take8(&input) % 12;
    }
}

static void storage(uint8_t how)
{
    rig.result = (how & 7) == 7 ? -EIO : 0;
    rig.fail_copy = (how & 0x38) == 0x38 ? -EFAULT : 0;
    rig.fail_map = how & 0x40 ? -ENOSPC : 0;
    rig.hold = how & 0x80;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t most[] = {256, 4096, 32, 513};

    input = (struct input){data, size};
    if (!program_open(&input, most[take8(&input) & 3]))
        return 0;
    for (unsigned n = 0; input.left && n < REQUESTS_MAX; n++) {
        uint8_t what = take8(&input);
        unsigned ring = (what & 1) % rig.nr_rings;
        if (what & 2)
            meddle(&input);
        if (what & 4)
            storage(take8(&input));
        request(ring);
        if (what & 0x18) {
            guest_push(ring, true);
            rig_settle();
        }
    }
    for (unsigned i = 0; i < rig.nr_rings; i++)
        guest_push(i, true);
    rig_rest();
    rig_close();
    return 0;
}
