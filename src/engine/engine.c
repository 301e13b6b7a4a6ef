/* SPDX-License-Identifier: MIT
 *
 * Which engines there are, and which of them a target means. Any thread.
 */
#include "engine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/engines.h"

static const struct engine_ops *const engines[] = {&engine_uring, &engine_null};

/* Prefixes a target may carry. "aio" is what toolstacks write for a raw file served by tapdisk. */
static const struct {
    const char *prefix;
    const struct engine_ops *ops;
} prefixes[] = {
    {"uring:", &engine_uring},
    {"aio:", &engine_uring},
    {"null:", &engine_null},
};

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

const struct engine_ops *engine_find(const char *name)
{
    if (strncmp(name, ENGINE_E512_PREFIX, strlen(ENGINE_E512_PREFIX)) == 0)
        return &engine_e512;
    for (size_t i = 0; i < ARRAY_LEN(engines); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const struct engine_ops *engine_resolve(const char *spec, const char **target, struct errmsg *err)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i].prefix);
        if (strncmp(spec, prefixes[i].prefix, n) == 0) {
            *target = spec + n;
            return prefixes[i].ops;
        }
    }
    const char *colon = strchr(spec, ':');
    const char *slash = strchr(spec, '/');
    if (colon && (!slash || colon < slash)) {
        errmsg_set(err, -EINVAL,
                   "there is no storage engine \"%.*s\" (known: uring, aio, null); a path with a "
                   "colon must start with a slash",
                   (int)(colon - spec), spec);
        return NULL;
    }
    *target = spec;
    return &engine_uring;
}

void engine_desc_close(struct engine_desc *desc)
{
    for (uint32_t i = 0; i < desc->nr_fds && i < ENGINE_FDS_MAX; i++) {
        if (desc->fds[i] >= 0)
            close(desc->fds[i]);
        desc->fds[i] = -1;
    }
    desc->nr_fds = 0;
}

void engine_note(struct engine_info *info, const char *fmt, ...)
{
    size_t used = strlen(info->note);
    va_list ap;

    if (used && used + 3 < sizeof(info->note))
        used += (size_t)snprintf(info->note + used, sizeof(info->note) - used, "; ");
    va_start(ap, fmt);
    vsnprintf(info->note + used, sizeof(info->note) - used, fmt, ap);
    va_end(ap);
}
