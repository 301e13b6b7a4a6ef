/* SPDX-License-Identifier: MIT
 *
 * The store, inside: connections (store.c), requests (store_ops.c and what it calls), transactions
 * (store_tx.c), watches (store_watch.c). The wire protocol is xen/io/xs_wire.h's; behaviour and
 * limits are those of the xenstored that Xen 4.17 ships, as far as clients can tell.
 *
 * Less faithful: a removed domain's nodes stay, domain ids are not used again (so no permission
 * outlives its domain), and limits on memory are replaced by limits on what is queued.
 */
#ifndef LOOPD_STORE_IMPL_H
#define LOOPD_STORE_IMPL_H

#include <errno.h>
#include <stdint.h>

#include <xen/io/xs_wire.h> /* wants the two above */

#include "loopd/store.h"
#include "loopd/tree.h"

/* Limits of domains other than 0. */
#define QUOTA_NODES        1000u
#define QUOTA_WATCHES      128u
#define QUOTA_ENTRY_BYTES  2048u
#define QUOTA_TRANSACTIONS 10u
#define QUOTA_TX_NODES     1024u /* nodes touched by one transaction */
#define QUOTA_PERMS        5u
#define QUOTA_EVENT_BYTES  (1u << 20) /* watch events not yet read; beyond it the client goes */
/* Of every client. */
#define PERMS_MAX           64u
#define TRUSTED_EVENT_BYTES (64u << 20)
#define REPLY_QUEUE_BYTES   (128u << 10) /* more than this unread: no further request is served */

struct store_out { /* one message on its way out */
    struct store_out *next;
    uint32_t len, sent;
    bool event;
    char data[];
};

struct watch {
    struct watch *next;
    char *path; /* absolute, or "@..." */
    char *token;
    size_t strip; /* bytes to cut from an event's path: the watch was made with a relative path */
};

enum change_kind { CHANGE_WRITE, CHANGE_MKDIR, CHANGE_RM, CHANGE_PERMS };

struct change {
    struct change *next;
    enum change_kind kind;
    uint32_t who;
    char *path;
    void *data;   /* value, or struct perm[] */
    uint32_t len; /* bytes of value, or number of perms */
};

struct tx {
    struct tx *next;
    uint32_t id;
    struct tree base; /* the store as it was at the start */
    struct tree tree; /* with this transaction's changes */
    char **touched;   /* paths, sorted */
    uint32_t nr_touched;
    struct change *changes, **changes_end;
};

struct sconn {
    struct sconn *next;
    struct store *st;
    struct loop_source *source;
    int fd;
    uint32_t domid;
    bool dead;   /* to be freed by store_reap() */
    bool paused; /* not reading: too many answers unread */
    struct watch *watches;
    struct tx *txs;
    uint32_t nr_watches, nr_txs, next_tx;
    struct store_out *out, **out_end;
    uint32_t out_bytes;
    uint32_t events; /* what epoll waits for */
    uint32_t in_used;
    union {
        struct xsd_sockmsg in;
        char in_bytes[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX + 1];
    };
};

struct listener {
    struct listener *next;
    struct store *st;
    struct loop_source *source;
    int fd;
    uint32_t domid;
    bool introduced;
    uint32_t target; /* this domain may act as that one; itself if none */
    char path[256];
};

enum special { SPECIAL_INTRODUCE, SPECIAL_RELEASE, SPECIAL_COUNT };
extern const char *const special_names[SPECIAL_COUNT];

struct store {
    struct server *srv;
    struct tree tree;
    struct sconn *conns;
    struct listener *listeners;
    struct {
        struct perm perms[PERMS_MAX];
        uint32_t nr;
    } special[SPECIAL_COUNT];
};

/* store.c */
struct listener *store_listener(struct store *st, uint32_t domid);
/* Queues one message. */
void store_send(struct sconn *c, const struct xsd_sockmsg *head, const void *body, uint32_t len);
void store_send_event(struct sconn *c, const char *path, const char *token);

/* store_ops.c: answers the request in c->in. */
void store_request(struct sconn *c);
/* What the domain may do with a node: PERM_ bits; owners and domain 0 everything. */
uint32_t store_perms(const struct sconn *c, const struct perm *perms, uint32_t n);

/* store_tx.c */
void change_apply(struct tree *t, const struct change *ch);
void change_free(struct change *ch);
struct tx *tx_find(struct sconn *c, uint32_t id);
int tx_begin(struct sconn *c, uint32_t *id);
/* Notes that the transaction depends on the path; -ENOSPC over the quota. */
int tx_touch(struct sconn *c, struct tx *tx, const char *path);
int tx_touch_below(struct sconn *c, struct tx *tx, const char *path);
void tx_log(struct tx *tx, struct change *ch); /* takes ch over */
int tx_end(struct sconn *c, struct tx *tx, bool commit);
void tx_drop_all(struct sconn *c);

/* store_watch.c */
int watch_add(struct sconn *c, const char *path, const char *token, size_t strip);
int watch_remove(struct sconn *c, const char *path, const char *token);
void watch_drop_all(struct sconn *c);
/* before, after: the store without and with the change. */
void watch_fire(struct store *st, const struct change *ch, const struct tree *before,
                const struct tree *after);
void watch_fire_special(struct store *st, enum special special);

#endif
