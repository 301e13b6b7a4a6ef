/* SPDX-License-Identifier: MIT
 *
 * blkfront nbd: runs nbdkit with the plugin of this project, which drives the disk.
 *
 * Threads: one. nbdkit is a child; signals are passed on, its socket is removed when it has ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front/tool.h"

#define ARGS_MAX 24
#define PLUGIN   "blkfront-nbdkit.so"

struct nbdkit_args {
    char *argv[ARGS_MAX];
    int n;
    char text[8][600];
    int texts;
};

static void add(struct nbdkit_args *a, const char *arg)
{
    a->argv[a->n++] = (char *)(uintptr_t)arg;
}

__attribute__((format(printf, 2, 3))) static void add_text(struct nbdkit_args *a, const char *fmt,
                                                           ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(a->text[a->texts], sizeof(a->text[0]), fmt, ap);
    va_end(ap);
    add(a, a->text[a->texts++]);
}

/* Beside this program (a build tree), else where it was installed. */
static int find_plugin(const struct tool_args *args, char *path, size_t cap)
{
    ssize_t n;

    if (args->plugin != NULL)
        return snprintf(path, cap, "%s", args->plugin) < (int)cap && access(path, R_OK) == 0
                   ? 0
                   : -ENOENT;
    n = readlink("/proc/self/exe", path, cap - 1);
    if (n > 0) {
        path[n] = '\0';
        *(strrchr(path, '/') + 1) = '\0';
        if (strlen(path) + sizeof(PLUGIN) <= cap) {
            strncat(path, PLUGIN, cap - strlen(path) - 1);
            if (access(path, R_OK) == 0)
                return 0;
        }
    }
    snprintf(path, cap, "%s/%s", BLKFRONT_PLUGIN_DIR, PLUGIN);
    return access(path, R_OK) == 0 ? 0 : -ENOENT;
}

static void make_args(struct nbdkit_args *a, const struct tool_args *args, const char *plugin)
{
    add(a, "nbdkit");
    add(a, "-f");
    if (args->run != NULL) {
        add(a, "--run");
        add(a, args->run);
    } else {
        add(a, "--exit-with-parent");
    }
    add(a, "-U");
    add(a, args->socket != NULL ? args->socket : "-");
    add(a, plugin);
    add_text(a, "hv=%s", args->hv);
    add_text(a, "disk=%s", args->disk);
    add_text(a, "ring-order=%" PRIu64, args->ring_order);
    add_text(a, "timeout=%" PRIu64, args->timeout_ms);
    if (args->protocol != NULL)
        add_text(a, "protocol=%s", args->protocol);
    if (args->no_persistent)
        add(a, "no-persistent=true");
    if (args->no_indirect)
        add(a, "no-indirect=true");
    if (args->poll)
        add(a, "poll=true");
    add(a, NULL);
}

/* Passes our signal on once, and waits. */
static int wait_child(pid_t pid)
{
    struct timespec nap = {.tv_nsec = 50000000};
    bool passed_on = false;
    int status;

    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);

        if (got == pid)
            break;
        if (got < 0 && errno != EINTR)
            return TOOL_FAILED;
        if (tool_interrupted() && !passed_on) {
            kill(pid, SIGTERM);
            passed_on = true;
        }
        nanosleep(&nap, NULL);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return tool_fail(-ENOEXEC, "nbdkit is not installed: install the package nbdkit");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? TOOL_OK : TOOL_FAILED;
}

int tool_nbd(const struct tool_args *args)
{
    static struct nbdkit_args a;
    char plugin[600];
    pid_t pid;
    int code;

    if (args->socket == NULL && args->run == NULL) {
        tool_fail(-EINVAL, "nbd needs --socket PATH or --run COMMAND");
        return TOOL_USAGE;
    }
    if (find_plugin(args, plugin, sizeof(plugin)) < 0) {
        tool_fail(-EINVAL,
                  "the nbdkit plugin %s is missing: build with the package "
                  "nbdkit-plugin-dev installed, or say where it is with --plugin",
                  PLUGIN);
        return TOOL_FAILED;
    }
    if (args->socket != NULL && access(args->socket, F_OK) == 0)
        return tool_fail(-EBUSY, "%s is there already: remove it if nobody uses it", args->socket);
    make_args(&a, args, plugin);
    pid = fork();
    if (pid < 0)
        return tool_fail(-errno, "fork: %s", strerror(errno));
    if (pid == 0) {
        execvp("nbdkit", a.argv);
        _exit(127);
    }
    code = wait_child(pid);
    if (args->socket != NULL)
        unlink(args->socket);
    return code;
}
