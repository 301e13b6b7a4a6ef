/* SPDX-License-Identifier: MIT
 *
 * Starting a worker's process, and the page of memory its statistics live in. Threads: any.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <sys/types.h>

#include "base/stats.h"

/* name: the disk, "3:xvda", its only argument: for its log and for ps.
 * The program gets a fresh socket as descriptor VBD_SOCKET_FD and stdin from /dev/null; every other
 * descriptor but stdout and stderr is closed. *sock: the daemon's end, non-blocking. */
int spawn_worker(const char *program, const char *name, pid_t *pid, int *pidfd, int *sock);

/* A zeroed page whose size is sealed, so that no holder can shrink it under another. */
int stats_page_create(struct stats_page **page, int *fd);
void stats_page_destroy(struct stats_page *page, int fd);

#endif
