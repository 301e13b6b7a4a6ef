/* SPDX-License-Identifier: MIT
 *
 * What the store's handlers have in common: arguments, paths, permissions, answers. Threads: the
 * server's one.
 */
#include "loopd/store_op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Answers ---- */

int op_reply(struct op *o, const void *data, size_t len)
{
    if (len > XENSTORE_PAYLOAD_MAX)
        return -E2BIG;
    store_send(o->c, &o->c->in, data, (uint32_t)len);
    return 0;
}

int op_reply_ok(struct op *o)
{
    return op_reply(o, "OK", 3);
}

/* ---- Arguments ---- */

uint32_t op_strings(const struct op *o)
{
    uint32_t n = 0;

    if (!o->len || o->body[o->len - 1])
        return 0;
    for (uint32_t i = 0; i < o->len; i++)
        n += !o->body[i];
    return n;
}

const char *op_string(const struct op *o, uint32_t which)
{
    const char *s = o->body;

    while (which--)
        s += strlen(s) + 1;
    return s;
}

int op_parse_u32(const char *s, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;

    if (!*s || strlen(s) > 10)
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    if (v > max)
        return -EINVAL;
    *out = (uint32_t)v;
    return 0;
}

static int check_path(const char *path, size_t len)
{
    static const char valid[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789-/_@";

    if (path[0] == '/' && len > XENSTORE_ABS_PATH_MAX)
        return -EINVAL;
    if (path[0] != '/' && len > XENSTORE_REL_PATH_MAX)
        return -EINVAL;
    if (!len || strspn(path, valid) != len || strstr(path, "//"))
        return -EINVAL;
    return len > 1 && path[len - 1] == '/' ? -EINVAL : 0;
}

int op_resolve(struct op *o, const char *path)
{
    size_t len = strlen(path);
    int err = check_path(path, len);

    o->strip = 0;
    if (err)
        return err;
    if (path[0] != '/') {
        o->strip =
            (size_t)snprintf(o->path, OP_PATH_BYTES, "/local/domain/%" PRIu32 "/", o->c->domid);
        if (o->strip + len > XENSTORE_ABS_PATH_MAX)
            return -EINVAL;
    }
    memcpy(o->path + o->strip, path, len + 1);
    return 0;
}

int op_find_special(const char *path)
{
    for (int i = 0; i < SPECIAL_COUNT; i++)
        if (!strcmp(path, special_names[i]))
            return i;
    return -1;
}

/* ---- Permissions ---- */

static uint32_t mask_for(const struct perm *perms, uint32_t n, uint32_t domid)
{
    if (perms[0].domid == domid)
        return PERM_READ | PERM_WRITE;
    for (uint32_t i = 1; i < n; i++)
        if (perms[i].domid == domid)
            return perms[i].mask;
    return perms[0].mask;
}

static uint32_t target_of(const struct sconn *c)
{
    const struct listener *l = store_listener(c->st, c->domid);

    return l ? l->target : c->domid;
}

uint32_t store_perms(const struct sconn *c, const struct perm *perms, uint32_t n)
{
    if (!c->domid)
        return PERM_READ | PERM_WRITE;
    return mask_for(perms, n, c->domid) | mask_for(perms, n, target_of(c));
}

bool op_is_owner(const struct sconn *c, const struct node *n)
{
    return !c->domid || n->perms[0].domid == c->domid || n->perms[0].domid == target_of(c);
}

int op_get_node(struct op *o, uint32_t need, const struct node **out)
{
    uint32_t missing;
    const struct node *n = tree_nearest(o->tree, o->path, &missing);

    if (o->tx) {
        int err = tx_touch(o->c, o->tx, o->path);
        if (err)
            return err;
    }
    *out = missing ? NULL : n;
    if (!(store_perms(o->c, n->perms, n->nr_perms) & need))
        return -EACCES;
    return missing ? -ENOENT : 0;
}
