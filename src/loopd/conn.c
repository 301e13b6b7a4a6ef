/* SPDX-License-Identifier: MIT
 *
 * hv.sock: connections and the dispatch of their requests. A client that does not keep to the
 * protocol, or does not take its answers, loses its connection; a process that dies loses
 * everything that it had.
 */
#include "loopd/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/msg.h"
#include "loopd/store.h"

#define PAGES_MAX (1u << 20) /* 4 GiB */

union request {
    struct loop_head head;
    struct loop_hello_req hello;
    struct loop_domid_req domid;
    struct loop_slot_msg slot;
    struct loop_map_req map;
    struct loop_unmap_req unmap;
    struct loop_share_req share;
    struct loop_unshare_req unshare;
    struct loop_ev_req ev;
    struct loop_create_msg create;
    struct loop_cursor_req cursor;
    struct loop_fail_req fail;
    struct loop_limit_req limit;
};

union answer {
    struct loop_head head;
    struct loop_peer_rsp peer;
    struct loop_slot_msg slot;
    struct loop_map_rsp map;
    struct loop_share_rsp share;
    struct loop_ev_rsp ev;
    struct loop_create_msg create;
    struct loop_list_rsp list;
    struct loop_report_rsp report;
};

struct call {
    const union request *q;
    union answer *a;
    int fds[2];
    size_t nfds;
};

static int do_hello(struct hvconn *c, struct call *k)
{
    if (c->dom)
        return -EISCONN;
    if (k->q->hello.version != LOOP_VERSION)
        return -EPROTO;
    c->dom = domain_find(c->srv, k->q->hello.domid);
    if (!c->dom)
        return -ENOENT;
    k->fds[0] = c->srv->shared_fd;
    k->nfds = 1;
    return 0;
}

static int do_peer(struct hvconn *c, struct call *k)
{
    struct domain *dom = domain_find(c->srv, k->q->domid.domid);

    if (!dom)
        return -ESRCH;
    k->a->peer.pages = dom->pages;
    k->fds[0] = dom->mem_fd;
    k->fds[1] = dom->table_fd;
    k->nfds = 2;
    return 0;
}

static int do_slot_open(struct hvconn *c, struct call *k)
{
    struct domain *dom = domain_find(c->srv, k->q->domid.domid);

    if (!dom)
        return -ESRCH;
    k->a->slot.domid = dom->domid;
    return slot_open(c, dom, &k->a->slot.slot);
}

static int do_slot_close(struct hvconn *c, struct call *k)
{
    return slot_close(c, k->q->slot.domid, k->q->slot.slot);
}

static int do_map(struct hvconn *c, struct call *k)
{
    struct domain *dom = domain_find(c->srv, k->q->map.domid);

    return dom ? grant_map(c, dom, &k->q->map, &k->a->map) : -EINVAL;
}

static int do_unmap(struct hvconn *c, struct call *k)
{
    return grant_unmap(c, k->q->unmap.handles, k->q->unmap.n);
}

static int do_share(struct hvconn *c, struct call *k)
{
    return share_new(c, k->q->share.n, &k->a->share);
}

static int do_unshare(struct hvconn *c, struct call *k)
{
    return share_end(c, k->q->unshare.last_ref, k->q->unshare.n, k->q->unshare.force != 0);
}

static int do_ev_alloc(struct hvconn *c, struct call *k)
{
    k->nfds = 2;
    return event_alloc(c, k->q->ev.domid, &k->a->ev, k->fds);
}

static int do_ev_bind(struct hvconn *c, struct call *k)
{
    k->nfds = 2;
    return event_bind(c, k->q->ev.domid, k->q->ev.port, &k->a->ev, k->fds);
}

static int do_ev_close(struct hvconn *c, struct call *k)
{
    return event_close(c, k->q->ev.port);
}

static int do_create(struct hvconn *c, struct call *k)
{
    struct server *srv = c->srv;
    struct domain *dom;

    if (!k->q->create.pages || k->q->create.pages > PAGES_MAX)
        return -EINVAL;
    if (srv->next_domid > LOOP_DOMID_MAX)
        return -ENOSPC;
    int err = domain_create(srv, srv->next_domid, k->q->create.pages, &dom);
    if (err)
        return err;
    srv->next_domid++;
    k->a->create.pages = dom->pages;
    k->a->create.domid = dom->domid;
    return 0;
}

static int do_introduce(struct hvconn *c, struct call *k)
{
    return store_domain_introduce(c->srv->store, k->q->domid.domid);
}

static int do_destroy(struct hvconn *c, struct call *k)
{
    struct domain *dom = domain_find(c->srv, k->q->domid.domid);

    if (!dom)
        return -ESRCH;
    if (dom->domid == 0)
        return -EPERM;
    domain_destroy(c->srv, dom);
    return 0;
}

static int do_list(struct hvconn *c, struct call *k)
{
    report_list(c->srv, k->q->cursor.cursor, &k->a->list);
    return 0;
}

static int do_report(struct hvconn *c, struct call *k)
{
    report_rows(c->srv, k->q->cursor.cursor, &k->a->report);
    return 0;
}

