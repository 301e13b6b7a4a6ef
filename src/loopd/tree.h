/* SPDX-License-Identifier: MIT
 *
 * The store's tree of nodes. Nodes are shared between copies of the tree and cloned when one copy
 * changes them, so that a transaction's view costs one reference.
 *
 * Paths are absolute and checked by the caller: "/" or "/a/b", no empty component.
 * Threads: the server's one.
 */
#ifndef LOOPD_TREE_H
#define LOOPD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERM_READ  1u
#define PERM_WRITE 2u

struct perm {
    uint32_t domid;
    uint32_t mask; /* PERM_READ | PERM_WRITE */
};

/* perms[0]: the owner (who may do everything) and what everybody else may. */
struct node {
    uint32_t refs;
    uint32_t nr_perms, nr_kids;
    uint32_t len; /* bytes of value */
    uint64_t gen; /* changes with value, permissions and the list of children; never 0 */
    struct perm *perms;
    struct node **kids; /* by name */
    char *value;
    char name[];
};

struct tree {
    struct node *root;
    struct tree_owner {
        uint32_t domid, nodes;
    } * owners; /* how many nodes each domain owns */
    uint32_t nr_owners;
};

/* A tree with a root that domain 0 owns. All of these end the process when memory runs out. */
void tree_init(struct tree *t);
void tree_copy(struct tree *to, const struct tree *from);
void tree_free(struct tree *t);

const struct node *tree_get(const struct tree *t, const char *path);
/* The node, or the closest of its ancestors that exists; *missing: components that do not. */
const struct node *tree_nearest(const struct tree *t, const char *path, uint32_t *missing);

/* Creates the node and its missing ancestors: permissions come from the parent, but what a domain
 * other than 0 creates is its own. Does nothing to a node that is there. */
void tree_create(struct tree *t, const char *path, uint32_t who);
/* The node must be there for these. */
void tree_set_value(struct tree *t, const char *path, const void *value, uint32_t len);
void tree_set_perms(struct tree *t, const char *path, const struct perm *perms, uint32_t n);
void tree_remove(struct tree *t, const char *path); /* with all below; not the root */

uint32_t tree_owned(const struct tree *t, uint32_t domid);

/* strdup and friends that end the process with a line when memory runs out. */
void *must_alloc(size_t n); /* zeroed */
void *must_realloc(void *p, size_t n);
void *must_dup(const void *p, size_t n);

#endif
