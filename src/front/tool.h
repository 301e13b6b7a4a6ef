/* SPDX-License-Identifier: MIT
 *
 * The tool `blkfront`: what its commands share. Each command is one function in a file of its own
 * that returns an exit code.
 */
#ifndef FRONT_TOOL_H
#define FRONT_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "blkfront.h"

/* Exit codes, the same as blkbackctl's. */
enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1,
    TOOL_USAGE = 2,
    TOOL_UNREACHABLE = 3,
    TOOL_NOT_FOUND = 4,
    TOOL_TIMEOUT = 5,
    TOOL_BUSY = 6,
};

enum tool_rw { TOOL_READ, TOOL_WRITE, TOOL_RANDREAD, TOOL_RANDWRITE, TOOL_RANDRW };

struct tool_args {
    /* every command */
    const char *hv, *disk, *protocol;
    uint32_t devid; /* of disk */
    uint64_t queues, ring_order, timeout_ms;
    bool json, poll, no_persistent, no_indirect, end_grants;
    /* read, write, verify */
    const char *to, *from;
    uint64_t offset, length; /* bytes; length UINT64_MAX: to the end */
    uint64_t pattern;        /* UINT64_MAX: none */
    bool no_write;
    /* bench */
    const char *rw;
    uint64_t bs, iodepth, runtime, count; /* bytes, requests, seconds, requests */
    bool no_copy;
    /* nbd */
    const char *socket, *run, *plugin;
};

/* args.c: fills *args; the name of the command, or NULL when everything is said and the process
 * should exit with *exit_code. */
const char *tool_parse(int argc, char **argv, struct tool_args *args, int *exit_code);

/* tool.c */
int tool_open(const struct tool_args *args, struct blkfront **bf);
void tool_options(const struct tool_args *args, struct blkfront_options *opt);
/* One line on stderr; returns the exit code for err (a negative errno). */
int tool_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int tool_exit_code(int err);
/* What a failed transfer means, for a person. */
const char *tool_transfer_error(const struct blkfront *bf, int err);
uint64_t tool_now_ns(void);
/* SIGINT and SIGTERM set a flag instead of ending the process, so that the disk is closed. */
void tool_catch_signals(void);
bool tool_interrupted(void);

struct tool_range {
    uint64_t sector, nr_sectors;
};
/* The range of --offset and --length on a disk of so many sectors: TOOL_OK, or an exit code with
 * the line written. */
int tool_range(const struct tool_args *args, uint64_t disk_sectors, struct tool_range *range);

/* progress.c: a line on stderr when that is a terminal. total 0: not known. */
struct tool_progress {
    const char *what;
    uint64_t total, start_ns, shown_ns;
    bool on;
};
void tool_progress_start(struct tool_progress *p, const char *what, uint64_t total);
void tool_progress_show(struct tool_progress *p, uint64_t done);
void tool_progress_text(struct tool_progress *p, const char *text);
void tool_progress_end(struct tool_progress *p);
/* Instead, when all went well: without a terminal one line that says what was done. */
void tool_progress_done(struct tool_progress *p, uint64_t done);

int tool_info(const struct tool_args *args);
int tool_read(const struct tool_args *args);
int tool_write(const struct tool_args *args);
int tool_verify(const struct tool_args *args);
int tool_bench(const struct tool_args *args);
int tool_nbd(const struct tool_args *args);

#endif
