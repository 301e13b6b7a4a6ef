/* SPDX-License-Identifier: MIT
 *
 * The two ends of base/vbdmsg.h, each with the other played by the fuzzer. Threads: one.
 */
#ifndef FUZZ_VBDMSG_H
#define FUZZ_VBDMSG_H

#include "base/vbdmsg.h"
#include "input.h"

union any_message {
    struct vbd_head head;
    struct vbd_setup setup;
    struct vbd_connect connect;
    struct vbd_failed failed;
    struct vbd_halted halted;
    unsigned char bytes[sizeof(struct vbd_connect) + 64];
};

/* A message of one of the types, mostly whole. Returns its length. */
size_t take_message(struct input *in, union any_message *m, const uint32_t *types, unsigned n);

/* vbdmsg_worker.c: src/worker hears from a daemon. */
void worker_hears(struct input *in);

#endif
