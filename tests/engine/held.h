/* SPDX-License-Identifier: MIT
 *
 * For tests of 512e over memory that holds I/Os back (mem.h): a second channel, as a second ring of
 * the disk has it but on the same thread, and waiting for exactly so much.
 */
#ifndef TESTS_ENGINE_HELD_H
#define TESTS_ENGINE_HELD_H

#include "rig.h"

#define SECTOR 512u

struct second {
    struct ioctx ctx;
    struct engine_channel *channel;
};

void second_open(struct rig *rig, struct second *s);
void second_close(struct rig *rig, struct second *s);

/* Lets happen what can happen. */
void pump(struct ioctx *ctx);
/* Waits for *count to become at_least. */
void pump_until(struct ioctx *ctx, const unsigned *count, unsigned at_least);

/* Starts on memory where each sector is filled with its number + 1; I/Os are held and logged. */
void start_held(struct rig *rig);

void submit(struct rig *rig, struct engine_channel *ch, struct probe *p, enum engine_op op,
            uint64_t sector, uint64_t sectors, void *memory);

/* That these I/Os reached the store, and no others. */
void expect_log(const struct mem *m, const struct mem_log *want, unsigned n);

#endif
