/* SPDX-License-Identifier: MIT
 *
 * The tree, its watches and its log. Threads: one.
 */
#include "fake_store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HOME "/local/domain/0/"

struct node {
    struct node *next;
    char *path, *value;
};

struct watch {
    struct watch *next;
    char *path, *given, *token;
};

struct event {
    struct event *next;
    char *path, *token;
};

struct hv_store {
    int fd;
};

static struct {
    struct node *nodes, *snapshot; /* snapshot: of the one transaction there may be */
    struct node *log;              /* writes: path only */
    struct watch *watches;
    struct event *events, **tail;
    unsigned generation, tx_generation, conflicts;
    bool in_tx, broken;
    int fd;
    char *unreadable, *vanish;
    int unreadable_err;
} fake = {.tail = &fake.events, .fd = -1};

static char *full(const char *path)
{
    char *out;

    if (asprintf(&out, "%s%s", path[0] == '/' ? "" : HOME, path) < 0)
        abort();
    return out;
}

/* 0: unrelated; 1: path is below; 2: the same. */
static int below(const char *path, const char *top)
{
    size_t len = strlen(top);

    if (strncmp(path, top, len) != 0)
        return 0;
    return path[len] == '\0' ? 2 : path[len] == '/' ? 1 : 0;
}

static void poke(void)
{
    if (fake.fd >= 0)
        eventfd_write(fake.fd, 1);
}

static void push_event(const struct watch *w, const char *path)
{
    struct event *e = calloc(1, sizeof(*e));
    /* A watch on a relative path reports relative paths. */
    const char *p = w->given[0] == '/' ? path : path + strlen(HOME);

    e->path = strdup(p);
    e->token = strdup(w->token);
    *fake.tail = e;
    fake.tail = &e->next;
    poke();
}

static void fire(const char *path)
{
    for (struct watch *w = fake.watches; w; w = w->next) {
        if (below(path, w->path))
            push_event(w, path);
    }
}

static struct node *find(struct node *list, const char *path)
{
    while (list && strcmp(list->path, path) != 0)
        list = list->next;
    return list;
}

static void add(struct node **list, const char *path, const char *value)
{
    struct node *n = find(*list, path);

    if (!n) {
        n = calloc(1, sizeof(*n));
        n->path = strdup(path);
        n->next = *list;
        *list = n;
    }
    free(n->value);
    n->value = strdup(value);
}

static void add_with_parents(struct node **list, const char *path, const char *value)
{
    char *parent = strdup(path), *slash;

    add(list, path, value);
    while ((slash = strrchr(parent, '/')) != NULL && slash != parent) {
        *slash = '\0';
        if (!find(*list, parent))
            add(list, parent, "");
    }
    free(parent);
}

static void node_free(struct node *n)
{
    free(n->path);
    free(n->value);
    free(n);
}

static void list_free(struct node **list)
{
    while (*list) {
        struct node *n = *list;
        *list = n->next;
        node_free(n);
    }
}

/* Removes path and all below; fires for the root of it, and exactly for watched nodes below. */
static void remove_below(struct node **list, const char *path, bool fires)
{
    for (struct node **p = list; *p;) {
        struct node *n = *p;
        if (!below(n->path, path)) {
            p = &n->next;
            continue;
        }
        *p = n->next;
        for (struct watch *w = fake.watches; fires && w; w = w->next) {
            if (below(n->path, path) == 1 && strcmp(w->path, n->path) == 0)
                push_event(w, n->path);
        }
        node_free(n);
    }
    if (fires)
        fire(path);
}

void fake_put(const char *path, const char *value)
{
    char *p = full(path);

    fake.generation++;
    add_with_parents(&fake.nodes, p, value);
    fire(p);
    free(p);
}

void fake_rm(const char *path)
{
    char *p = full(path);

    fake.generation++;
    remove_below(&fake.nodes, p, true);
    free(p);
}

const char *fake_get(const char *path, bool *there)
{
    static char text[4096];
    char *p = full(path);
    struct node *n = find(fake.nodes, p);

    free(p);
    if (there)
        *there = n != NULL;
    snprintf(text, sizeof(text), "%s", n ? n->value : "");
    return text;
}

