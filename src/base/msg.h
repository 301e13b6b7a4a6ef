/* SPDX-License-Identifier: MIT
 *
 * Datagrams with file descriptors over a Unix SOCK_SEQPACKET socket.
 */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stddef.h>

#define MSG_FDS_MAX 16

/* Sends one message of len bytes (> 0) with nfds descriptors, which stay the caller's.
 * Returns 0 or a negative errno (-EPIPE: the peer is gone; -EAGAIN on a non-blocking socket). */
int msg_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds);

/* Receives one message into buf. Descriptors that came along are the caller's, close-on-exec.
 * fds has room for MSG_FDS_MAX; *nfds is how many came. Returns the length in bytes, 0 when the
 * peer has closed, or a negative errno: -EMSGSIZE when the message did not fit (it is lost and its
 * descriptors are closed). */
int msg_recv(int sock, void *buf, size_t cap, int *fds, size_t *nfds);

/* A connected pair, both close-on-exec. */
int msg_pair(int socks[2]);

/* Listens on, or connects to, a Unix socket of the given type (SOCK_SEQPACKET or SOCK_STREAM);
 * non-blocking if asked. Returns the descriptor or a negative errno (-ENAMETOOLONG for a path that
 * does not fit). msg_listen replaces a socket left by a dead process, and refuses with -EADDRINUSE
 * if a live one answers there. mode: the permission bits of the socket file. */
int msg_listen(const char *path, int type, unsigned mode);
int msg_connect(const char *path, int type);

#endif
