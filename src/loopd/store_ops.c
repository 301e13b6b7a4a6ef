/* SPDX-License-Identifier: MIT
 *
 * The store's requests, one function each. A handler answers its request itself or returns a
 * negative errno, which becomes the protocol's error message.
 */
#include "loopd/store_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES (XENSTORE_ABS_PATH_MAX + 2)

struct op {
    struct sconn *c;
    char *body; /* a NUL follows its len bytes */
    uint32_t len;
    struct tx *tx;     /* NULL: none */
    struct tree *tree; /* the transaction's, or the store's */
    size_t strip;      /* bytes put in front of a relative path */
    char path[PATH_BYTES];
};

/* ---- Answers ---- */

static int reply(struct op *o, const void *data, size_t len)
{
    if (len > XENSTORE_PAYLOAD_MAX)
        return -E2BIG;
    store_send(o->c, &o->c->in, data, (uint32_t)len);
    return 0;
}

static int reply_ok(struct op *o)
{
    return reply(o, "OK", 3);
}

static void reply_error(struct sconn *c, int err)
{
    struct xsd_sockmsg head = c->in;
    const char *name = "EINVAL";

    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
        if (xsd_errors[i].errnum == -err)
            name = xsd_errors[i].errstring;
    head.type = XS_ERROR;
    store_send(c, &head, name, (uint32_t)strlen(name) + 1);
}

/* ---- Arguments ---- */

/* How many NUL-terminated strings the body holds; 0 if the last one does not end. */
static uint32_t count_strings(const struct op *o)
{
    uint32_t n = 0;

    if (!o->len || o->body[o->len - 1])
        return 0;
    for (uint32_t i = 0; i < o->len; i++)
        n += !o->body[i];
    return n;
}

static const char *string_at(const struct op *o, uint32_t which)
{
    const char *s = o->body;

    while (which--)
        s += strlen(s) + 1;
    return s;
}

static int parse_u32(const char *s, uint32_t max, uint32_t *out)
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

