/* SPDX-License-Identifier: MIT
 *
 * Requests of the control socket and their answers. Threads: the daemon's.
 */
#include "daemon/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/paths.h"
#include "daemon/text.h"

static struct json_object *good(void)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "schema", json_object_new_int(REPORT_SCHEMA));
    json_object_object_add(o, "ok", json_object_new_boolean(true));
    return o;
}

static struct json_object *bad(const char *code, const char *fmt, const char *arg)
{
    struct json_object *o = json_object_new_object();
    char text[ERRMSG_MAX];

    snprintf(text, sizeof(text), "%s%s", fmt, arg);
    text_printable(text);
    json_object_object_add(o, "schema", json_object_new_int(REPORT_SCHEMA));
    json_object_object_add(o, "ok", json_object_new_boolean(false));
    json_object_object_add(o, "code", json_object_new_string(code));
    json_object_object_add(o, "error", json_object_new_string(text));
    return o;
}

static const struct vbd *next_disk(const struct daemon *d, unsigned *slot)
{
    while (*slot < CONFIG_DISKS_MAX) {
        struct xb_device *dev = d->bus.slots[(*slot)++];
        if (dev)
            return vbd_of(dev);
    }
    return NULL;
}

bool report_names(const struct vbd *v, const char *name)
{
    char text[128];

    if (strcmp(name, v->dev.label) == 0 || strcmp(name, v->dev.nodename) == 0)
        return true;
    snprintf(text, sizeof(text), "%u:%u", v->dev.id.domid, v->dev.id.devid);
    if (strcmp(name, text) == 0)
        return true;
    snprintf(text, sizeof(text), "%s:%s", v->domain, v->vdev);
    return v->domain[0] && strcmp(name, text) == 0;
}

static struct json_object *list(struct daemon *d, struct json_object *request)
{
    struct json_object *o = good(), *disks = json_object_new_array();
    const struct vbd *v;
    unsigned slot = 0;

    while ((v = next_disk(d, &slot)) != NULL)
        json_object_array_add(disks, report_disk(v, false));
    json_object_object_add(o, "disks", disks);
    return o;
}

static struct json_object *show(struct daemon *d, struct json_object *request)
{
    struct json_object *name, *o;
    const struct vbd *v;
    unsigned slot = 0;

    if (!json_object_object_get_ex(request, "disk", &name) ||
        !json_object_is_type(name, json_type_string))
        return bad("usage", "show needs the name of a disk", "");
    while ((v = next_disk(d, &slot)) != NULL) {
        if (!report_names(v, json_object_get_string(name)))
            continue;
        o = good();
        json_object_object_add(o, "disk", report_disk(v, true));
        return o;
    }
    return bad("not-found", "there is no disk ", json_object_get_string(name));
}

static struct json_object *caches(struct daemon *d, struct json_object *request)
{
    struct json_object *o = good(), *rows = json_object_new_array();
    const struct vbd *v;
    unsigned slot = 0;

    report_caches(rows, "daemon", cache_table_current());
    while ((v = next_disk(d, &slot)) != NULL) {
        if (v->stats && v->worker)
            report_caches(rows, v->dev.label, &v->stats->caches);
    }
    json_object_object_add(o, "caches", rows);
    return o;
}

static struct json_object *doctor(struct daemon *d, struct json_object *request)
{
    struct json_object *o = list(d, request), *kinds = json_object_new_array();

    for (unsigned k = 0; k < d->config.nr_kinds; k++)
        json_object_array_add(kinds, json_object_new_string(d->config.kinds[k]));
    json_object_object_add(o, "kinds", kinds);
    json_object_object_add(o, "claim_all", json_object_new_boolean(d->config.claim_all));
    json_object_object_add(o, "hv", json_object_new_string(d->config.hv));
    json_object_object_add(o, "worker", json_object_new_string(d->config.worker));
    json_object_object_add(o, "xenstore", json_object_new_boolean(d->bus.store != NULL));
    json_object_object_add(o, "disks_max", json_object_new_int(CONFIG_DISKS_MAX));
    json_object_object_add(o, "watch_events", json_object_new_uint64(d->bus.events));
    json_object_object_add(o, "looks", json_object_new_uint64(d->bus.looks));
    return o;
}

static struct json_object *version(struct daemon *d, struct json_object *request)
{
    struct json_object *o = good();

    json_object_object_add(o, "version", json_object_new_string(PROJECT_VERSION));
    return o;
}

static const struct {
    const char *name;
    struct json_object *(*answer)(struct daemon *d, struct json_object *request);
} commands[] = {
    {"list", list}, {"show", show}, {"caches", caches}, {"doctor", doctor}, {"version", version},
};

static struct json_object *dispatch(struct daemon *d, const char *line)
{
    struct json_object *request = json_tokener_parse(line), *cmd, *o = NULL;

    if (!json_object_is_type(request, json_type_object) ||
        !json_object_object_get_ex(request, "cmd", &cmd) ||
        !json_object_is_type(cmd, json_type_string)) {
        json_object_put(request);
        return bad("usage", "a request is one line of JSON with a \"cmd\"", "");
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && !o; i++) {
        if (strcmp(json_object_get_string(cmd), commands[i].name) == 0)
            o = commands[i].answer(d, request);
    }
    if (!o)
        o = bad("usage", "there is no command ", json_object_get_string(cmd));
    json_object_put(request);
    return o;
}

char *report_answer(struct daemon *d, const char *line)
{
    struct json_object *o = dispatch(d, line);
    size_t len;
    const char *text = json_object_to_json_string_length(
        o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    char *out = text ? malloc(len + 2) : NULL;

    if (out) {
        memcpy(out, text, len);
        memcpy(out + len, "\n", 2);
    }
    json_object_put(o);
    return out;
}