static unsigned count(struct node *list, const char *path)
{
    char *p = full(path);
    unsigned n = 0;

    for (; list; list = list->next)
        n += below(list->path, p) != 0;
    free(p);
    return n;
}

unsigned fake_count(const char *path)
{
    return count(fake.nodes, path);
}

unsigned fake_writes(const char *path)
{
    return count(fake.log, path);
}

unsigned fake_watches(void)
{
    unsigned n = 0;

    for (struct watch *w = fake.watches; w; w = w->next)
        n++;
    return n;
}

void fake_forget(void)
{
    list_free(&fake.log);
}

void fake_conflict(unsigned n)
{
    fake.conflicts = n;
}

void fake_unreadable(const char *path, int err)
{
    free(fake.unreadable);
    fake.unreadable = path ? full(path) : NULL;
    fake.unreadable_err = err;
}

void fake_vanish(const char *path)
{
    fake.vanish = strdup(path);
}

void fake_break(void)
{
    fake.broken = true;
    poke();
}

static void watch_free(struct watch *w)
{
    free(w->path);
    free(w->given);
    free(w->token);
    free(w);
}

static void event_pop(void)
{
    struct event *e = fake.events;

    fake.events = e->next;
    if (!fake.events)
        fake.tail = &fake.events;
    free(e->path);
    free(e->token);
    free(e);
}

void fake_reset(void)
{
    list_free(&fake.nodes);
    list_free(&fake.snapshot);
    list_free(&fake.log);
    while (fake.watches) {
        struct watch *w = fake.watches;
        fake.watches = w->next;
        watch_free(w);
    }
    while (fake.events)
        event_pop();
    fake_unreadable(NULL, 0);
    fake.conflicts = 0;
    fake.in_tx = fake.broken = false;
}

/* ---- hv/store.h -------------------------------------------------------------------------------
 */

int hv_store_open(const char *spec, struct hv_store **out, struct errmsg *err)
{
    *out = calloc(1, sizeof(**out));
    (*out)->fd = fake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fake.broken = false;
    return 0;
}

void hv_store_close(struct hv_store *st)
{
    while (fake.watches) {
        struct watch *w = fake.watches;
        fake.watches = w->next;
        watch_free(w);
    }
    while (fake.events)
        event_pop();
    close(st->fd);
    fake.fd = -1;
    free(st);
}

int hv_store_fd(const struct hv_store *st)
{
    return st->fd;
}

static struct node **view(hv_tx tx)
{
    return tx ? &fake.snapshot : &fake.nodes;
}

int hv_store_read(struct hv_store *st, hv_tx tx, const char *path, char *buf, size_t cap)
{
    char *p = full(path);
    struct node *n = find(*view(tx), p);
    bool bad = fake.unreadable && strcmp(fake.unreadable, p) == 0;

    free(p);
    if (fake.broken)
        return -EIO;
    if (bad)
        return fake.unreadable_err;
    if (!n)
        return -ENOENT;
    if (strlen(n->value) >= cap)
        return -EMSGSIZE;
    memcpy(buf, n->value, strlen(n->value) + 1);
    return (int)strlen(buf);
}

int hv_store_write(struct hv_store *st, hv_tx tx, const char *path, const char *value)
{
    char *p = full(path);

    if (!fake.broken) {
        add(&fake.log, p, "");
        add_with_parents(view(tx), p, value);
        if (!tx) {
            fake.generation++;
            fire(p);
        }
    }
    free(p);
    return fake.broken ? -EIO : 0;
}

