/* SPDX-License-Identifier: MIT
 *
 * The rings of a disk against a guest that does anything, in any order: requests of every kind in
 * either layout, indices, grants that come and go, pages that change under way, storage that fails
 * or keeps I/Os back, calls of the hypervisor that fail, time that passes, disconnects.
 *
 * Input: a configuration (program.c), then actions. What is judged: rig.h. Threads: one.
 */
#include <errno.h>

#include "fiber.h"
#include "program.h"

#define ACTIONS_MAX 400

static struct input input;

static void strike(void)
{
    meddle(&input);
}

static void put(unsigned ring, uint8_t more)
{
    unsigned char slot[BLKIF_SLOT_BYTES_X86_64];

    for (unsigned n = 0; n <= more; n++) {
        make_slot(&input, slot);
        guest_put(ring, slot);
    }
    guest_push(ring, true);
}

static void storage(uint8_t how)
{
    static const int results[] = {0, 0, -EIO, -EOPNOTSUPP};

    rig.result = results[how & 3];
    rig.submit_result = (how & 0x0c) == 0x0c ? -ENOSPC : 0;
    rig.hold = how & 0x10;
    rig.fail_copy = (how & 0x60) == 0x60 ? -EFAULT : 0;
    rig.fail_map = how & 0x80 ? -ENOSPC : 0;
}

static void reconnect(void)
{
    rig_rest();
    rig_disconnect();
    rig.fail_map = rig.fail_copy = rig.submit_result = 0;
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        rig.grant[RIG_RING_REF + i * RIG_RING_PAGES] = GRANT_RW;
        rig.rings[i].tidy = false;
    }
    /* The guest may have withdrawn pages of its rings. */
    if (!rig_connect())
        rig.strike_in = UINT32_MAX;
}

/* What the daemon asks of a worker. */
static void control(unsigned ring, uint8_t what)
{
    switch (what) {
    case 7:
        reconnect();
        break;
    case 6:
        rig_resize(take_sector(&input));
        break;
    case 5:
    case 4:
        rig_pause(ring, what & 1);
        break;
    default:
        guest_consume(ring);
    }
}

static void act(uint8_t action)
{
    unsigned ring = (action >> 7) % rig.nr_rings;
    uint8_t arg = action >> 4 & 7;

    switch (action & 15) {
    case 0:
    case 1:
    case 2:
        put(ring, arg);
        break;
    case 3:
    case 4:
        meddle(&input);
        break;
    case 5:
        guest_push(ring, arg & 1);
        break;
    case 6:
    case 7:
    case 8:
        fiber_step(ring);
        break;
    case 9:
        rig_settle();
        break;
    case 10:
        storage(take8(&input));
        break;
    case 11:
    case 12:
        if (rig.nr_held)
            guest_release(take8(&input) % rig.nr_held);
        break;
    case 13:
        rig.strike = strike;
        rig.strike_in = 1 + arg;
        break;
    case 14:
        rig_pass_time(arg * 100u);
        break;
    default:
        control(ring, arg);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t indirect[] = {32, 0, 256, 1024};

    input = (struct input){data, size};
    if (!program_open(&input, indirect[take8(&input) & 3]))
        return 0;
    for (unsigned n = 0; input.left && n < ACTIONS_MAX && rig.strike_in != UINT32_MAX; n++)
        act(take8(&input));
    if (rig.strike_in != UINT32_MAX) {
        rig.submit_result = 0;
        rig_rest();
        rig_close();
    }
    return 0;
}
