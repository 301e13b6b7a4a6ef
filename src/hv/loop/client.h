/* SPDX-License-Identifier: MIT
 *
 * The client side of the loopback, inside: one connection to blkback-loopd for each struct hv, and
 * the shared memory that came over it.
 *
 * Threads: the connection is used under its mutex; struct loop_peer is shared between handles and
 * immutable once made. Everything else belongs to the handle's one thread.
 */
#ifndef HV_LOOP_CLIENT_H
#define HV_LOOP_CLIENT_H

#include <pthread.h>
#include <stddef.h>

#include "hv/impl.h"
#include "hv/loop/wire.h"

#define LOOP_DIR_MAX 128 /* bytes with NUL; a Unix socket's path has 108 */

/* GNTST_* of Xen's grant_table.h that the loopback answers. */
#define LOOP_GNTST_GENERAL    (-1)
#define LOOP_GNTST_BAD_DOMAIN (-2)
#define LOOP_GNTST_BAD_GNTREF (-3)
#define LOOP_GNTST_BAD_PAGE   (-9)

/* A domain whose memory this process can reach; its own too. Lives as long as the struct hv. */
struct loop_peer {
    struct loop_peer *next;
    uint32_t domid;
    uint32_t pages;
    int mem_fd;
    char *mem; /* all of it, read-write: for copies and for pages of our own */
    struct loop_table *table;
};

struct loop_hv {
    struct hv base;
    uint32_t domid;
    int sock;
    pthread_mutex_t lock; /* sock, peers */
    struct loop_shared *shared;
    struct loop_peer *peers;
    uint32_t nr_own_fails; /* rules from BLKBACK_LOOP_FAIL, for this process only */
    struct loop_fail own_fail[LOOP_FAILS];
};

/* Splits "DIR" or "DIR:DOMID". domid is LOOP_DOMID_NONE when the spec has none. */
int loop_spec_parse(const char *rest, char dir[LOOP_DIR_MAX], uint32_t *domid, struct errmsg *err);

/* Connects and says HELLO as domid. What loopctl uses too. */
int loop_connect(const char *dir, uint32_t domid, struct loop_hv **out, struct errmsg *err);
void loop_disconnect(struct loop_hv *hv);

/* One round trip. req starts with a struct loop_head that this fills in; rsp has room for the
 * operation's answer. fds receives want descriptors (exactly, or the call fails with -EPROTO). */
int loop_rpc(struct loop_hv *hv, uint32_t op, void *req, void *rsp, int *fds, size_t want);

/* The peer's memory and grant table, mapped once for each struct hv. */
int loop_peer_get(struct loop_hv *hv, uint32_t domid, struct loop_peer **out);

int loop_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out);
int loop_share_open(struct hv *hv, struct hv_share **out);
int loop_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t port, struct hv_evtchn **out);
int loop_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port);

/* Copies through peer's grants, announcing each in *slot. */
int loop_copy(struct loop_hv *hv, struct loop_peer *peer, struct loop_slot *slot,
              struct hv_copy *ops, uint32_t n);

/* 0, or what this call must answer because a script says so. */
int loop_fail_slow(struct loop_hv *hv, enum loop_call call);
static inline int loop_fail(struct loop_hv *hv, enum loop_call call)
{
    if (!hv->nr_own_fails && !__atomic_load_n(&hv->shared->nr_fails, __ATOMIC_RELAXED))
        return 0;
    return loop_fail_slow(hv, call);
}

/* Parses one rule "CALL:N:ERROR" (N: "*" or a count from 1; ERROR: an errno's name, or for copy a
 * GNTST name) of len characters. */
int loop_fail_parse(const char *text, size_t len, struct loop_fail *rule, struct errmsg *err);
/* A comma-separated list of rules into hv->own_fail. */
int loop_fail_env(struct loop_hv *hv, const char *text, struct errmsg *err);

#endif
