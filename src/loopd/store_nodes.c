/* SPDX-License-Identifier: MIT
 *
 * The store's requests about nodes: read, list, write, remove, permissions. Threads: the server's
 * one.
 */
#include "loopd/store_op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

int op_read(struct op *o)
{
    const struct node *n;
    int err = op_resolve(o, o->body);

    if (!err)
        err = op_get_node(o, PERM_READ, &n);
    return err ? err : op_reply(o, n->value, n->len);
}

/* The children's names, each with its NUL, in one allocation. */
static char *list_names(const struct node *n, size_t *bytes)
{
    size_t len = 0, at = 0;

    for (uint32_t i = 0; i < n->nr_kids; i++)
        len += strlen(n->kids[i]->name) + 1;
    char *all = must_alloc(len + 1);
    for (uint32_t i = 0; i < n->nr_kids; i++) {
        size_t one = strlen(n->kids[i]->name) + 1;

        memcpy(all + at, n->kids[i]->name, one);
        at += one;
    }
    *bytes = len;
    return all;
}

int op_directory(struct op *o)
{
    const struct node *n;
    int err = op_resolve(o, o->body);

    if (!err)
        err = op_get_node(o, PERM_READ, &n);
    if (err)
        return err;
    size_t len;
    char *all = list_names(n, &len);
    err = op_reply(o, all, len);
    free(all);
    return err;
}

/* Answer: the node's generation, then names from a byte offset of the whole list, as many as fit;
 * an empty name at the end of the list. */
int op_directory_part(struct op *o)
{
    const struct node *n;
    uint32_t off;
    char out[XENSTORE_PAYLOAD_MAX];

    if (op_strings(o) != 2 || op_parse_u32(op_string(o, 1), UINT32_MAX, &off))
        return -EINVAL;
    int err = op_resolve(o, o->body);
    if (!err)
        err = op_get_node(o, PERM_READ, &n);
    if (err)
        return err;
    size_t used = (size_t)snprintf(out, sizeof(out), "%" PRIu64, n->gen) + 1, len;
    char *all = list_names(n, &len);
    while (off < len) {
        size_t one = strnlen(all + off, len - off) + 1;

        if (used + one > sizeof(out) - 1)
            break;
        memcpy(out + used, all + off, one);
        used += one;
        off += (uint32_t)one;
    }
    if (off >= len)
        out[used++] = '\0';
    free(all);
    return op_reply(o, out, used);
}

/* ---- Changing ---- */

static struct change *change_new(struct op *o, enum change_kind kind, const void *data,
                                 size_t bytes, uint32_t len)
{
    struct change *ch = must_alloc(sizeof(*ch));

    ch->kind = kind;
    ch->who = o->c->domid;
    ch->path = must_dup(o->path, strlen(o->path) + 1);
    ch->data = must_dup(data, bytes);
    ch->len = len;
    return ch;
}

/* Makes the change in the transaction, or in the store and tells the watchers. */
static void make_change(struct op *o, struct change *ch)
{
    struct store *st = o->c->st;
    struct tree before;

    if (o->tx) {
        change_apply(o->tree, ch);
        tx_log(o->tx, ch);
        return;
    }
    if (ch->kind == CHANGE_RM) {
        tree_copy(&before, &st->tree);
        change_apply(&st->tree, ch);
        watch_fire(st, ch, &before, &st->tree);
        tree_free(&before);
    } else {
        change_apply(&st->tree, ch);
        watch_fire(st, ch, &st->tree, &st->tree);
    }
    change_free(ch);
}

/* May we write here, and how many nodes would that create? */
static int check_write(struct op *o, uint32_t *missing)
{
    const struct node *n = tree_nearest(o->tree, o->path, missing);
    char up[OP_PATH_BYTES];

    if (!(store_perms(o->c, n->perms, n->nr_perms) & PERM_WRITE))
        return -EACCES;
    if (o->c->domid && *missing && tree_owned(o->tree, o->c->domid) + *missing > QUOTA_NODES)
        return -ENOSPC;
    if (!o->tx)
        return 0;
    /* The node itself, and what is missing above it with the list of children that will change. */
    memcpy(up, o->path, strlen(o->path) + 1);
    int err = tx_touch(o->c, o->tx, up);
    for (uint32_t i = 0; i < *missing && !err; i++) {
        char *slash = strrchr(up, '/');

        slash[slash == up] = '\0';
        err = tx_touch(o->c, o->tx, up);
    }
    return err;
}

