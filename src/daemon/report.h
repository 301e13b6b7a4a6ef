/* SPDX-License-Identifier: MIT
 *
 * The answers of the control socket. "schema":1 is the stable interface: names here are not changed
 * or removed, only added to. Threads: the daemon's.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include <json-c/json.h>

#include "daemon/vbd.h"

#define REPORT_SCHEMA 1

/* The answer to one request line, one line with its newline, free() it. NULL: out of memory. */
char *report_answer(struct daemon *daemon, const char *request);

/* One disk. full: with features and a row for each ring. */
struct json_object *report_disk(const struct vbd *v, bool full);

/* The rows of a table that another process writes: owner says whose. Appended to array. */
void report_caches(struct json_object *array, const char *owner, const struct cache_table *table);

/* True if name means this disk: "3:xvda", "3:51712", "web1:xvda" or its backend directory. */
bool report_names(const struct vbd *v, const char *name);

#endif
