/* SPDX-License-Identifier: MIT
 *
 * Fuzzer's bytes to a disk, a guest's requests and a guest's other doings. Threads: one.
 */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include "rig.h"

/* Takes a configuration and opens the rig with it. False: it did not start. */
bool program_open(struct input *in, uint16_t max_indirect);

/* One slot in the guest's layout. */
void make_slot(struct input *in, unsigned char *slot);
void make_rw(unsigned char *slot, uint8_t op, uint64_t id, uint64_t sector,
             const struct blkif_segment *seg, unsigned n);
void make_indirect(unsigned char *slot, uint8_t op, uint64_t id, uint64_t sector, uint16_t n,
                   const uint32_t *grefs);
struct blkif_segment take_segment(struct input *in);
uint32_t take_gref(struct input *in);
uint64_t take_sector(struct input *in);

/* Changes something that is the guest's, anywhere; what the other CPU of a guest may do at any time
 * is this and no more. */
void meddle(struct input *in);

#endif
