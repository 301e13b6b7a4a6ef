/* SPDX-License-Identifier: MIT
 *
 * Files of living workers. Threads: any.
 */
#include "daemon/lifefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* backend/vbd/3/51712 -> RUN/vbd-3-51712.worker */
static int name(char *out, size_t cap, const char *run_dir, const char *nodename)
{
    const char *rest = strchr(nodename, '/');
    int n = snprintf(out, cap, "%s/%s.worker", run_dir, rest ? rest + 1 : nodename);

    if (n < 0 || (size_t)n >= cap)
        return -ENAMETOOLONG;
    for (char *p = out + strlen(run_dir) + 1; *p; p++) {
        if (*p == '/')
            *p = '-';
    }
    return 0;
}

/* Field 22 of /proc/PID/stat, counted after the command's closing parenthesis. 0: no such process.
 */
static unsigned long long start_time(pid_t pid)
{
    char path[32], stat[1024];
    unsigned long long ticks = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(stat, 1, sizeof(stat) - 1, f) : 0;
    if (f)
        fclose(f);
    stat[n] = '\0';
    const char *p = strrchr(stat, ')');
    /* A zombie lives no more, though nobody may have fetched its status yet. */
    if (p && (strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0))
        return 0;
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (p)
        sscanf(p, " %llu", &ticks);
    return ticks;
}

void lifefile_write(const char *run_dir, const char *nodename, pid_t pid)
{
    char path[PATH_MAX];

    if (name(path, sizeof(path), run_dir, nodename))
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    dprintf(fd, "%d %llu\n", (int)pid, start_time(pid));
    close(fd);
}

void lifefile_remove(const char *run_dir, const char *nodename)
{
    char path[PATH_MAX];

    if (!name(path, sizeof(path), run_dir, nodename))
        unlink(path);
}

int lifefile_living(const char *run_dir, const char *nodename, pid_t *pid)
{
    char path[PATH_MAX];
    unsigned long long ticks = 0;
    int number = 0, pidfd = -1;

    if (name(path, sizeof(path), run_dir, nodename))
        return -ENOENT;
    FILE *f = fopen(path, "re");
    if (!f)
        return -ENOENT;
    /* The descriptor first, then the start time: it cannot become another process in between. */
    if (fscanf(f, "%d %llu", &number, &ticks) == 2 && number > 0)
        pidfd = pidfd_open(number, 0);
    fclose(f);
    if (pidfd >= 0 && start_time(number) != ticks) {
        close(pidfd);
        pidfd = -1;
    }
    if (pidfd < 0) {
        unlink(path);
        return -ENOENT;
    }
    *pid = number;
    return pidfd;
}
