/* SPDX-License-Identifier: MIT
 *
 * Copy-on-write tree. A node may be changed in place only when it and all its ancestors belong to
 * one tree, which the walk from the root ensures by cloning what is shared. Threads: see tree.h.
 */
#include "loopd/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static uint64_t generation;

void *must_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (!q) {
        log_error("out of memory");
        exit(1);
    }
    return q;
}

void *must_alloc(size_t n)
{
    void *p = must_realloc(NULL, n);

    memset(p, 0, n ? n : 1);
    return p;
}

void *must_dup(const void *p, size_t n)
{
    void *q = must_alloc(n);

    if (n)
        memcpy(q, p, n);
    return q;
}

/* ---- Owners ---- */

static void count(struct tree *t, uint32_t domid, int by)
{
    uint32_t i = 0;

    while (i < t->nr_owners && t->owners[i].domid != domid)
        i++;
    if (i == t->nr_owners) {
        t->owners = must_realloc(t->owners, (i + 1) * sizeof(*t->owners));
        t->owners[i] = (struct tree_owner){.domid = domid};
        t->nr_owners++;
    }
    t->owners[i].nodes += (uint32_t)by;
    if (!t->owners[i].nodes)
        t->owners[i] = t->owners[--t->nr_owners];
}

uint32_t tree_owned(const struct tree *t, uint32_t domid)
{
    for (uint32_t i = 0; i < t->nr_owners; i++)
        if (t->owners[i].domid == domid)
            return t->owners[i].nodes;
    return 0;
}

static void uncount(struct tree *t, const struct node *n)
{
    count(t, n->perms[0].domid, -1);
    for (uint32_t i = 0; i < n->nr_kids; i++)
        uncount(t, n->kids[i]);
}

/* ---- Nodes ---- */

static struct node *node_new(const char *name, size_t len, const struct perm *perms, uint32_t n)
{
    struct node *node = must_alloc(sizeof(*node) + len + 1);

    node->refs = 1;
    node->gen = ++generation;
    node->perms = must_dup(perms, n * sizeof(*perms));
    node->nr_perms = n;
    node->value = must_alloc(0);
    memcpy(node->name, name, len);
    return node;
}

static void node_put(struct node *n)
{
    if (--n->refs)
        return;
    for (uint32_t i = 0; i < n->nr_kids; i++)
        node_put(n->kids[i]);
    free(n->perms);
    free(n->kids);
    free(n->value);
    free(n);
}

/* Makes *slot a node that nobody else refers to. */
static struct node *own(struct node **slot)
{
    struct node *n = *slot;

    if (n->refs == 1)
        return n;
    struct node *c = must_dup(n, sizeof(*n) + strlen(n->name) + 1);
    c->refs = 1;
    c->perms = must_dup(n->perms, n->nr_perms * sizeof(*n->perms));
    c->kids = must_dup(n->kids, n->nr_kids * sizeof(struct node *));
    c->value = must_dup(n->value, n->len);
    for (uint32_t i = 0; i < c->nr_kids; i++)
        c->kids[i]->refs++;
    n->refs--;
    *slot = c;
    return c;
}

static int name_cmp(const struct node *n, const char *name, size_t len)
{
    int c = strncmp(n->name, name, len);

    return c ? c : (int)(unsigned char)n->name[len];
}

/* Index of the child, or where it would have to be inserted. */
static bool find_kid(const struct node *n, const char *name, size_t len, uint32_t *at)
{
    uint32_t lo = 0, hi = n->nr_kids;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = name_cmp(n->kids[mid], name, len);

        if (!c) {
            *at = mid;
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *at = lo;
    return false;
}

static void add_kid(struct node *n, uint32_t at, struct node *kid)
{
    n->kids = must_realloc(n->kids, (n->nr_kids + 1) * sizeof(struct node *));
    memmove(n->kids + at + 1, n->kids + at, (n->nr_kids - at) * sizeof(struct node *));
    n->kids[at] = kid;
    n->nr_kids++;
}

/* The next component of the path, or 0 bytes at its end. */
static size_t next_name(const char **path)
{
    *path += strspn(*path, "/");
    return strcspn(*path, "/");
}

/* ---- Trees ---- */

void tree_init(struct tree *t)
{
    struct perm perm = {0};

    *t = (struct tree){.root = node_new("", 0, &perm, 1)};
    count(t, 0, 1);
}

void tree_copy(struct tree *to, const struct tree *from)
{
    *to = *from;
    to->root->refs++;
    to->owners = must_dup(from->owners, from->nr_owners * sizeof(*from->owners));
}

void tree_free(struct tree *t)
{
    node_put(t->root);
    free(t->owners);
    *t = (struct tree){0};
}

const struct node *tree_nearest(const struct tree *t, const char *path, uint32_t *missing)
{
    const struct node *n = t->root;
    size_t len;
    uint32_t at;

    *missing = 0;
    while ((len = next_name(&path))) {
        if (*missing || !find_kid(n, path, len, &at))
            ++*missing;
        else
            n = n->kids[at];
        path += len;
    }
    return n;
}

const struct node *tree_get(const struct tree *t, const char *path)
{
    uint32_t missing;
    const struct node *n = tree_nearest(t, path, &missing);

    return missing ? NULL : n;
}

/* The node, unshared, for a change; who creates what is missing on the way. */
static struct node *walk(struct tree *t, const char *path, bool create, uint32_t who)
{
    struct node *n = own(&t->root);
    size_t len;
    uint32_t at;

    for (; (len = next_name(&path)); path += len) {
        if (!find_kid(n, path, len, &at)) {
            if (!create)
                return NULL;
            struct node *kid = node_new(path, len, n->perms, n->nr_perms);
            if (who)
                kid->perms[0].domid = who;
            add_kid(n, at, kid);
            n->gen = ++generation;
            count(t, kid->perms[0].domid, 1);
        }
        n = own(&n->kids[at]);
    }
    return n;
}

void tree_create(struct tree *t, const char *path, uint32_t who)
{
    if (!tree_get(t, path))
        walk(t, path, true, who);
}

void tree_set_value(struct tree *t, const char *path, const void *value, uint32_t len)
{
    struct node *n = walk(t, path, false, 0);

    if (!n)
        return;
    free(n->value);
    n->value = must_dup(value, len);
    n->len = len;
    n->gen = ++generation;
}

void tree_set_perms(struct tree *t, const char *path, const struct perm *perms, uint32_t nr)
{
    struct node *n = walk(t, path, false, 0);

    if (!n)
        return;
    count(t, n->perms[0].domid, -1);
    count(t, perms[0].domid, 1);
    free(n->perms);
    n->perms = must_dup(perms, nr * sizeof(*perms));
    n->nr_perms = nr;
    n->gen = ++generation;
}

void tree_remove(struct tree *t, const char *path)
{
    const char *leaf = strrchr(path, '/') + 1;
    char *up = must_dup(path, (size_t)(leaf - path) + 1);
    uint32_t at;

    up[leaf - path] = '\0';
    struct node *n = tree_get(t, path) ? walk(t, up, false, 0) : NULL;
    free(up);
    if (!n || !find_kid(n, leaf, strlen(leaf), &at))
        return;
    uncount(t, n->kids[at]);
    node_put(n->kids[at]);
    n->nr_kids--;
    memmove(n->kids + at, n->kids + at + 1, (n->nr_kids - at) * sizeof(struct node *));
    n->gen = ++generation;
}
