/* SPDX-License-Identifier: MIT
 *
 * posix_spawn of a worker; sealed shared memory. Threads: any.
 */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/vbdmsg.h"

extern char **environ;

static int prepare(posix_spawnattr_t *attr, posix_spawn_file_actions_t *actions, int sock)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    /* Signals as a fresh process has them; a group of its own, so that Ctrl-C at the daemon's
     * terminal reaches the daemon alone, which then ends its workers in order. */
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &all);
    posix_spawnattr_setpgroup(attr, 0);
    posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                       POSIX_SPAWN_SETPGROUP);
    int err = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(actions, sock, VBD_SOCKET_FD);
    if (!err)
        err = posix_spawn_file_actions_addclosefrom_np(actions, VBD_SOCKET_FD + 1);
    return -err;
}

static int spawn(const char *program, const char *name, int sock, pid_t *pid)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)name, NULL};

    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&actions);
    int err = prepare(&attr, &actions, sock);
    if (!err)
        err = -posix_spawn(pid, program, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return err;
}

int spawn_worker(const char *program, const char *name, pid_t *pid, int *pidfd, int *sock)
{
    int pair[2];
    int err = msg_pair(pair);

    if (err)
        return err;
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK))
        err = -errno;
    if (!err)
        err = spawn(program, name, pair[1], pid);
    close(pair[1]);
    if (!err) {
        *pidfd = pidfd_open(*pid, 0);
        if (*pidfd < 0) {
            err = -errno;
            kill(*pid, SIGKILL);
            waitpid(*pid, NULL, 0);
        }
    }
    if (err) {
        close(pair[0]);
        return err;
    }
    *sock = pair[0];
    return 0;
}

int stats_page_create(struct stats_page **page, int *fd)
{
    int err = 0;

    *fd = memfd_create("blkbackd-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return -errno;
    if (ftruncate(*fd, sizeof(**page)) ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        err = -errno;
    if (!err) {
        *page = mmap(NULL, sizeof(**page), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
        if (*page == MAP_FAILED)
            err = -errno;
    }
    if (err) {
        close(*fd);
        return err;
    }
    (*page)->magic = STATS_MAGIC;
    (*page)->version = STATS_VERSION;
    return 0;
}

void stats_page_destroy(struct stats_page *page, int fd)
{
    if (!page)
        return;
    munmap(page, sizeof(*page));
    close(fd);
}
