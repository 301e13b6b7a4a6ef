/* SPDX-License-Identifier: MIT
 *
 * blkfront: drives a disk of this domain from user space, through the ring, as a guest's kernel
 * would. main() and what the commands share.
 *
 * Threads: one, but for bench's.
 */
#include "front/tool.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "front/vdev.h"

static const struct {
    const char *name;
    int (*run)(const struct tool_args *args);
} commands[] = {
    {"info", tool_info},     {"read", tool_read},   {"write", tool_write},
    {"verify", tool_verify}, {"bench", tool_bench}, {"nbd", tool_nbd},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
    interrupted = signo;
}

void tool_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool tool_interrupted(void)
{
    return interrupted != 0;
}

uint64_t tool_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int tool_exit_code(int err)
{
    switch (err) {
    case 0:
        return TOOL_OK;
    case -EHOSTUNREACH:
        return TOOL_UNREACHABLE;
    case -ENOENT:
        return TOOL_NOT_FOUND;
    case -ETIMEDOUT:
        return TOOL_TIMEOUT;
    case -EBUSY:
        return TOOL_BUSY;
    default:
        return TOOL_FAILED;
    }
}

int tool_fail(int err, const char *fmt, ...)
{
    va_list ap;

    fputs("blkfront: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return tool_exit_code(err);
}

const char *tool_transfer_error(const struct blkfront *bf, int err)
{
    switch (err) {
    case -EPROTO:
        return blkfront_error(bf, 0);
    case -ENOTCONN:
        return "the backend closed the connection: is the disk being detached?";
    case -EIO:
        return "the backend answered with an error: see its log";
    case -EOPNOTSUPP:
        return "the backend does not support it";
    default:
        return strerror(-err);
    }
}

void tool_options(const struct tool_args *args, struct blkfront_options *opt)
{
    *opt = (struct blkfront_options){
        .hv = args->hv,
        .devid = args->devid,
        .protocol = args->protocol,
        .queues = (uint32_t)args->queues,
        .ring_order = (uint32_t)args->ring_order,
        .no_persistent = args->no_persistent,
        .no_indirect = args->no_indirect,
        .poll = args->poll,
        .end_grants = args->end_grants,
        .timeout_ms = (uint32_t)args->timeout_ms,
    };
}

int tool_open(const struct tool_args *args, struct blkfront **bf)
{
    struct blkfront_options opt;
    char error[400] = "";
    int rc;

    tool_options(args, &opt);
    rc = blkfront_open(&opt, bf, error, sizeof(error));
    if (rc < 0)
        return tool_fail(rc, "%s: %s", args->disk, error[0] != '\0' ? error : strerror(-rc));
    return TOOL_OK;
}

int tool_range(const struct tool_args *args, uint64_t disk_sectors, struct tool_range *range)
{
    uint64_t bytes = disk_sectors * 512, length = args->length;

    if (args->offset % 512 != 0 || (length != UINT64_MAX && length % 512 != 0)) {
        tool_fail(-EINVAL, "--offset and --length must be multiples of 512 bytes");
        return TOOL_USAGE;
    }
    if (args->offset > bytes || (length != UINT64_MAX && length > bytes - args->offset)) {
        tool_fail(-EINVAL, "--offset and --length reach beyond the disk's %" PRIu64 " bytes",
                  bytes);
        return TOOL_USAGE;
    }
    if (length == UINT64_MAX)
        length = bytes - args->offset;
    *range = (struct tool_range){.sector = args->offset / 512, .nr_sectors = length / 512};
    return TOOL_OK;
}

int main(int argc, char **argv)
{
    struct tool_args args;
    const char *command;
    int code;

    command = tool_parse(argc, argv, &args, &code);
    if (command == NULL)
        return code;
    if (vdev_parse(args.disk, &args.devid) < 0) {
        tool_fail(-EINVAL, "'%s' is no disk: a name like xvda, sda1, d0p2, or a number", args.disk);
        return TOOL_USAGE;
    }
    tool_catch_signals();
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, command) == 0)
            return commands[i].run(&args);
    return TOOL_USAGE;
}
