/* SPDX-License-Identifier: MIT
 *
 * From the bytes of a slot to one private layout. Reads only the private copy it is given; decides
 * nothing. Threads: any (no state).
 */
#include "blkif/request.h"

#include <string.h>

/* The layouts of one ABI have the same fields; only their offsets differ. */
#define DECODE(abi, slot, out)                                                                     \
    do {                                                                                           \
        union {                                                                                    \
            struct blkif_rw_##abi rw;                                                              \
            struct blkif_discard_##abi discard;                                                    \
            struct blkif_indirect_##abi indirect;                                                  \
        } u;                                                                                       \
        memcpy(&u, slot, sizeof(u.rw));                                                            \
        (out)->operation = u.rw.operation;                                                         \
        (out)->id = u.rw.id;                                                                       \
        (out)->sector = u.rw.sector_number;                                                        \
        switch (u.rw.operation) {                                                                  \
        case BLKIF_OP_DISCARD:                                                                     \
            (out)->flag = u.discard.flag;                                                          \
            (out)->nr_sectors = u.discard.nr_sectors;                                              \
            break;                                                                                 \
        case BLKIF_OP_INDIRECT:                                                                    \
            (out)->indirect_op = u.indirect.indirect_op;                                           \
            (out)->nr_segments = u.indirect.nr_segments;                                           \
            memcpy((out)->indirect_grefs, u.indirect.indirect_grefs,                               \
                   sizeof((out)->indirect_grefs));                                                 \
            break;                                                                                 \
        default:                                                                                   \
            (out)->nr_segments = u.rw.nr_segments;                                                 \
            memcpy((out)->seg, u.rw.seg, sizeof((out)->seg));                                      \
        }                                                                                          \
    } while (0)

void blkif_request_decode(enum blkif_abi abi, const void *slot, struct blkif_request *out)
{
    memset(out, 0, sizeof(*out));
    if (abi == BLKIF_ABI_X86_32)
        DECODE(x86_32, slot, out);
    else
        DECODE(x86_64, slot, out);
}

uint8_t blkif_request_echo_op(const struct blkif_request *req)
{
    return req->operation == BLKIF_OP_INDIRECT ? req->indirect_op : req->operation;
}
