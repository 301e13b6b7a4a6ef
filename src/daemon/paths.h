/* SPDX-License-Identifier: MIT
 *
 * Where things are installed; the build may say otherwise.
 */
#ifndef DAEMON_PATHS_H
#define DAEMON_PATHS_H

#ifndef DEFAULT_RUN_DIR
#define DEFAULT_RUN_DIR "/run/blkbackd"
#endif
#ifndef WORKER_LIBEXECDIR
#define WORKER_LIBEXECDIR "/usr/libexec/blkbackd"
#endif
#ifndef PROJECT_VERSION
#define PROJECT_VERSION "0.1.0"
#endif

#define CONTROL_SOCKET_NAME "control.sock"

#endif
