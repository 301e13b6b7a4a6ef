/* SPDX-License-Identifier: MIT
 *
 * Dispatch of the store's requests. Threads: the server's one.
 */
#include "loopd/store_op.h"

#include <string.h>

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
    if (ops[c->in.type].body == BODY_ONE_STRING && op_strings(&o) != 1)
        return -EINVAL;
    return ops[c->in.type].handler(&o);
}

void store_request(struct sconn *c)
{
    int err = run(c);

    if (err)
        reply_error(c, err);
}
