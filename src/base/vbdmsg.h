/* SPDX-License-Identifier: MIT
 *
 * The messages between the daemon and a worker (blkbackd-vbd), over a SOCK_SEQPACKET pair. Each
 * message is one struct below, whole, with its descriptors beside it. Same machine, same build: the
 * version is checked, layouts are not negotiated.
 *
 *   daemon                         worker (socket is descriptor VBD_SOCKET_FD)
 *     VBD_SETUP  + stats, storage →      opens the hypervisor, starts the engine
 *                                 ←  VBD_READY        or VBD_FAILED
 *     VBD_CONNECT                 →      maps the rings, binds the ports, starts a thread for each
 *                                 ←  VBD_CONNECTED    or VBD_FAILED (all of it undone)
 *     VBD_DISCONNECT              →      stops taking requests, finishes those taken, answers them,
 *                                        unmaps, unbinds
 *                                 ←  VBD_DISCONNECTED
 *     VBD_CONNECT again (kexec, suspend, reconnect), or
 *     VBD_PAUSE                   →      takes nothing more, finishes and answers what it has
 *                                 ←  VBD_PAUSED
 *     VBD_RESUME                  →      goes on
 *                                 ←  VBD_RESUMED
 *     VBD_QUIT, or the socket closes → disconnects as above and exits
 *                                 ←  VBD_HALTED       any time: a ring was stopped for good
 *
 * One exchange at a time: the daemon sends nothing but VBD_QUIT while it waits for an answer.
 * The worker trusts the daemon; the daemon checks what the worker says (it has touched guest
 * memory).
 */
#ifndef BASE_VBDMSG_H
#define BASE_VBDMSG_H

#include <stdint.h>

#include "base/error.h"

#define VBD_MSG_MAGIC   0x76626d31u /* "vbm1" */
#define VBD_MSG_VERSION 2u
#define VBD_SOCKET_FD   3 /* the worker's end */
#define VBD_RINGS_MAX   64
#define VBD_REFS_MAX    16
#define VBD_HV_SPEC_MAX 128
#define VBD_NAME_MAX    32
#define VBD_ENGINE_DESC_MAX                                                                        \
    512 /* bytes of a struct engine_desc (engine/engine.h), checked there                          \
         */

enum vbd_msg_type {
    VBD_SETUP = 1,
    VBD_CONNECT,
    VBD_DISCONNECT,
    VBD_QUIT,
    VBD_PAUSE,
    VBD_RESUME,
    VBD_READY = 100,
    VBD_CONNECTED,
    VBD_DISCONNECTED,
    VBD_FAILED,
    VBD_HALTED,
    VBD_PAUSED,
    VBD_RESUMED,
};

struct vbd_head {
    uint32_t magic, version;
    uint32_t type;  /* enum vbd_msg_type */
    uint32_t bytes; /* of the whole message */
};

/* Descriptors: [0] the statistics page, [1..] the engine's, in the order of its desc. */
struct vbd_setup {
    struct vbd_head head;
    uint32_t domid; /* of the guest */
    uint32_t devid;
    char name[VBD_NAME_MAX]; /* "xvda": for thread names and the log */
    char hv[VBD_HV_SPEC_MAX];
    uint32_t log_level;
    uint32_t persistent_max; /* persistent grants for each ring */
    uint32_t max_indirect;   /* segments offered to the guest, 0: none */
    uint32_t read_only;      /* 0 or 1 */
    uint32_t engine_desc_bytes;
    uint8_t engine_desc[VBD_ENGINE_DESC_MAX];
};

struct vbd_ring_params {
    uint32_t port;    /* the frontend's event channel */
    uint32_t nr_refs; /* 1, 2, 4, 8 or 16 */
    uint32_t refs[VBD_REFS_MAX];
};

struct vbd_connect {
    struct vbd_head head;
    uint32_t abi;        /* enum blkif_abi */
    uint32_t persistent; /* 1: both sides said feature-persistent=1 */
    uint32_t nr_rings;
    struct vbd_ring_params ring[VBD_RINGS_MAX];
};

/* VBD_DISCONNECT, VBD_QUIT, VBD_PAUSE, VBD_RESUME, VBD_READY, VBD_CONNECTED, VBD_DISCONNECTED,
 * VBD_PAUSED and VBD_RESUMED are a struct vbd_head alone.
 */

struct vbd_failed {
    struct vbd_head head;
    int32_t err; /* negative errno */
    struct errmsg why;
};

struct vbd_halted {
    struct vbd_head head;
    uint32_t ring;
    uint32_t reason; /* enum ring_halt */
    struct errmsg why;
};

#endif
