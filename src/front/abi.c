/* SPDX-License-Identifier: MIT
 *
 * The two layouts of a request, from blkif/layout.h. The functions are the same but for the types,
 * so they are made by one macro.
 */
#include "front/abi.h"

#include <string.h>

#define GREFS_BYTES(n)                                                                             \
    (((n) + BLKIF_SEGS_PER_INDIRECT_PAGE - 1u) / BLKIF_SEGS_PER_INDIRECT_PAGE * sizeof(uint32_t))

#define DEFINE_PUT(abi)                                                                            \
    static void put_discard_##abi(struct blkif_discard_##abi *out,                                 \
                                  const struct front_request *req)                                 \
    {                                                                                              \
        out->operation = BLKIF_OP_DISCARD;                                                         \
        out->flag = req->discard_flag;                                                             \
        out->handle = req->handle;                                                                 \
        out->id = req->id;                                                                         \
        out->sector_number = req->sector;                                                          \
        out->nr_sectors = req->nr_sectors;                                                         \
    }                                                                                              \
                                                                                                   \
    static void put_indirect_##abi(struct blkif_indirect_##abi *out,                               \
                                   const struct front_request *req)                                \
    {                                                                                              \
        out->operation = BLKIF_OP_INDIRECT;                                                        \
        out->indirect_op = req->operation;                                                         \
        out->nr_segments = req->nr_segments;                                                       \
        out->id = req->id;                                                                         \
        out->sector_number = req->sector;                                                          \
        out->handle = req->handle;                                                                 \
        memcpy(out->indirect_grefs, req->grefs, GREFS_BYTES(req->nr_segments));                    \
    }                                                                                              \
                                                                                                   \
    static struct blkif_segment *put_rw_##abi(struct blkif_rw_##abi *out,                          \
                                              const struct front_request *req)                     \
    {                                                                                              \
        out->operation = req->operation;                                                           \
        out->nr_segments = (uint8_t)req->nr_segments;                                              \
        out->handle = req->handle;                                                                 \
        out->id = req->id;                                                                         \
        out->sector_number = req->sector;                                                          \
        return req->nr_segments != 0 ? out->seg : NULL;                                            \
    }                                                                                              \
                                                                                                   \
    static struct blkif_segment *put_##abi(void *slot, const struct front_request *req)            \
    {                                                                                              \
        memset(slot, 0, sizeof(struct blkif_rw_##abi));                                            \
        if (req->operation == BLKIF_OP_DISCARD)                                                    \
            put_discard_##abi(slot, req);                                                          \
        else if (req->grefs != NULL)                                                               \
            put_indirect_##abi(slot, req);                                                         \
        else                                                                                       \
            return put_rw_##abi(slot, req);                                                        \
        return NULL;                                                                               \
    }

DEFINE_PUT(x86_64)
DEFINE_PUT(x86_32)

static const struct front_abi abis[] = {
    {"x86_64-abi", BLKIF_SLOT_BYTES_X86_64, put_x86_64},
    {"x86_32-abi", BLKIF_SLOT_BYTES_X86_32, put_x86_32},
};

const struct front_abi *front_abi_find(const char *name)
{
    for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
        if (strcmp(abis[i].name, name) == 0)
            return &abis[i];
    return NULL;
}
