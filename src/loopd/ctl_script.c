/* SPDX-License-Identifier: MIT
 *
 * A hotplug script, with the environment and the patience that libxl gives it.
 */
#include "loopd/ctl.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT_MS 40000

static void child(struct ctl *c, const struct disk *d, const char *script, const char *action)
{
    char path[64], socket[256];

    snprintf(path, sizeof(path), "backend/%s/%u/%u", d->kind, d->domid, d->devid);
    snprintf(socket, sizeof(socket), "%s/xenstored.sock", c->dir);
    setpgid(0, 0);
    setenv("script", script, 1);
    setenv("XENBUS_TYPE", d->kind, 1);
    setenv("XENBUS_PATH", path, 1);
    setenv("XENBUS_BASE_PATH", "backend", 1);
    setenv("XENSTORED_PATH", socket, 1);
    execl(script, script, action, (char *)NULL);
    fprintf(stderr, "blkback-loopctl: %s: %s\n", script, strerror(errno));
    _exit(127);
}

/* The script's wait status, or -ETIMEDOUT. */
static int wait_child(pid_t pid)
{
    int status, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = fd < 0 ? -1 : poll(&p, 1, SCRIPT_MS);

    if (r == 0)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (fd >= 0)
        close(fd);
    return r == 0 ? -ETIMEDOUT : status;
}

enum ctl_status script_run(struct ctl *c, const struct disk *d, const char *script,
                           const char *action)
{
    char path[128], why[1024];

    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return ctl_fail(CTL_FAILED, "cannot run %s: %s", script, strerror(errno));
    if (!pid)
        child(c, d, script, action);
    setpgid(pid, pid); /* in both, whoever comes first */
    int status = wait_child(pid);
    if (status == 0)
        return CTL_OK;
    if (status == -ETIMEDOUT)
        return ctl_fail(CTL_TIMEOUT, "%s %s took more than %d s and was killed", script, action,
                        SCRIPT_MS / 1000);
    snprintf(path, sizeof(path), "%s/hotplug-error", d->back);
    if (hv_store_read(c->store, 0, path, why, sizeof(why)) <= 0)
        snprintf(why, sizeof(why), "it left no hotplug-error; wait status %d", status);
    return ctl_fail(CTL_FAILED, "%s %s failed: %s", script, action, why);
}