/* Checks a path and makes it absolute in o->path. */
static int resolve(struct op *o, const char *path)
{
    size_t len = strlen(path);
    int err = check_path(path, len);

    o->strip = 0;
    if (err)
        return err;
    if (path[0] != '/') {
        o->strip = (size_t)snprintf(o->path, PATH_BYTES, "/local/domain/%" PRIu32 "/", o->c->domid);
        if (o->strip + len > XENSTORE_ABS_PATH_MAX)
            return -EINVAL;
    }
    memcpy(o->path + o->strip, path, len + 1);
    return 0;
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

static bool is_owner(const struct sconn *c, const struct node *n)
{
    return !c->domid || n->perms[0].domid == c->domid || n->perms[0].domid == target_of(c);
}

/* The node at o->path, if it is there and we may. For one that is not there the closest ancestor
 * decides whether we may know that. */
static int get_node(struct op *o, uint32_t need, const struct node **out)
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

/* ---- Reading ---- */

static int op_read(struct op *o)
{
    const struct node *n;
    int err = resolve(o, o->body);

    if (!err)
        err = get_node(o, PERM_READ, &n);
    return err ? err : reply(o, n->value, n->len);
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

static int op_directory(struct op *o)
{
    const struct node *n;
    int err = resolve(o, o->body);

    if (!err)
        err = get_node(o, PERM_READ, &n);
    if (err)
        return err;
    size_t len;
    char *all = list_names(n, &len);
    err = reply(o, all, len);
    free(all);
    return err;
}

/* Answer: the node's generation, then names from a byte offset of the whole list, as many as fit;
 * an empty name at the end of the list. */
static int op_directory_part(struct op *o)
{
    const struct node *n;
    uint32_t off;
    char out[XENSTORE_PAYLOAD_MAX];

    if (count_strings(o) != 2 || parse_u32(string_at(o, 1), UINT32_MAX, &off))
        return -EINVAL;
    int err = resolve(o, o->body);
    if (!err)
        err = get_node(o, PERM_READ, &n);
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
    return reply(o, out, used);
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
    char up[PATH_BYTES];

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

static int op_write(struct op *o)
{
    size_t path_len = strnlen(o->body, o->len);
    uint32_t missing;

    if (path_len == o->len)
        return -EINVAL;
    int err = resolve(o, o->body);
    if (!err)
        err = check_write(o, &missing);
    if (err)
        return err;
    const char *value = o->body + path_len + 1;
    uint32_t len = o->len - (uint32_t)path_len - 1;
    if (o->c->domid && len > QUOTA_ENTRY_BYTES)
        return -ENOSPC;
    make_change(o, change_new(o, CHANGE_WRITE, value, len, len));
    return reply_ok(o);
}

static int op_mkdir(struct op *o)
{
    uint32_t missing;
    int err = resolve(o, o->body);

    if (!err)
        err = check_write(o, &missing);
    if (err)
        return err;
    if (missing)
        make_change(o, change_new(o, CHANGE_MKDIR, NULL, 0, 0));
    return reply_ok(o);
}

static int op_rm(struct op *o)
{
    const struct node *n;
    char up[PATH_BYTES];
    int err = resolve(o, o->body);

    if (err)
        return err;
    if (!strcmp(o->path, "/"))
        return -EINVAL;
    size_t len = (size_t)(strrchr(o->path, '/') - o->path);
    memcpy(up, o->path, len);
    up[len] = '/';
    up[len ? len : 1] = '\0';
    err = get_node(o, PERM_WRITE, &n);
    /* Nothing to remove is fine as long as its directory is there. */
    if (err == -ENOENT && tree_get(o->tree, up))
        return reply_ok(o);
    if (!err && o->tx)
        err = tx_touch_below(o->c, o->tx, o->path);
    if (!err && o->tx)
        err = tx_touch(o->c, o->tx, up);
    if (err)
        return err;
    make_change(o, change_new(o, CHANGE_RM, NULL, 0, 0));
    return reply_ok(o);
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
    return parse_u32(s + 1, LOOP_DOMID_MAX, &p->domid);
}

static int find_special(const char *path)
{
    for (int i = 0; i < SPECIAL_COUNT; i++)
        if (!strcmp(path, special_names[i]))
            return i;
    return -1;
}

static int reply_perms(struct op *o, const struct perm *perms, uint32_t n)
{
    char out[PERMS_MAX * 12];
    size_t used = 0;

    for (uint32_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%" PRIu32,
                                 perm_letter(perms[i].mask), perms[i].domid) +
                1;
    return reply(o, out, used);
}

static int op_get_perms(struct op *o)
{
    const struct node *n;
    int special = find_special(o->body);

    if (special >= 0)
        return reply_perms(o, o->c->st->special[special].perms, o->c->st->special[special].nr);
    int err = resolve(o, o->body);
    if (!err)
        err = get_node(o, PERM_READ, &n);
    return err ? err : reply_perms(o, n->perms, n->nr_perms);
}

static int set_special_perms(struct op *o, int special, const struct perm *perms, uint32_t n)
{
    if (o->c->domid)
        return -EACCES;
    memcpy(o->c->st->special[special].perms, perms, n * sizeof(*perms));
    o->c->st->special[special].nr = n;
    return reply_ok(o);
}

static int op_set_perms(struct op *o)
{
    struct perm perms[PERMS_MAX];
    const struct node *n;
    uint32_t nr = count_strings(o);

    if (nr < 2 || nr - 1 > PERMS_MAX)
        return -EINVAL;
    nr--;
    for (uint32_t i = 0; i < nr; i++)
        if (parse_perm(string_at(o, i + 1), &perms[i]))
            return -EINVAL;
    if (o->c->domid && nr > QUOTA_PERMS)
        return -ENOSPC;
    int special = find_special(o->body);
    if (special >= 0)
        return set_special_perms(o, special, perms, nr);
    int err = resolve(o, o->body);
    if (!err)
        err = get_node(o, PERM_WRITE, &n);
    if (err)
        return err;
    if (!is_owner(o->c, n))
        return -EACCES;
    if (o->c->domid && perms[0].domid != n->perms[0].domid)
        return -EPERM;
    make_change(o, change_new(o, CHANGE_PERMS, perms, nr * sizeof(*perms), nr));
    return reply_ok(o);
}

/* ---- Watches ---- */

/* Resolves the path of a watch, which may be one of the special ones. */
static int watch_args(struct op *o, const char **token)
{
    if (count_strings(o) != 2)
        return -EINVAL;
    *token = string_at(o, 1);
    if (strlen(*token) > XENSTORE_REL_PATH_MAX)
        return -E2BIG;
    if (o->body[0] != '@')
        return resolve(o, o->body);
    if (find_special(o->body) < 0)
        return -EINVAL;
    o->strip = 0;
    memcpy(o->path, o->body, strlen(o->body) + 1);
    return 0;
}

static int op_watch(struct op *o)
{
    const char *token;
    int err = watch_args(o, &token);

    if (!err)
        err = watch_add(o->c, o->path, token, o->strip);
    if (err)
        return err;
    reply_ok(o);
    store_send_event(o->c, o->path + o->strip, token);
    return 0;
}

static int op_unwatch(struct op *o)
{
    const char *token;
    int err = watch_args(o, &token);

    if (!err)
        err = watch_remove(o->c, o->path, token);
    return err ? err : reply_ok(o);
}

static int op_reset_watches(struct op *o)
{
    watch_drop_all(o->c);
    tx_drop_all(o->c);
    return reply_ok(o);
}

/* ---- Transactions ---- */

static int op_transaction_start(struct op *o)
{
    char id[16];
    uint32_t n;

    if (o->tx)
        return -EBUSY;
    int err = tx_begin(o->c, &n);
    if (err)
        return err;
    return reply(o, id, (size_t)snprintf(id, sizeof(id), "%" PRIu32, n) + 1);
}

static int op_transaction_end(struct op *o)
{
    if (count_strings(o) != 1 || (strcmp(o->body, "T") && strcmp(o->body, "F")))
        return -EINVAL;
    if (!o->tx)
        return -ENOENT;
    int err = tx_end(o->c, o->tx, o->body[0] == 'T');
    return err ? err : reply_ok(o);
}

/* ---- Domains ---- */

/* The listener of the domain in string `which`. */
static int domain_arg(struct op *o, uint32_t which, uint32_t strings, struct listener **out)
{
    uint32_t domid;

    if (count_strings(o) != strings || parse_u32(string_at(o, which), LOOP_DOMID_MAX, &domid))
        return -EINVAL;
    *out = store_listener(o->c->st, domid);
    return *out ? 0 : -ENOENT;
}

static int op_introduce(struct op *o)
{
    struct listener *l;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 3, &l);

    if (err)
        return err;
    if (!l->introduced) {
        l->introduced = true;
        watch_fire_special(o->c->st, SPECIAL_INTRODUCE);
    }
    return reply_ok(o);
}

static int op_release(struct op *o)
{
    struct listener *l;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 1, &l);

    if (err)
        return err;
    if (!l->domid)
        return -EINVAL;
    if (!l->introduced)
        return -ENOENT;
    l->introduced = false;
    watch_fire_special(o->c->st, SPECIAL_RELEASE);
    return reply_ok(o);
}

static int op_is_introduced(struct op *o)
{
    struct listener *l;
    int err = domain_arg(o, 0, 1, &l);

    if (err == -EINVAL)
        return err;
    return reply(o, !err && l->introduced ? "T" : "F", 2);
}

static int op_domain_path(struct op *o)
{
    char path[40];
    uint32_t domid;

    if (count_strings(o) != 1 || parse_u32(o->body, LOOP_DOMID_MAX, &domid))
        return -EINVAL;
    return reply(o, path,
                 (size_t)snprintf(path, sizeof(path), "/local/domain/%" PRIu32, domid) + 1);
}

static int op_resume(struct op *o)
{
    struct listener *l;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 1, &l);

    if (err)
        return err;
    return l->introduced ? reply_ok(o) : -ENOENT;
}