int hv_store_printf(struct hv_store *st, hv_tx tx, const char *path, const char *fmt, ...)
{
    char value[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    return hv_store_write(st, tx, path, value);
}

int hv_store_mkdir(struct hv_store *st, hv_tx tx, const char *path)
{
    return hv_store_write(st, tx, path, "");
}

int hv_store_rm(struct hv_store *st, hv_tx tx, const char *path)
{
    char *p = full(path);

    if (!fake.broken && find(*view(tx), p)) {
        add(&fake.log, p, "");
        remove_below(view(tx), p, !tx);
        if (!tx)
            fake.generation++;
    }
    free(p);
    return fake.broken ? -EIO : 0;
}

int hv_store_exists(struct hv_store *st, hv_tx tx, const char *path)
{
    char *p = full(path);
    bool there = find(*view(tx), p) != NULL;

    free(p);
    return fake.broken ? -EIO : there;
}

int hv_store_list(struct hv_store *st, hv_tx tx, const char *path, char ***names)
{
    char *p = full(path);
    int n = 0;

    *names = NULL;
    if (fake.broken || !find(*view(tx), p)) {
        free(p);
        return fake.broken ? -EIO : -ENOENT;
    }
    /* One allocation: room for every pointer, then the text. */
    size_t room = 0;
    for (struct node *x = *view(tx); x; x = x->next)
        room += sizeof(char *) + strlen(x->path) + 1;
    *names = calloc(1, room);
    char *text = (char *)*names;
    unsigned pointers = 0;
    for (struct node *x = *view(tx); x; x = x->next)
        pointers++;
    text += pointers * sizeof(char *);
    for (struct node *x = *view(tx); x; x = x->next) {
        const char *leaf = x->path + strlen(p) + 1;
        if (below(x->path, p) != 1 || strchr(leaf, '/'))
            continue;
        memcpy(text, leaf, strlen(leaf) + 1);
        (*names)[n++] = text;
        text += strlen(leaf) + 1;
    }
    free(p);
    return n;
}

int hv_store_set_perms(struct hv_store *st, hv_tx tx, const char *path, uint32_t owner,
                       uint32_t reader)
{
    return 0;
}

int hv_store_begin(struct hv_store *st, hv_tx *tx)
{
    if (fake.broken)
        return -EIO;
    if (fake.in_tx)
        return -EBUSY;
    if (fake.vanish) {
        fake_rm(fake.vanish);
        free(fake.vanish);
        fake.vanish = NULL;
    }
    for (struct node *n = fake.nodes; n; n = n->next)
        add(&fake.snapshot, n->path, n->value);
    fake.tx_generation = fake.generation;
    fake.in_tx = true;
    *tx = 1;
    return 0;
}

void hv_store_abort(struct hv_store *st, hv_tx tx)
{
    list_free(&fake.snapshot);
    fake.in_tx = false;
}

int hv_store_commit(struct hv_store *st, hv_tx tx)
{
    bool conflict = fake.conflicts > 0;

    fake.in_tx = false;
    if (conflict) {
        fake.conflicts--;
        list_free(&fake.snapshot);
        return -EAGAIN;
    }
    struct node *old = fake.nodes;
    fake.nodes = fake.snapshot;
    fake.snapshot = NULL;
    fake.generation++;
    for (struct node *n = fake.nodes; n; n = n->next) {
        struct node *was = find(old, n->path);
        if (!was || strcmp(was->value, n->value) != 0)
            fire(n->path);
    }
    list_free(&old);
    return 0;
}

int hv_store_watch(struct hv_store *st, const char *path, const char *token)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (fake.broken) {
        free(w);
        return -EIO;
    }
    w->path = full(path);
    w->given = strdup(path);
    w->token = strdup(token);
    w->next = fake.watches;
    fake.watches = w;
    push_event(w, w->path);
    return 0;
}

int hv_store_unwatch(struct hv_store *st, const char *path, const char *token)
{
    char *p = full(path);
    int ret = -ENOENT;

    for (struct watch **at = &fake.watches; *at; at = &(*at)->next) {
        struct watch *w = *at;
        if (strcmp(w->path, p) != 0 || strcmp(w->token, token) != 0)
            continue;
        *at = w->next;
        watch_free(w);
        ret = 0;
        break;
    }
    free(p);
    return ret;
}

int hv_store_next_watch(struct hv_store *st, char *path, size_t path_cap, char *token,
                        size_t token_cap)
{
    eventfd_t value;

    if (fake.broken)
        return -EIO;
    if (!fake.events) {
        eventfd_read(st->fd, &value);
        return 0;
    }
    snprintf(path, path_cap, "%s", fake.events->path);
    snprintf(token, token_cap, "%s", fake.events->token);
    event_pop();
    return 1;
}
