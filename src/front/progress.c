/* SPDX-License-Identifier: MIT
 *
 * The progress line: five times a second at most, and only for a person.
 *
 * Threads: the main one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "front/tool.h"

#define BAR_WIDTH 30
#define EVERY_NS  200000000ull

void tool_progress_start(struct tool_progress *p, const char *what, uint64_t total)
{
    *p = (struct tool_progress){
        .what = what, .total = total, .start_ns = tool_now_ns(), .on = isatty(STDERR_FILENO) == 1};
}

static bool due(struct tool_progress *p)
{
    uint64_t now = tool_now_ns();

    if (!p->on || now - p->shown_ns < EVERY_NS)
        return false;
    p->shown_ns = now;
    return true;
}

static void show(struct tool_progress *p, uint64_t done)
{
    double seconds = (double)(tool_now_ns() - p->start_ns) / 1e9;
    double mib = (double)done / 1048576.0;
    int filled = p->total != 0 ? (int)((double)done / (double)p->total * BAR_WIDTH) : 0;
    char bar[BAR_WIDTH + 1];

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d%% %.0f MiB, %.0f MiB/s \033[K", p->what, bar,
            p->total != 0 ? (int)((double)done / (double)p->total * 100) : 0, mib,
            seconds > 0 ? mib / seconds : 0);
}

void tool_progress_show(struct tool_progress *p, uint64_t done)
{
    if (due(p) || (p->on && done == p->total && done != 0))
        show(p, done);
}

void tool_progress_text(struct tool_progress *p, const char *text)
{
    if (due(p))
        fprintf(stderr, "\r%s %s \033[K", p->what, text);
}

void tool_progress_end(struct tool_progress *p)
{
    if (p->on && p->shown_ns != 0)
        fputc('\n', stderr);
    p->on = false;
}

void tool_progress_done(struct tool_progress *p, uint64_t done)
{
    double seconds = (double)(tool_now_ns() - p->start_ns) / 1e9;
    double mib = (double)done / 1048576.0;

    if (p->on) {
        show(p, done);
        fputc('\n', stderr);
        p->on = false;
        return;
    }
    fprintf(stderr, "%s: %.1f MiB in %.2f s, %.0f MiB/s\n", p->what, mib, seconds,
            seconds > 0 ? mib / seconds : 0);
}
