/* SPDX-License-Identifier: MIT
 *
 * blkbackctl show. Threads: one.
 */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

static void line(const char *key, const char *value)
{
    if (*value)
        printf("%-14s %s\n", key, value);
}

static const char *state_word(uint64_t state)
{
    static const char *const words[] = {"absent",      "Initialising",  "InitWait",
                                        "Initialised", "Connected",     "Closing",
                                        "Closed",      "Reconfiguring", "Reconfigured"};

    return state < sizeof(words) / sizeof(words[0]) ? words[state] : "not a state";
}

static void states(struct json_object *disk)
{
    char text[128];
    uint64_t ours = field_u64(disk, "backend_state"), theirs = field_u64(disk, "frontend_state");

    snprintf(text, sizeof(text), "%s for %llu s", field_text(disk, "state"),
             (unsigned long long)field_u64(disk, "seconds"));
    line("state", text);
    snprintf(text, sizeof(text), "%llu (%s)", (unsigned long long)ours, state_word(ours));
    line("backend", text);
    snprintf(text, sizeof(text), "%llu (%s)", (unsigned long long)theirs, state_word(theirs));
    line("frontend", text);
    line("waits for", field_text(disk, "waits_for"));
    line("error", field_text(disk, "error"));
    line("halted", field_text(disk, "halted"));
}

static void storage(struct json_object *disk)
{
    char text[128], human[HUMAN_MAX];
    uint64_t size = field_u64(disk, "size_bytes");

    line("target", field_text(disk, "target"));
    line("engine", field_text(disk, "engine"));
    line("note", field_text(disk, "note"));
    snprintf(text, sizeof(text), "%s%s", field_text(disk, "mode"),
             field_bool(disk, "shared") ? ", shared" : "");
    line("mode", text);
    if (!size)
        return;
    snprintf(text, sizeof(text), "%s (%llu bytes, %llu sectors of 512)", human_bytes(size, human),
             (unsigned long long)size, (unsigned long long)size / 512);
    line("size", text);
}

static void features(struct json_object *disk)
{
    struct json_object *f = field(disk, "features");
    static const char *const names[] = {"persistent", "flush", "barrier", "discard",
                                        "discard_secure"};
    char text[128] = "";
    size_t len = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (field_bool(f, names[i]))
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", names[i]);
    }
    line("features", text);
    if (field_u64(disk, "queues")) {
        snprintf(text, sizeof(text), "%s, %llu queue(s) of %llu page(s)",
                 field_text(disk, "protocol"), (unsigned long long)field_u64(disk, "queues"),
                 (unsigned long long)field_u64(disk, "ring_pages"));
        line("rings", text);
    }
    struct json_object *worker = field(disk, "worker");
    if (field_u64(worker, "pid")) {
        snprintf(text, sizeof(text), "process %llu, %s",
                 (unsigned long long)field_u64(worker, "pid"), field_text(worker, "phase"));
        line("worker", text);
    }
}

/* One column for each ring and one for their sum; a row for each counter the daemon has. */
static void statistics(struct json_object *disk)
{
    size_t rings = field_rows(disk, "rings");
    struct json_object *total = field(disk, "stats");

    if (!total)
        return;
    printf("\n%-14s %14s", "statistics", "total");
    for (size_t r = 0; r < rings; r++)
        printf("        ring %zu", r);
    putchar('\n');
    json_object_object_foreach(total, key, value)
    {
        printf("%-14s %14llu", key, (unsigned long long)json_object_get_uint64(value));
        for (size_t r = 0; r < rings; r++) {
            struct json_object *row = json_object_array_get_idx(field(disk, "rings"), r);
            printf(" %13llu", (unsigned long long)field_u64(row, key));
        }
        putchar('\n');
    }
}

enum ctl_exit ctl_show(const struct ctl *ctl, const char *name)
{
    struct json_object *answer;
    enum ctl_exit code = ctl_get(ctl, "show", name, &answer);
    char text[256];

    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
        json_object_put(answer);
        return CTL_OK;
    }
    struct json_object *disk = field(answer, "disk");
    human_disk(disk, text, sizeof(text));
    line("disk", text);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)field_u64(disk, "domid"));
    line("domain", text);
    line("directory", field_text(disk, "backend"));
    states(disk);
    storage(disk);
    features(disk);
    statistics(disk);
    json_object_put(answer);
    return CTL_OK;
}
