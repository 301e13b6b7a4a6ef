/* SPDX-License-Identifier: MIT
 *
 * The store as the guest sees it: our state and the backend's, and nodes with anything in them.
 * Thread: main.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

static void path_of(struct ctx *c, const char *name, char *path, size_t cap)
{
    int n = snprintf(path, cap, "%s/%s", c->dev.frontend_path, name);

    require(c, n > 0 && (size_t)n < cap, "the path of %s is too long", name);
}

void state_write(struct ctx *c, unsigned state)
{
    char path[128];
    int rc;

    path_of(c, "state", path, sizeof(path));
    rc = hv_store_printf(c->dev.store, 0, path, "%u", state);
    require(c, rc == 0, "state %u cannot be written: %s", state, strerror(-rc));
}

int node_read(struct ctx *c, const char *name, char *buf, size_t cap)
{
    char path[HV_STORE_PATH_MAX];

    snprintf(path, sizeof(path), "%.900s/%s", c->dev.backend_path, name);
    return hv_store_read(c->dev.store, 0, path, buf, cap);
}

uint64_t node_number(struct ctx *c, const char *name, uint64_t fallback)
{
    char text[32], *end;
    uint64_t value;
    int rc = node_read(c, name, text, sizeof(text));

    if (rc == -ENOENT)
        return fallback;
    require(c, rc > 0, "the backend's %s cannot be read: %s", name, strerror(-rc));
    errno = 0;
    value = strtoull(text, &end, 10);
    require(c, text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0,
            "the backend's %s is '%s', no number", name, text);
    return value;
}

int backend_state(struct ctx *c)
{
    char text[8];

    if (node_read(c, "state", text, sizeof(text)) != 1 || text[0] < '1' || text[0] > '8')
        return 0;
    return text[0] - '0';
}

unsigned backend_wait(struct ctx *c, unsigned mask, const char *what)
{
    uint64_t start = now_ms();

    for (;;) {
        int state = backend_state(c);
        char line[120];

        if (mask & BIT(state))
            return (unsigned)state;
        snprintf(line, sizeof(line), "%s: the backend stays in state %d", what, state);
        wait_a_little(c, start, line);
    }
}

static void save(struct ctx *c, const char *path)
{
    struct saved_node *s = &c->saved[c->nr_saved];
    int rc;

    for (unsigned i = 0; i < c->nr_saved; i++)
        if (strcmp(c->saved[i].path, path) == 0)
            return;
    require(c, c->nr_saved < NODES_MAX, "the case changes more than %d nodes", NODES_MAX);
    snprintf(s->path, sizeof(s->path), "%s", path);
    rc = hv_store_read(c->dev.store, 0, path, s->value, sizeof(s->value));
    s->absent = rc < 0;
    c->nr_saved++;
}

void node_write(struct ctx *c, const char *name, const char *value)
{
    char path[128];
    int rc;

    path_of(c, name, path, sizeof(path));
    save(c, path);
    rc = value != NULL ? hv_store_write(c->dev.store, 0, path, value)
                       : hv_store_rm(c->dev.store, 0, path);
    require(c, rc == 0, "the node %s cannot be written: %s", name, strerror(-rc));
}

void nodes_restore(struct ctx *c)
{
    for (unsigned i = c->nr_saved; i-- > 0;) {
        const struct saved_node *s = &c->saved[i];
        size_t n = strlen(s->path);

        /* The states are the runner's own business. */
        if (n > 6 && strcmp(s->path + n - 6, "/state") == 0)
            continue;
        if (s->absent)
            hv_store_rm(c->dev.store, 0, s->path);
        else
            hv_store_write(c->dev.store, 0, s->path, s->value);
    }
    c->nr_saved = 0;
}