static int do_set_fail(struct hvconn *c, struct call *k)
{
    struct loop_shared *sh = c->srv->shared;
    const struct loop_fail *rule = &k->q->fail.rule;

    if (!rule->err) {
        memset(sh->fail, 0, sizeof(sh->fail));
        sh->nr_fails = 0;
        return 0;
    }
    if (rule->call >= LOOP_CALL_COUNT || rule->err > 0 || rule->err < -4095 || rule->calls_to < 1)
        return -EINVAL;
    for (uint32_t i = 0; i < LOOP_FAILS; i++) {
        /* A rule that has done its work makes room. */
        if (sh->fail[i].err && sh->fail[i].calls_to > 0)
            continue;
        sh->fail[i] = *rule;
        sh->nr_fails = LOOP_FAILS;
        return 0;
    }
    return -ENOSPC;
}

static int do_set_limit(struct hvconn *c, struct call *k)
{
    if (k->q->limit.limit >= LOOP_LIMIT_COUNT)
        return -EINVAL;
    c->srv->limits[k->q->limit.limit] = k->q->limit.value;
    return 0;
}

static int (*const calls[LOOP_OP_COUNT])(struct hvconn *, struct call *) = {
    [LOOP_HELLO] = do_hello,
    [LOOP_PEER] = do_peer,
    [LOOP_SLOT_OPEN] = do_slot_open,
    [LOOP_SLOT_CLOSE] = do_slot_close,
    [LOOP_MAP] = do_map,
    [LOOP_UNMAP] = do_unmap,
    [LOOP_SHARE] = do_share,
    [LOOP_UNSHARE] = do_unshare,
    [LOOP_EV_ALLOC] = do_ev_alloc,
    [LOOP_EV_BIND] = do_ev_bind,
    [LOOP_EV_CLOSE] = do_ev_close,
    [LOOP_CREATE] = do_create,
    [LOOP_INTRODUCE] = do_introduce,
    [LOOP_DESTROY] = do_destroy,
    [LOOP_LIST] = do_list,
    [LOOP_REPORT] = do_report,
    [LOOP_SET_FAIL] = do_set_fail,
    [LOOP_SET_LIMIT] = do_set_limit,
};

/* Whole, of the right length, and allowed to this client at this time? */
static bool well_formed(const struct loop_head *h, int len)
{
    return len >= (int)sizeof(*h) && h->magic == LOOP_MAGIC && h->bytes == (uint32_t)len &&
           h->op < LOOP_OP_COUNT && calls[h->op] && (uint32_t)len == loop_req_bytes(h->op);
}

static int dispatch(struct hvconn *c, struct call *k)
{
    uint32_t op = k->q->head.op;

    if (!c->dom && op != LOOP_HELLO)
        return -ENOTCONN;
    if (op >= LOOP_CREATE && c->dom->domid != 0)
        return -EPERM;
    return calls[op](c, k);
}

static void close_fds(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* One request. Returns false when the connection is over. */
static bool serve(struct hvconn *c)
{
    union request q;
    union answer a;
    struct call k = {.q = &q, .a = &a};
    int got[MSG_FDS_MAX];
    size_t nfds;
    int len = msg_recv(c->fd, &q, sizeof(q), got, &nfds);

    if (len == -EAGAIN)
        return true;
    if (len <= 0)
        return false;
    close_fds(got, nfds); /* no request carries any */
    if (!well_formed(&q.head, len))
        return false;
    memset(&a, 0, loop_rsp_bytes(q.head.op));
    int err = dispatch(c, &k);
    a.head = (struct loop_head){.magic = LOOP_MAGIC,
                                .op = q.head.op,
                                .bytes = err ? sizeof(a.head) : loop_rsp_bytes(q.head.op),
                                .err = err};
    return msg_send(c->fd, &a, a.head.bytes, k.fds, err ? 0 : k.nfds) == 0;
}

static void on_ready(void *arg, uint32_t events)
{
    struct hvconn *c = arg;

    if (!serve(c))
        conn_drop(c);
}

void conn_drop(struct hvconn *c)
{
    struct hvconn **at = &c->srv->conns;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    grant_conn_gone(c);
    event_conn_gone(c);
    loop_remove(c->source);
    close(c->fd);
    free(c);
}

static int32_t peer_pid(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ? 0 : cred.pid;
}

static void on_accept(void *arg, uint32_t events)
{
    struct server *srv = arg;
    int fd = accept4(srv->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    struct hvconn *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    *c = (struct hvconn){.srv = srv, .fd = fd, .pid = peer_pid(fd), .id = ++srv->next_conn};
    if (loop_add_fd(srv->loop, fd, EPOLLIN, on_ready, c, &c->source)) {
        close(fd);
        free(c);
        return;
    }
    c->next = srv->conns;
    srv->conns = c;
}

int conns_open(struct server *srv, struct errmsg *err)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/hv.sock", srv->dir);
    srv->listen_fd = msg_listen(path, SOCK_SEQPACKET | SOCK_NONBLOCK, 0600);
    if (srv->listen_fd == -EADDRINUSE)
        return errmsg_set(err, srv->listen_fd,
                          "%s is served by another blkback-loopd: stop it or use another folder",
                          srv->dir);
    if (srv->listen_fd < 0)
        return errmsg_set(err, srv->listen_fd, "cannot listen on %s: %s", path,
                          strerror(-srv->listen_fd));
    int r = loop_add_fd(srv->loop, srv->listen_fd, EPOLLIN, on_accept, srv, NULL);
    return r ? errmsg_set(err, r, "cannot watch %s: %s", path, strerror(-r)) : 0;
}

void conns_close(struct server *srv)
{
    char path[256];

    while (srv->conns)
        conn_drop(srv->conns);
    if (srv->listen_fd >= 0) {
        close(srv->listen_fd);
        snprintf(path, sizeof(path), "%s/hv.sock", srv->dir);
        unlink(path);
    }
}
