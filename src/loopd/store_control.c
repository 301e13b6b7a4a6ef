/* SPDX-License-Identifier: MIT
 *
 * The store's other requests: watches, transactions, domains. Threads: the server's one.
 */
#include "loopd/store_op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Watches ---- */

/* Resolves the path of a watch, which may be one of the special ones. */
static int watch_args(struct op *o, const char **token)
{
    if (op_strings(o) != 2)
        return -EINVAL;
    *token = op_string(o, 1);
    if (strlen(*token) > XENSTORE_REL_PATH_MAX)
        return -E2BIG;
    if (o->body[0] != '@')
        return op_resolve(o, o->body);
    if (op_find_special(o->body) < 0)
        return -EINVAL;
    o->strip = 0;
    memcpy(o->path, o->body, strlen(o->body) + 1);
    return 0;
}

int op_watch(struct op *o)
{
    const char *token;
    int err = watch_args(o, &token);

    if (!err)
        err = watch_add(o->c, o->path, token, o->strip);
    if (err)
        return err;
    op_reply_ok(o);
    store_send_event(o->c, o->path + o->strip, token);
    return 0;
}

int op_unwatch(struct op *o)
{
    const char *token;
    int err = watch_args(o, &token);

    if (!err)
        err = watch_remove(o->c, o->path, token);
    return err ? err : op_reply_ok(o);
}

int op_reset_watches(struct op *o)
{
    watch_drop_all(o->c);
    tx_drop_all(o->c);
    return op_reply_ok(o);
}

/* ---- Transactions ---- */

int op_transaction_start(struct op *o)
{
    char id[16];
    uint32_t n;

    if (o->tx)
        return -EBUSY;
    int err = tx_begin(o->c, &n);
    if (err)
        return err;
    return op_reply(o, id, (size_t)snprintf(id, sizeof(id), "%" PRIu32, n) + 1);
}

int op_transaction_end(struct op *o)
{
    if (op_strings(o) != 1 || (strcmp(o->body, "T") && strcmp(o->body, "F")))
        return -EINVAL;
    if (!o->tx)
        return -ENOENT;
    int err = tx_end(o->c, o->tx, o->body[0] == 'T');
    return err ? err : op_reply_ok(o);
}

/* ---- Domains ---- */

/* The listener of the domain in string `which`. */
static int domain_arg(struct op *o, uint32_t which, uint32_t strings, struct listener **out)
{
    uint32_t domid;

    if (op_strings(o) != strings || op_parse_u32(op_string(o, which), LOOP_DOMID_MAX, &domid))
        return -EINVAL;
    *out = store_listener(o->c->st, domid);
    return *out ? 0 : -ENOENT;
}

int op_introduce(struct op *o)
{
    struct listener *l;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 3, &l);

    if (err)
        return err;
    if (!l->introduced) {
        l->introduced = true;
        watch_fire_special(o->c->st, SPECIAL_INTRODUCE);
    }
    return op_reply_ok(o);
}

int op_release(struct op *o)
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
    return op_reply_ok(o);
}

int op_is_introduced(struct op *o)
{
    struct listener *l;
    int err = domain_arg(o, 0, 1, &l);

    if (err == -EINVAL)
        return err;
    return op_reply(o, !err && l->introduced ? "T" : "F", 2);
}

int op_domain_path(struct op *o)
{
    char path[40];
    uint32_t domid;

    if (op_strings(o) != 1 || op_parse_u32(o->body, LOOP_DOMID_MAX, &domid))
        return -EINVAL;
    return op_reply(o, path,
                    (size_t)snprintf(path, sizeof(path), "/local/domain/%" PRIu32, domid) + 1);
}

int op_resume(struct op *o)
{
    struct listener *l;
    int err = o->c->domid ? -EACCES : domain_arg(o, 0, 1, &l);

    if (err)
        return err;
    return l->introduced ? op_reply_ok(o) : -ENOENT;
}

int op_set_target(struct op *o)
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
    return op_reply_ok(o);
}

int op_control(struct op *o)
{
    static const char help[] = "check|help|print";

    if (o->c->domid)
        return -EACCES;
    if (!op_strings(o))
        return -EINVAL;
    if (!strcmp(o->body, "help"))
        return op_reply(o, help, sizeof(help));
    return strcmp(o->body, "check") && strcmp(o->body, "print") ? -EINVAL : op_reply_ok(o);
}
