/* SPDX-License-Identifier: MIT
 *
 * Watches: who hears of which change. A domain hears of a node only if it may read it, or its
 * parent.
 */
#include "loopd/store_impl.h"

#include <stdlib.h>
#include <string.h>

const char *const special_names[SPECIAL_COUNT] = {
    [SPECIAL_INTRODUCE] = "@introduceDomain",
    [SPECIAL_RELEASE] = "@releaseDomain",
};

static bool is_below_or_same(const char *path, const char *top)
{
    size_t len = strlen(top);

    if (!strcmp(top, "/"))
        return path[0] == '/';
    return !strncmp(path, top, len) && (path[len] == '\0' || path[len] == '/');
}

static bool readable(const struct sconn *c, const struct tree *t, const char *path)
{
    const struct node *n = tree_get(t, path);

    return n && (store_perms(c, n->perms, n->nr_perms) & PERM_READ);
}

static bool may_hear(const struct sconn *c, const char *path, const struct tree *before,
                     const struct tree *after)
{
    if (!c->domid || readable(c, after, path) || readable(c, before, path))
        return true;
    size_t len = (size_t)(strrchr(path, '/') - path);
    char *up = must_dup(path, len + 2);
    up[len ? len : 1] = '\0';
    bool ok = readable(c, after, up) || readable(c, before, up);
    free(up);
    return ok;
}

static void send_event(struct sconn *c, const struct watch *w, const char *path)
{
    const char *shown = strlen(path) >= w->strip ? path + w->strip : "";

    store_send_event(c, shown, w->token);
}

static void fire_at(struct sconn *c, const struct watch *w, const struct change *ch,
                    const struct tree *before, const struct tree *after)
{
    const char *path = NULL;

    if (is_below_or_same(ch->path, w->path))
        path = ch->path;
    else if (ch->kind == CHANGE_RM && is_below_or_same(w->path, ch->path))
        path = w->path;
    if (path && may_hear(c, path, before, after))
        send_event(c, w, path);
}

void watch_fire(struct store *st, const struct change *ch, const struct tree *before,
                const struct tree *after)
{
    for (struct sconn *c = st->conns; c; c = c->next)
        for (const struct watch *w = c->watches; w && !c->dead; w = w->next)
            fire_at(c, w, ch, before, after);
}

void watch_fire_special(struct store *st, enum special special)
{
    for (struct sconn *c = st->conns; c; c = c->next) {
        if (!(store_perms(c, st->special[special].perms, st->special[special].nr) & PERM_READ))
            continue;
        for (const struct watch *w = c->watches; w && !c->dead; w = w->next)
            if (!strcmp(w->path, special_names[special]))
                send_event(c, w, w->path);
    }
}

static uint32_t watches_of(const struct store *st, uint32_t domid)
{
    uint32_t n = 0;

    for (const struct sconn *c = st->conns; c; c = c->next)
        n += c->domid == domid ? c->nr_watches : 0;
    return n;
}

int watch_add(struct sconn *c, const char *path, const char *token, size_t strip)
{
    struct watch **at = &c->watches;

    for (; *at; at = &(*at)->next)
        if (!strcmp((*at)->path, path) && !strcmp((*at)->token, token))
            return -EEXIST;
    if (c->domid && watches_of(c->st, c->domid) >= QUOTA_WATCHES)
        return -E2BIG;
    struct watch *w = must_alloc(sizeof(*w));
    w->path = must_dup(path, strlen(path) + 1);
    w->token = must_dup(token, strlen(token) + 1);
    w->strip = strip;
    *at = w;
    c->nr_watches++;
    return 0;
}

static void drop(struct sconn *c, struct watch **at)
{
    struct watch *w = *at;

    *at = w->next;
    c->nr_watches--;
    free(w->path);
    free(w->token);
    free(w);
}

int watch_remove(struct sconn *c, const char *path, const char *token)
{
    for (struct watch **at = &c->watches; *at; at = &(*at)->next) {
        if (strcmp((*at)->path, path) || strcmp((*at)->token, token))
            continue;
        drop(c, at);
        return 0;
    }
    return -ENOENT;
}

void watch_drop_all(struct sconn *c)
{
    while (c->watches)
        drop(c, &c->watches);
}
