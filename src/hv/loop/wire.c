/* SPDX-License-Identifier: MIT
 *
 * The lengths of the loopback's messages, as data. Threads: any.
 */
#include "hv/loop/wire.h"

#define HEAD sizeof(struct loop_head)

static const struct {
    uint32_t req, rsp;
} bytes[LOOP_OP_COUNT] = {
    [LOOP_HELLO] = {sizeof(struct loop_hello_req), HEAD},
    [LOOP_PEER] = {sizeof(struct loop_domid_req), sizeof(struct loop_peer_rsp)},
    [LOOP_SLOT_OPEN] = {sizeof(struct loop_domid_req), sizeof(struct loop_slot_msg)},
    [LOOP_SLOT_CLOSE] = {sizeof(struct loop_slot_msg), HEAD},
    [LOOP_MAP] = {sizeof(struct loop_map_req), sizeof(struct loop_map_rsp)},
    [LOOP_UNMAP] = {sizeof(struct loop_unmap_req), HEAD},
    [LOOP_SHARE] = {sizeof(struct loop_share_req), sizeof(struct loop_share_rsp)},
    [LOOP_UNSHARE] = {sizeof(struct loop_unshare_req), HEAD},
    [LOOP_EV_ALLOC] = {sizeof(struct loop_ev_req), sizeof(struct loop_ev_rsp)},
    [LOOP_EV_BIND] = {sizeof(struct loop_ev_req), sizeof(struct loop_ev_rsp)},
    [LOOP_EV_CLOSE] = {sizeof(struct loop_ev_req), HEAD},
    [LOOP_CREATE] = {sizeof(struct loop_create_msg), sizeof(struct loop_create_msg)},
    [LOOP_INTRODUCE] = {sizeof(struct loop_domid_req), HEAD},
    [LOOP_DESTROY] = {sizeof(struct loop_domid_req), HEAD},
    [LOOP_LIST] = {sizeof(struct loop_cursor_req), sizeof(struct loop_list_rsp)},
    [LOOP_REPORT] = {sizeof(struct loop_cursor_req), sizeof(struct loop_report_rsp)},
    [LOOP_SET_FAIL] = {sizeof(struct loop_fail_req), HEAD},
    [LOOP_SET_LIMIT] = {sizeof(struct loop_limit_req), HEAD},
};

uint32_t loop_req_bytes(uint32_t op)
{
    return op < LOOP_OP_COUNT ? bytes[op].req : 0;
}

uint32_t loop_rsp_bytes(uint32_t op)
{
    return op < LOOP_OP_COUNT ? bytes[op].rsp : 0;
}
