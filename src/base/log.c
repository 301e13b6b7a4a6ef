/* SPDX-License-Identifier: MIT
 *
 * Log lines on stderr. Threads: any once log_open() has run; each line is one write(2), so lines of
 * several threads and processes do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024 /* bytes; longer lines are cut */

static char log_ident[64] = "blkbackd";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_journal;

void log_open(const char *ident, enum log_level max_level)
{
    snprintf(log_ident, sizeof(log_ident), "%s", ident);
    log_max = max_level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
    static const int priority[] = {3, 4, 6, 7}; /* syslog's numbers */
    char line[LOG_LINE_MAX];
    int at;
    va_list ap;

    if (level > log_max)
        return;
    if (log_journal)
        at = snprintf(line, sizeof(line), "<%d>%s%s", priority[level], word[level], "");
    else
        at = snprintf(line, sizeof(line), "%s: %s", log_ident, word[level]);
    va_start(ap, fmt);
    int n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, ap);
    va_end(ap);
    size_t len = strnlen(line, sizeof(line) - 2);
    if (n < 0)
        return;
    line[len++] = '\n';
    /* A log that cannot be written must not stop a disk. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

bool log_limit_ok(struct log_limit *limit)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t now = (uint64_t)ts.tv_sec;
    if (limit->window_start == 0) /* zeroed by its owner: the burst is whole */
        limit->window_start = now ? now : 1;
    uint64_t earned = (now - limit->window_start) / LOG_LIMIT_SECONDS;
    if (earned) {
        limit->window_start += earned * LOG_LIMIT_SECONDS;
        limit->used = earned >= limit->used ? 0 : limit->used - (uint32_t)earned;
    }
    if (limit->used >= LOG_LIMIT_BURST) {
        limit->suppressed++;
        return false;
    }
    limit->used++;
    if (limit->suppressed) {
        log_warn("%llu similar messages were suppressed", (unsigned long long)limit->suppressed);
        limit->suppressed = 0;
    }
    return true;
}
