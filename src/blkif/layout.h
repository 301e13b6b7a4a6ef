/* SPDX-License-Identifier: MIT
 *
 * The bytes of the block protocol in its three layouts. Source: xen/include/public/io/blkif.h and
 * ring.h; a test compares every offset with the installed Xen headers.
 *
 * A 32-bit x86 guest aligns 64-bit fields to 4 bytes, a 64-bit guest to 8: the same request has two
 * layouts (x86_32, x86_64). "native" is the layout of the machine this runs on.
 */
#ifndef BLKIF_LAYOUT_H
#define BLKIF_LAYOUT_H

#include <stdint.h>

enum blkif_abi { BLKIF_ABI_X86_64, BLKIF_ABI_X86_32, BLKIF_ABIS };

#define BLKIF_ABI_NATIVE BLKIF_ABI_X86_64

#define BLKIF_SECTOR 512u

/* Operations (the header's names). */
#define BLKIF_OP_READ          0
#define BLKIF_OP_WRITE         1
#define BLKIF_OP_WRITE_BARRIER 2
#define BLKIF_OP_FLUSH         3
#define BLKIF_OP_RESERVED_1    4
#define BLKIF_OP_DISCARD       5
#define BLKIF_OP_INDIRECT      6

#define BLKIF_RSP_OKAY       0
#define BLKIF_RSP_ERROR      (-1)
#define BLKIF_RSP_EOPNOTSUPP (-2)

#define BLKIF_DISCARD_SECURE (1u << 0)

#define BLKIF_SEGS_PER_REQUEST       11 /* in the request itself */
#define BLKIF_INDIRECT_PAGES_MAX     8  /* grant references in an indirect request */
#define BLKIF_SEGS_PER_INDIRECT_PAGE 512
#define BLKIF_SEGS_INDIRECT_MAX      (BLKIF_INDIRECT_PAGES_MAX * BLKIF_SEGS_PER_INDIRECT_PAGE)

#define BLKIF_RING_PAGE_ORDER_MAX 4 /* 16 pages */
#define BLKIF_RING_PAGES_MAX      (1u << BLKIF_RING_PAGE_ORDER_MAX)
#define BLKIF_RING_HEADER_BYTES   64u

/* The ring's header, at offset 0 of its first page; slots follow at offset 64. The frontend writes
 * req_prod and rsp_event, the backend rsp_prod and req_event. */
struct blkif_sring {
    uint32_t req_prod;
    uint32_t req_event;
    uint32_t rsp_prod;
    uint32_t rsp_event;
    uint8_t pad[48];
};
_Static_assert(sizeof(struct blkif_sring) == BLKIF_RING_HEADER_BYTES, "ring header");

/* A segment is the same in every layout. first and last are 512-byte sectors of the page, 0..7. */
struct blkif_segment {
    uint32_t gref;
    uint8_t first_sect;
    uint8_t last_sect;
    uint16_t pad;
};
_Static_assert(sizeof(struct blkif_segment) == 8, "segment");

#define BLKIF_SLOT_BYTES_X86_64 112u
#define BLKIF_SLOT_BYTES_X86_32 108u

struct blkif_rw_x86_64 {
    uint8_t operation;
    uint8_t nr_segments;
    uint16_t handle;
    uint32_t pad;
    uint64_t id;
    uint64_t sector_number;
    struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];
};
_Static_assert(sizeof(struct blkif_rw_x86_64) == BLKIF_SLOT_BYTES_X86_64, "x86_64 slot");

struct blkif_discard_x86_64 {
    uint8_t operation;
    uint8_t flag;
    uint16_t handle;
    uint32_t pad;
    uint64_t id;
    uint64_t sector_number;
    uint64_t nr_sectors;
};

struct blkif_indirect_x86_64 {
    uint8_t operation;
    uint8_t indirect_op;
    uint16_t nr_segments;
    uint32_t pad;
    uint64_t id;
    uint64_t sector_number;
    uint16_t handle;
    uint16_t pad2;
    uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES_MAX];
};

struct __attribute__((packed, aligned(4))) blkif_rw_x86_32 {
    uint8_t operation;
    uint8_t nr_segments;
    uint16_t handle;
    uint64_t id;
    uint64_t sector_number;
    struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];
};
_Static_assert(sizeof(struct blkif_rw_x86_32) == BLKIF_SLOT_BYTES_X86_32, "x86_32 slot");

struct __attribute__((packed, aligned(4))) blkif_discard_x86_32 {
    uint8_t operation;
    uint8_t flag;
    uint16_t handle;
    uint64_t id;
    uint64_t sector_number;
    uint64_t nr_sectors;
};

struct __attribute__((packed, aligned(4))) blkif_indirect_x86_32 {
    uint8_t operation;
    uint8_t indirect_op;
    uint16_t nr_segments;
    uint64_t id;
    uint64_t sector_number;
    uint16_t handle;
    uint16_t pad2;
    uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES_MAX];
};

/* A response has the same field offsets (0, 8, 10) in both layouts; the 32-bit one ends at 12
 * bytes, the 64-bit one at 16. It lies in the slot of a request. */
struct __attribute__((packed, aligned(4))) blkif_response {
    uint64_t id;
    uint8_t operation;
    uint8_t pad;
    int16_t status;
};

#endif
