/* SPDX-License-Identifier: MIT
 *
 * One small file for each living worker in the run folder, so that a daemon that was started after
 * another was killed can tell that a disk's old worker is still finishing its I/O: two workers on
 * one ring would answer requests twice. Threads: any.
 */
#ifndef DAEMON_LIFEFILE_H
#define DAEMON_LIFEFILE_H

#include <sys/types.h>

/* Names the process, with its start time, since process ids are used again. Best effort: a folder
 * that cannot be written costs only this protection. */
void lifefile_write(const char *run_dir, const char *nodename, pid_t pid);
void lifefile_remove(const char *run_dir, const char *nodename);

/* A pidfd of the process that the file names if it still lives, *pid set; otherwise -ENOENT and the
 * file is removed. */
int lifefile_living(const char *run_dir, const char *nodename, pid_t *pid);

#endif
