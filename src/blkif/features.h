/* SPDX-License-Identifier: MIT
 *
 * The names of the protocol's xenstore nodes, the `protocol` names, and the numbers a frontend may
 * give, each with its bounds: one table, so that what is read is bounded before it is used
 * (shifted, allocated, indexed). Pure.
 */
#ifndef BLKIF_FEATURES_H
#define BLKIF_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "blkif/layout.h"

/* Bits of the `info` node (blkif.h VDISK_*). */
#define BLKIF_INFO_CDROM     1u
#define BLKIF_INFO_REMOVABLE 2u
#define BLKIF_INFO_READONLY  4u

#define BLKIF_QUEUES_MAX 64 /* hard ceiling of queues for one disk, whatever is configured */

/* "x86_64-abi" and "x86_32-abi". NULL (node absent) means x86_32 on x86, as Linux, QEMU and blktap
 * take it, though the header says native. False for any other name. */
bool blkif_abi_parse(const char *text, enum blkif_abi *out);
const char *blkif_abi_name(enum blkif_abi abi);

/* Reads a decimal number min..max and nothing else: no sign, no space, no leading zero but "0"
 * itself, no trailing byte. False if it is not one; *out is untouched then. */
bool blkif_number_parse(const char *text, uint32_t min, uint32_t max, uint32_t *out);

/* Entries of a ring of that many pages (a power of two, 1..16): the largest power of two that fits.
 */
uint32_t blkif_ring_entries(enum blkif_abi abi, uint32_t pages);
uint32_t blkif_slot_bytes(enum blkif_abi abi);

#endif
