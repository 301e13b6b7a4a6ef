/* SPDX-License-Identifier: MIT
 *
 * Clients of a server's sockets without sockets in a folder: msg_listen() and accept4() are
 * wrapped by the linker, a connection is a socket pair. Threads: one.
 */
#ifndef FUZZ_SOCKETS_H
#define FUZZ_SOCKETS_H

#include "base/loop.h"
#include "input.h"

/* Connects to the socket that was listened on as path (its last part is enough), of type
 * SOCK_STREAM or SOCK_SEQPACKET. Non-blocking. */
int rig_connect_to(struct loop *loop, const char *name, int type);
/* Lets the server do what it has to do. */
void rig_serve(struct loop *loop);
/* The lowest number that is free: the same before and after, unless something was left open. */
int rig_next_descriptor(void);

#endif
