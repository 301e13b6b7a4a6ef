/* SPDX-License-Identifier: MIT
 *
 * One request to the store while it is being answered. A handler answers it itself or returns a
 * negative errno, which becomes the protocol's error message.
 */
#ifndef LOOPD_STORE_OP_H
#define LOOPD_STORE_OP_H

#include "loopd/store_impl.h"

#define OP_PATH_BYTES (XENSTORE_ABS_PATH_MAX + 2)

struct op {
    struct sconn *c;
    char *body; /* a NUL follows its len bytes */
    uint32_t len;
    struct tx *tx;     /* NULL: none */
    struct tree *tree; /* the transaction's, or the store's */
    size_t strip;      /* bytes put in front of a relative path */
    char path[OP_PATH_BYTES];
};

/* store_args.c */
int op_reply(struct op *o, const void *data, size_t len);
int op_reply_ok(struct op *o);
/* How many NUL-terminated strings the body holds; 0 if the last one does not end. */
uint32_t op_strings(const struct op *o);
const char *op_string(const struct op *o, uint32_t which);
int op_parse_u32(const char *s, uint32_t max, uint32_t *out);
/* Checks a path and makes it absolute in o->path. */
int op_resolve(struct op *o, const char *path);
/* The node at o->path, if it is there and we may. For one that is not there the closest ancestor
 * decides whether we may know that. */
int op_get_node(struct op *o, uint32_t need, const struct node **out);
bool op_is_owner(const struct sconn *c, const struct node *n);
/* SPECIAL_*, or -1. */
int op_find_special(const char *path);

/* store_nodes.c */
int op_read(struct op *o);
int op_directory(struct op *o);
int op_directory_part(struct op *o);
int op_write(struct op *o);
int op_mkdir(struct op *o);
int op_rm(struct op *o);
int op_get_perms(struct op *o);
int op_set_perms(struct op *o);

/* store_control.c */
int op_watch(struct op *o);
int op_unwatch(struct op *o);
int op_reset_watches(struct op *o);
int op_transaction_start(struct op *o);
int op_transaction_end(struct op *o);
int op_introduce(struct op *o);
int op_release(struct op *o);
int op_is_introduced(struct op *o);
int op_domain_path(struct op *o);
int op_resume(struct op *o);
int op_set_target(struct op *o);
int op_control(struct op *o);

#endif
