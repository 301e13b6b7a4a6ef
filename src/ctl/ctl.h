/* SPDX-License-Identifier: MIT
 *
 * blkbackctl: asks the daemon over its control socket and prints the answer for a person, or as
 * JSON. Threads: one.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_UNREACHABLE = 3,
    CTL_NOT_FOUND = 4,
};

struct ctl {
    const char *socket;
    bool json, color;
};

/* ---- client.c ----------------------------------------------------------------------------------
 */

/* One request, one answer. 0, or a negative errno with err set; *out is the caller's. */
int ctl_ask(const struct ctl *ctl, const char *cmd, const char *disk, struct json_object **out,
            struct errmsg *err);
/* As ctl_ask(), and on failure (the daemon's refusal too) prints it and returns an exit code. */
enum ctl_exit ctl_get(const struct ctl *ctl, const char *cmd, const char *disk,
                      struct json_object **out);
void ctl_error(const char *text, const char *hint);
/* One line of JSON on stdout. */
void ctl_print_json(struct json_object *o);

/* ---- fields.c: what is in an answer; a missing or wrong one reads as "" or 0 --------------------
 */
const char *field_text(struct json_object *o, const char *key);
uint64_t field_u64(struct json_object *o, const char *key);
bool field_bool(struct json_object *o, const char *key);
struct json_object *field(struct json_object *o, const char *key);
size_t field_rows(struct json_object *o, const char *key);

/* ---- human.c ----------------------------------------------------------------------------------
 */
#define HUMAN_MAX 32
/* "20G", "1.5M", "512": powers of 1024. */
const char *human_bytes(uint64_t bytes, char out[HUMAN_MAX]);
/* "1.2k", "340": powers of 1000. */
const char *human_count(uint64_t count, char out[HUMAN_MAX]);
/* "web1:xvda", or "3:xvda" when the guest has no name. */
void human_disk(struct json_object *disk, char *out, size_t cap);

/* A table whose columns are as wide as their widest cell; the last is not padded. */
#define TABLE_COLUMNS_MAX 12
struct table;
struct table *table_new(unsigned columns, const char *const *heads, unsigned right_mask);
void table_row(struct table *t, const char *const *cells);
/* A line under the row before it, as wide as it likes. */
void table_note(struct table *t, const char *text);
void table_print(struct table *t, FILE *to);
void table_free(struct table *t);

/* ---- verbs -------------------------------------------------------------------------------------
 */
enum ctl_exit ctl_list(const struct ctl *ctl);
enum ctl_exit ctl_caches(const struct ctl *ctl);
enum ctl_exit ctl_show(const struct ctl *ctl, const char *disk);
enum ctl_exit ctl_doctor(const struct ctl *ctl);

#endif
