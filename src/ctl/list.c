/* SPDX-License-Identifier: MIT
 *
 * blkbackctl list and caches. Threads: one.
 */
#include "ctl/ctl.h"

#include <string.h>

static void disk_row(struct table *t, struct json_object *disk)
{
    struct json_object *stats = field(disk, "stats");
    char name[128], size[HUMAN_MAX] = "", reads[HUMAN_MAX], writes[HUMAN_MAX], queues[HUMAN_MAX];

    human_disk(disk, name, sizeof(name));
    if (field_u64(disk, "size_bytes"))
        human_bytes(field_u64(disk, "size_bytes"), size);
    human_count(field_u64(stats, "rd_req"), reads);
    human_count(field_u64(stats, "wr_req"), writes);
    snprintf(queues, sizeof(queues), "%.0llu", (unsigned long long)field_u64(disk, "queues"));
    const char *cells[] = {
        name,
        field_text(disk, "state"),
        size,
        field_text(disk, "mode"),
        queues,
        field_text(disk, "engine"),
        reads,
        writes,
        field_text(disk, "target"),
    };
    table_row(t, cells);
}

static void notes(struct table *t, struct json_object *disk)
{
    static const struct {
        const char *key, *before;
    } kinds[] = {{"error", ""},
                 {"halted", "stopped until the guest reconnects: "},
                 {"waits_for", "waits for "}};
    char text[512];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *what = field_text(disk, kinds[i].key);
        if (!*what)
            continue;
        snprintf(text, sizeof(text), "%s%s", kinds[i].before, what);
        table_note(t, text);
    }
}

enum ctl_exit ctl_list(const struct ctl *ctl)
{
    static const char *const heads[] = {"DISK",   "STATE", "SIZE",   "MODE",  "QUEUES",
                                        "ENGINE", "READS", "WRITES", "TARGET"};
    struct json_object *answer;
    enum ctl_exit code = ctl_get(ctl, "list", NULL, &answer);

    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
    } else if (field_rows(answer, "disks") == 0) {
        puts("no disks");
    } else {
        struct table *t = table_new(9, heads, 1u << 2 | 1u << 6 | 1u << 7);
        for (size_t i = 0; i < field_rows(answer, "disks"); i++) {
            struct json_object *disk = json_object_array_get_idx(field(answer, "disks"), i);
            disk_row(t, disk);
            notes(t, disk);
        }
        table_print(t, stdout);
        table_free(t);
    }
    json_object_put(answer);
    return CTL_OK;
}

enum ctl_exit ctl_caches(const struct ctl *ctl)
{
    static const char *const heads[] = {"CACHE", "ACTIVE", "TOTAL", "OBJSIZE", "ALIGN", "OWNER"};
    static const char *const keys[] = {"active", "total", "object_bytes", "align_bytes"};
    struct json_object *answer;
    enum ctl_exit code = ctl_get(ctl, "caches", NULL, &answer);

    if (code)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
        json_object_put(answer);
        return CTL_OK;
    }
    struct table *t = table_new(6, heads, 0x1e);
    for (size_t i = 0; i < field_rows(answer, "caches"); i++) {
        struct json_object *row = json_object_array_get_idx(field(answer, "caches"), i);
        char numbers[4][HUMAN_MAX];
        for (unsigned k = 0; k < 4; k++)
            snprintf(numbers[k], HUMAN_MAX, "%llu", (unsigned long long)field_u64(row, keys[k]));
        const char *cells[] = {
            field_text(row, "name"), numbers[0], numbers[1], numbers[2], numbers[3],
            field_text(row, "owner")};
        table_row(t, cells);
    }
    table_print(t, stdout);
    table_free(t);
    json_object_put(answer);
    return CTL_OK;
}