int op_write(struct op *o)
{
    size_t path_len = strnlen(o->body, o->len);
    uint32_t missing;

    if (path_len == o->len)
        return -EINVAL;
    int err = op_resolve(o, o->body);
    if (!err)
        err = check_write(o, &missing);
    if (err)
        return err;
    const char *value = o->body + path_len + 1;
    uint32_t len = o->len - (uint32_t)path_len - 1;
    if (o->c->domid && len > QUOTA_ENTRY_BYTES)
        return -ENOSPC;
    make_change(o, change_new(o, CHANGE_WRITE, value, len, len));
    return op_reply_ok(o);
}

int op_mkdir(struct op *o)
{
    uint32_t missing;
    int err = op_resolve(o, o->body);

    if (!err)
        err = check_write(o, &missing);
    if (err)
        return err;
    if (missing)
        make_change(o, change_new(o, CHANGE_MKDIR, NULL, 0, 0));
    return op_reply_ok(o);
}

int op_rm(struct op *o)
{
    const struct node *n;
    char up[OP_PATH_BYTES];
    int err = op_resolve(o, o->body);

    if (err)
        return err;
    if (!strcmp(o->path, "/"))
        return -EINVAL;
    size_t len = (size_t)(strrchr(o->path, '/') - o->path);
    memcpy(up, o->path, len);
    up[len] = '/';
    up[len ? len : 1] = '\0';
    err = op_get_node(o, PERM_WRITE, &n);
    /* Nothing to remove is fine as long as its directory is there. */
    if (err == -ENOENT && tree_get(o->tree, up))
        return op_reply_ok(o);
    if (!err && o->tx)
        err = tx_touch_below(o->c, o->tx, o->path);
    if (!err && o->tx)
        err = tx_touch(o->c, o->tx, up);
    if (err)
        return err;
    make_change(o, change_new(o, CHANGE_RM, NULL, 0, 0));
    return op_reply_ok(o);
}

/* ---- Permissions ---- */

static const char *perm_letter(uint32_t mask)
{
    static const char *const letters[] = {"n", "r", "w", "b"};

    return letters[mask & (PERM_READ | PERM_WRITE)];
}

static int parse_perm(const char *s, struct perm *p)
{
    static const char letters[] = "nrwb";
    const char *l = *s ? strchr(letters, *s) : NULL;

    if (!l)
        return -EINVAL;
    p->mask = (uint32_t)(l - letters);
    return op_parse_u32(s + 1, LOOP_DOMID_MAX, &p->domid);
}

static int reply_perms(struct op *o, const struct perm *perms, uint32_t n)
{
    char out[PERMS_MAX * 12];
    size_t used = 0;

    for (uint32_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%" PRIu32,
                                 perm_letter(perms[i].mask), perms[i].domid) +
                1;
    return op_reply(o, out, used);
}

int op_get_perms(struct op *o)
{
    const struct node *n;
    int special = op_find_special(o->body);

    if (special >= 0)
        return reply_perms(o, o->c->st->special[special].perms, o->c->st->special[special].nr);
    int err = op_resolve(o, o->body);
    if (!err)
        err = op_get_node(o, PERM_READ, &n);
    return err ? err : reply_perms(o, n->perms, n->nr_perms);
}

static int set_special_perms(struct op *o, int special, const struct perm *perms, uint32_t n)
{
    if (o->c->domid)
        return -EACCES;
    memcpy(o->c->st->special[special].perms, perms, n * sizeof(*perms));
    o->c->st->special[special].nr = n;
    return op_reply_ok(o);
}

int op_set_perms(struct op *o)
{
    struct perm perms[PERMS_MAX];
    const struct node *n;
    uint32_t nr = op_strings(o);

    if (nr < 2 || nr - 1 > PERMS_MAX)
        return -EINVAL;
    nr--;
    for (uint32_t i = 0; i < nr; i++)
        if (parse_perm(op_string(o, i + 1), &perms[i]))
            return -EINVAL;
    if (o->c->domid && nr > QUOTA_PERMS)
        return -ENOSPC;
    int special = op_find_special(o->body);
    if (special >= 0)
        return set_special_perms(o, special, perms, nr);
    int err = op_resolve(o, o->body);
    if (!err)
        err = op_get_node(o, PERM_WRITE, &n);
    if (err)
        return err;
    if (!op_is_owner(o->c, n))
        return -EACCES;
    if (o->c->domid && perms[0].domid != n->perms[0].domid)
        return -EPERM;
    make_change(o, change_new(o, CHANGE_PERMS, perms, nr * sizeof(*perms), nr));
    return op_reply_ok(o);
}
