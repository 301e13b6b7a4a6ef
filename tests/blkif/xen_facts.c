/* SPDX-License-Identifier: MIT
 *
 * Built twice: as a 64-bit guest sees the Xen headers, and, with FACTS_X86_32, as a 32-bit one
 * does: there a 64-bit field is aligned to 4 bytes and nothing else differs.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "facts.h"

#ifdef FACTS_X86_32
#define FACTS xen_facts_x86_32
#pragma pack(push, 4)
#else
#define FACTS xen_facts_x86_64
#endif

#define mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define rmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define wmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#include <xen/io/blkif.h>

#define OFFSET(type, field)                                                                        \
    {                                                                                              \
#type "." #field, offsetof(struct blkif_##type, field)                                     \
    }
#define NUMBER(name)                                                                               \
    {                                                                                              \
#name, name                                                                                \
    }

const struct fact FACTS[] = {
    {"sizeof request", sizeof(union blkif_sring_entry)},
    {"sizeof segment", sizeof(struct blkif_request_segment)},
    {"sizeof response", sizeof(struct blkif_response)},
    {"entries of one page", __CONST_RING_SIZE(blkif, 4096)},
    {"entries of sixteen pages", __CONST_RING_SIZE(blkif, 65536)},
    {"sring.req_prod", offsetof(struct blkif_sring, req_prod)},
    {"sring.req_event", offsetof(struct blkif_sring, req_event)},
    {"sring.rsp_prod", offsetof(struct blkif_sring, rsp_prod)},
    {"sring.rsp_event", offsetof(struct blkif_sring, rsp_event)},
    {"sring.ring", offsetof(struct blkif_sring, ring)},
    OFFSET(request, operation),
    OFFSET(request, nr_segments),
    OFFSET(request, handle),
    OFFSET(request, id),
    OFFSET(request, sector_number),
    OFFSET(request, seg),
    OFFSET(request_discard, operation),
    OFFSET(request_discard, flag),
    OFFSET(request_discard, handle),
    OFFSET(request_discard, id),
    OFFSET(request_discard, sector_number),
    OFFSET(request_discard, nr_sectors),
    OFFSET(request_indirect, operation),
    OFFSET(request_indirect, indirect_op),
    OFFSET(request_indirect, nr_segments),
    OFFSET(request_indirect, id),
    OFFSET(request_indirect, sector_number),
    OFFSET(request_indirect, handle),
    OFFSET(request_indirect, indirect_grefs),
    OFFSET(request_segment, gref),
    OFFSET(request_segment, first_sect),
    OFFSET(request_segment, last_sect),
    OFFSET(response, id),
    OFFSET(response, operation),
    OFFSET(response, status),
    NUMBER(BLKIF_OP_READ),
    NUMBER(BLKIF_OP_WRITE),
    NUMBER(BLKIF_OP_WRITE_BARRIER),
    {"BLKIF_OP_FLUSH", BLKIF_OP_FLUSH_DISKCACHE},
    NUMBER(BLKIF_OP_DISCARD),
    NUMBER(BLKIF_OP_INDIRECT),
    NUMBER(BLKIF_RSP_OKAY),
    NUMBER(BLKIF_RSP_ERROR),
    NUMBER(BLKIF_RSP_EOPNOTSUPP),
    NUMBER(BLKIF_DISCARD_SECURE),
    {"BLKIF_SEGS_PER_REQUEST", BLKIF_MAX_SEGMENTS_PER_REQUEST},
    {"BLKIF_INDIRECT_PAGES_MAX", BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST},
    {"BLKIF_INFO_CDROM", VDISK_CDROM},
    {"BLKIF_INFO_REMOVABLE", VDISK_REMOVABLE},
    {"BLKIF_INFO_READONLY", VDISK_READONLY},
    {NULL, 0},
};

#ifdef FACTS_X86_32
#pragma pack(pop)
#else

static blkif_back_ring_t back_ring(struct blkif_sring *shared, uint32_t req_cons, uint32_t rsp)
{
    blkif_back_ring_t ring = {.sring = shared, .nr_ents = 32};

    ring.req_cons = req_cons;
    ring.rsp_prod_pvt = rsp;
    return ring;
}

struct xen_publish xen_publish32(uint32_t old, uint32_t new, uint32_t rsp_event)
{
    struct blkif_sring shared;
    struct xen_publish result;
    int notify;

    memset(&shared, 0, sizeof(shared));
    shared.rsp_prod = old;
    shared.rsp_event = rsp_event;
    blkif_back_ring_t ring = back_ring(&shared, new, new);
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, notify);
    result.notify = notify != 0;
    result.rsp_prod = shared.rsp_prod;
    return result;
}

struct xen_final xen_final_check(uint32_t req_cons, uint32_t rsp_prod_pvt, uint32_t req_prod)
{
    struct blkif_sring shared;
    int work;

    memset(&shared, 0, sizeof(shared));
    shared.req_prod = req_prod;
    shared.req_event = 0xdeadbeef;
    blkif_back_ring_t ring = back_ring(&shared, req_cons, rsp_prod_pvt);
    RING_FINAL_CHECK_FOR_REQUESTS(&ring, work);
    return (struct xen_final){.work = work != 0, .req_event = shared.req_event};
}

/* From here on Xen's macros compute with 8 bits. */
#define RING_IDX uint8_t

bool xen_publish8(uint8_t old, uint8_t new, uint8_t rsp_event)
{
    struct {
        uint8_t rsp_prod, rsp_event;
    } shared = {old, rsp_event};
    struct {
        __typeof__(shared) *sring;
        uint8_t rsp_prod_pvt;
    } ring = {&shared, new};
    int notify;

    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, notify);
    return notify != 0;
}
#endif
