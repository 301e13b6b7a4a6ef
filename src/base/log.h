/* SPDX-License-Identifier: MIT
 *
 * One log for each process: lines on stderr, which the service manager collects. Under systemd
 * (JOURNAL_STREAM set) each line starts with its "<priority>".
 *
 * Whatever a guest can cause is logged through a struct log_limit, so that a guest cannot fill the
 * disk of its host (XSA-180).
 *
 * Threads: any. A line is written with one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* ident: the name at the head of each line, e.g. "blkbackd" or "blkbackd-vbd 3.51712"; copied.
 * Lines above max_level are dropped. Call once, before other threads exist. */
void log_open(const char *ident, enum log_level max_level);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A token bucket: LOG_LIMIT_BURST lines at once, then one for each LOG_LIMIT_SECONDS.
 * Start it zeroed. One thread. */
#define LOG_LIMIT_BURST   5
#define LOG_LIMIT_SECONDS 10

struct log_limit {
    uint64_t window_start; /* seconds, CLOCK_MONOTONIC */
    uint32_t used;
    uint64_t suppressed; /* lines dropped since the last one let through */
};

/* True if a line may be written now. When lines have been dropped since the last one, a count of
 * them is logged first. */
bool log_limit_ok(struct log_limit *limit);

#endif
