/* SPDX-License-Identifier: MIT
 *
 * Transactions: a private copy of the tree, the list of changes made in it and the paths it has
 * looked at. It commits if none of those paths has changed in the store meanwhile; then its changes
 * are made again there.
 */
#include "loopd/store_impl.h"

#include <stdlib.h>
#include <string.h>

void change_apply(struct tree *t, const struct change *ch)
{
    switch (ch->kind) {
    case CHANGE_WRITE:
        tree_create(t, ch->path, ch->who);
        tree_set_value(t, ch->path, ch->data, ch->len);
        break;
    case CHANGE_MKDIR:
        tree_create(t, ch->path, ch->who);
        break;
    case CHANGE_RM:
        tree_remove(t, ch->path);
        break;
    case CHANGE_PERMS:
        tree_set_perms(t, ch->path, ch->data, ch->len);
        break;
    }
}

void change_free(struct change *ch)
{
    free(ch->path);
    free(ch->data);
    free(ch);
}

struct tx *tx_find(struct sconn *c, uint32_t id)
{
    struct tx *tx = c->txs;

    while (tx && tx->id != id)
        tx = tx->next;
    return tx;
}

int tx_begin(struct sconn *c, uint32_t *id)
{
    if (c->domid && c->nr_txs >= QUOTA_TRANSACTIONS)
        return -ENOSPC;
    do
        c->next_tx++;
    while (!c->next_tx || tx_find(c, c->next_tx));
    struct tx *tx = must_alloc(sizeof(*tx));
    tx->id = c->next_tx;
    tree_copy(&tx->base, &c->st->tree);
    tree_copy(&tx->tree, &c->st->tree);
    tx->changes_end = &tx->changes;
    tx->next = c->txs;
    c->txs = tx;
    c->nr_txs++;
    *id = tx->id;
    return 0;
}

int tx_touch(struct sconn *c, struct tx *tx, const char *path)
{
    uint32_t lo = 0, hi = tx->nr_touched;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int cmp = strcmp(tx->touched[mid], path);

        if (!cmp)
            return 0;
        if (cmp < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (c->domid && tx->nr_touched >= QUOTA_TX_NODES)
        return -ENOSPC;
    tx->touched = must_realloc(tx->touched, (tx->nr_touched + 1) * sizeof(char *));
    memmove(tx->touched + lo + 1, tx->touched + lo, (tx->nr_touched - lo) * sizeof(char *));
    tx->touched[lo] = must_dup(path, strlen(path) + 1);
    tx->nr_touched++;
    return 0;
}

static int touch_node(struct sconn *c, struct tx *tx, const struct node *n, char *path, size_t len)
{
    int err = tx_touch(c, tx, path);

    for (uint32_t i = 0; i < n->nr_kids && !err; i++) {
        size_t more = strlen(n->kids[i]->name) + 1;

        if (len + more >= XENSTORE_ABS_PATH_MAX + 2)
            continue;
        path[len] = '/';
        memcpy(path + len + 1, n->kids[i]->name, more);
        err = touch_node(c, tx, n->kids[i], path, len + more);
        path[len] = '\0';
    }
    return err;
}

int tx_touch_below(struct sconn *c, struct tx *tx, const char *path)
{
    const struct node *n = tree_get(&tx->tree, path);
    size_t len = strlen(path);
    char buf[XENSTORE_ABS_PATH_MAX + 2];

    memcpy(buf, path, len + 1);
    return n ? touch_node(c, tx, n, buf, len) : tx_touch(c, tx, path);
}

void tx_log(struct tx *tx, struct change *ch)
{
    *tx->changes_end = ch;
    tx->changes_end = &ch->next;
}

static uint64_t gen_of(const struct tree *t, const char *path)
{
    const struct node *n = tree_get(t, path);

    return n ? n->gen : 0;
}

static int commit(struct sconn *c, struct tx *tx)
{
    struct store *st = c->st;
    struct tree before;

    for (uint32_t i = 0; i < tx->nr_touched; i++)
        if (gen_of(&tx->base, tx->touched[i]) != gen_of(&st->tree, tx->touched[i]))
            return -EAGAIN;
    tree_copy(&before, &st->tree);
    for (const struct change *ch = tx->changes; ch; ch = ch->next)
        change_apply(&st->tree, ch);
    if (c->domid && tx->changes && tree_owned(&st->tree, c->domid) > QUOTA_NODES &&
        tree_owned(&st->tree, c->domid) > tree_owned(&before, c->domid)) {
        tree_free(&st->tree);
        st->tree = before;
        return -ENOSPC;
    }
    for (const struct change *ch = tx->changes; ch; ch = ch->next)
        watch_fire(st, ch, &before, &st->tree);
    tree_free(&before);
    return 0;
}

static void tx_free(struct sconn *c, struct tx *tx)
{
    struct tx **at = &c->txs;

    while (*at != tx)
        at = &(*at)->next;
    *at = tx->next;
    c->nr_txs--;
    while (tx->changes) {
        struct change *ch = tx->changes;

        tx->changes = ch->next;
        change_free(ch);
    }
    for (uint32_t i = 0; i < tx->nr_touched; i++)
        free(tx->touched[i]);
    free(tx->touched);
    tree_free(&tx->base);
    tree_free(&tx->tree);
    free(tx);
}

int tx_end(struct sconn *c, struct tx *tx, bool do_commit)
{
    int err = do_commit ? commit(c, tx) : 0;

    tx_free(c, tx);
    return err;
}

void tx_drop_all(struct sconn *c)
{
    while (c->txs)
        tx_free(c, c->txs);
}