static int op_set_target(struct op *o)
{
    struct listener *l, *target;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 2, &l);

    if (!err)
        err = domain_arg(o, 1, 2, &target);
    if (err)
        return err;
    if (!l->introduced || !target->introduced)
        return -ENOENT;
    l->target = target->domid;
    return reply_ok(o);
}

static int op_control(struct op *o)
{
    static const char help[] = "check|help|print";

    if (o->c->domid)
        return -EACCES;
    if (!count_strings(o))
        return -EINVAL;
    if (!strcmp(o->body, "help"))
        return reply(o, help, sizeof(help));
    return strcmp(o->body, "check") && strcmp(o->body, "print") ? -EINVAL : reply_ok(o);
}

/* ---- Dispatch ---- */

enum body { BODY_ANY, BODY_ONE_STRING };

static const struct {
    int (*handler)(struct op *);
    enum body body;
    bool in_tx; /* looks at the transaction id */
} ops[XS_TYPE_COUNT] = {
    [XS_CONTROL] = {op_control, BODY_ANY, false},
    [XS_DIRECTORY] = {op_directory, BODY_ONE_STRING, true},
    [XS_READ] = {op_read, BODY_ONE_STRING, true},
    [XS_GET_PERMS] = {op_get_perms, BODY_ONE_STRING, true},
    [XS_WATCH] = {op_watch, BODY_ANY, false},
    [XS_UNWATCH] = {op_unwatch, BODY_ANY, false},
    [XS_TRANSACTION_START] = {op_transaction_start, BODY_ANY, true},
    [XS_TRANSACTION_END] = {op_transaction_end, BODY_ANY, true},
    [XS_INTRODUCE] = {op_introduce, BODY_ANY, false},
    [XS_RELEASE] = {op_release, BODY_ANY, false},
    [XS_GET_DOMAIN_PATH] = {op_domain_path, BODY_ANY, false},
    [XS_WRITE] = {op_write, BODY_ANY, true},
    [XS_MKDIR] = {op_mkdir, BODY_ONE_STRING, true},
    [XS_RM] = {op_rm, BODY_ONE_STRING, true},
    [XS_SET_PERMS] = {op_set_perms, BODY_ANY, true},
    [XS_IS_DOMAIN_INTRODUCED] = {op_is_introduced, BODY_ANY, false},
    [XS_RESUME] = {op_resume, BODY_ANY, false},
    [XS_SET_TARGET] = {op_set_target, BODY_ANY, false},
    [XS_RESET_WATCHES] = {op_reset_watches, BODY_ANY, false},
    [XS_DIRECTORY_PART] = {op_directory_part, BODY_ANY, true},
};

static int run(struct sconn *c)
{
    struct op o = {
        .c = c, .body = c->in_bytes + sizeof(c->in), .len = c->in.len, .tree = &c->st->tree};

    if (c->in.type >= XS_TYPE_COUNT || !ops[c->in.type].handler)
        return -ENOSYS;
    if (ops[c->in.type].in_tx && c->in.tx_id) {
        o.tx = tx_find(c, c->in.tx_id);
        if (!o.tx)
            return -ENOENT;
        o.tree = &o.tx->tree;
    }
    if (ops[c->in.type].body == BODY_ONE_STRING && count_strings(&o) != 1)
        return -EINVAL;
    return ops[c->in.type].handler(&o);
}

void store_request(struct sconn *c)
{
    int err = run(c);

    if (err)
        reply_error(c, err);
}
