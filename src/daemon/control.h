/* SPDX-License-Identifier: MIT
 *
 * The control socket: a client sends one line of JSON, gets one line of JSON, and is closed. The
 * daemon never waits for a client; a slow one is cut off.
 *
 *   request   {"cmd":"list"}  {"cmd":"show","disk":"3:xvda"}  {"cmd":"caches"}  {"cmd":"doctor"}
 *             {"cmd":"version"}
 *   answer    {"schema":1,"ok":true,...}
 *             {"schema":1,"ok":false,"code":"usage"|"not-found"|"failed","error":"..."}
 *
 * Threads: the daemon's.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/daemon.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_REQUEST_MAX 4096 /* bytes of the request line */
#define CONTROL_CLIENT_MS   10000u

/* Makes <run dir>/control.sock, mode 0600. */
int control_start(struct daemon *daemon, struct control **out, struct errmsg *err);
/* Removes it; clients are cut off. NULL is fine. */
void control_stop(struct control *control);

#endif
