/* SPDX-License-Identifier: MIT
 *
 * Names and numbers that a frontend gives through xenstore, bounded before anyone uses them.
 * Threads: any (no state).
 */
#include "blkif/features.h"

#include <stddef.h>
#include <string.h>

#define PAGE_BYTES 4096u

static const char *const abi_names[BLKIF_ABIS] = {
    [BLKIF_ABI_X86_64] = "x86_64-abi",
    [BLKIF_ABI_X86_32] = "x86_32-abi",
};

bool blkif_abi_parse(const char *text, enum blkif_abi *out)
{
    if (!text) {
        *out = BLKIF_ABI_X86_32;
        return true;
    }
    for (unsigned i = 0; i < BLKIF_ABIS; i++) {
        if (strcmp(text, abi_names[i]) == 0) {
            *out = (enum blkif_abi)i;
            return true;
        }
    }
    return false;
}

const char *blkif_abi_name(enum blkif_abi abi)
{
    return (unsigned)abi < BLKIF_ABIS ? abi_names[abi] : "invalid";
}

bool blkif_number_parse(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;

    if (!text || *text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > max)
            return false;
    }
    if (value < min)
        return false;
    *out = (uint32_t)value;
    return true;
}

uint32_t blkif_ring_entries(enum blkif_abi abi, uint32_t pages)
{
    if (pages == 0 || pages > BLKIF_RING_PAGES_MAX)
        return 0;

    uint32_t fit = (pages * PAGE_BYTES - BLKIF_RING_HEADER_BYTES) / blkif_slot_bytes(abi);
    uint32_t entries = 1;

    while (entries * 2 <= fit)
        entries *= 2;
    return entries;
}

uint32_t blkif_slot_bytes(enum blkif_abi abi)
{
    return abi == BLKIF_ABI_X86_32 ? BLKIF_SLOT_BYTES_X86_32 : BLKIF_SLOT_BYTES_X86_64;
}
