/* SPDX-License-Identifier: MIT
 *
 * The store's sockets and connections: framing of the wire protocol, bounded queues.
 */
#include "loopd/store_impl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/msg.h"

#define REQUESTS_AT_ONCE 16 /* of one connection, before others get their turn */

/* ---- Output ---- */

static struct store_out *out_new(const struct xsd_sockmsg *head, const void *a, uint32_t alen,
                                 const void *b, uint32_t blen)
{
    struct store_out *o = must_alloc(sizeof(*o) + sizeof(*head) + alen + blen);
    struct xsd_sockmsg h = *head;

    h.len = alen + blen;
    memcpy(o->data, &h, sizeof(h));
    if (alen)
        memcpy(o->data + sizeof(h), a, alen);
    if (blen)
        memcpy(o->data + sizeof(h) + alen, b, blen);
    o->len = (uint32_t)sizeof(h) + alen + blen;
    return o;
}

static void queue(struct sconn *c, struct store_out *o)
{
    *c->out_end = o;
    c->out_end = &o->next;
    c->out_bytes += o->len;
}

void store_send(struct sconn *c, const struct xsd_sockmsg *head, const void *body, uint32_t len)
{
    queue(c, out_new(head, body, len, NULL, 0));
}

static void wait_for(struct sconn *c, uint32_t events)
{
    if (events != c->events && !loop_set_events(c->source, events))
        c->events = events;
}

/* Sends what the socket takes. */
static void flush_out(struct sconn *c)
{
    while (c->out && !c->dead) {
        struct store_out *o = c->out;
        ssize_t n = send(c->fd, o->data + o->sent, o->len - o->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            c->dead = errno != EAGAIN;
            break;
        }
        o->sent += (uint32_t)n;
        if (o->sent < o->len)
            continue;
        c->out = o->next;
        c->out_bytes -= o->len;
        if (!c->out)
            c->out_end = &c->out;
        free(o);
    }
    c->paused = c->out_bytes > REPLY_QUEUE_BYTES;
    if (!c->dead)
        wait_for(c, (c->paused ? 0 : EPOLLIN) | (c->out ? EPOLLOUT : 0));
}

/* The same event already waits to be sent? Then it says all there is to say. */
static bool event_queued(const struct sconn *c, const struct store_out *o)
{
    for (const struct store_out *q = c->out; q; q = q->next)
        if (q->event && !q->sent && q->len == o->len && !memcmp(q->data, o->data, o->len))
            return true;
    return false;
}

void store_send_event(struct sconn *c, const char *path, const char *token)
{
    struct xsd_sockmsg head = {.type = XS_WATCH_EVENT};
    struct store_out *o =
        out_new(&head, path, (uint32_t)strlen(path) + 1, token, (uint32_t)strlen(token) + 1);
    uint32_t most = c->domid ? QUOTA_EVENT_BYTES : TRUSTED_EVENT_BYTES;

    o->event = true;
    if (c->dead || event_queued(c, o)) {
        free(o);
        return;
    }
    queue(c, o);
    if (c->out_bytes > most) {
        log_warn("store: a client of domain %u does not read its watch events: disconnected",
                 c->domid);
        c->dead = true;
    }
    /* Sent at once only when nobody is about to do it: an event must not pass the answer that is
     * still being put together. */
    wait_for(c, c->events | EPOLLOUT);
}

/* ---- Input ---- */

/* Reads as much of one message as is there. 1: complete, 0: not yet, -1: the connection is over. */
static int read_message(struct sconn *c)
{
    for (;;) {
        uint32_t want = sizeof(c->in);

        if (c->in_used >= sizeof(c->in)) {
            if (c->in.len > XENSTORE_PAYLOAD_MAX)
                return -1;
            want += c->in.len;
            if (c->in_used == want)
                return 1;
        }
        ssize_t n = recv(c->fd, c->in_bytes + c->in_used, want - c->in_used, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        if (n == 0)
            return -1;
        c->in_used += (uint32_t)n;
    }
}

static void read_requests(struct sconn *c)
{
    for (int i = 0; i < REQUESTS_AT_ONCE && !c->dead && !c->paused; i++) {
        int r = read_message(c);

        if (r < 0)
            c->dead = true;
        if (r <= 0)
            return;
        c->in_bytes[sizeof(c->in) + c->in.len] = '\0';
        store_request(c);
        c->in_used = 0;
        flush_out(c);
    }
}

static void conn_free(struct sconn *c)
{
    watch_drop_all(c);
    tx_drop_all(c);
    while (c->out) {
        struct store_out *o = c->out;

        c->out = o->next;
        free(o);
    }
    loop_remove(c->source);
    close(c->fd);
    free(c);
}

/* Frees the connections that have ended. Firing a watch may end any of them, so this is done where
 * nobody walks the list. */
static void reap(struct store *st)
{
    struct sconn **at = &st->conns;

    while (*at) {
        struct sconn *c = *at;

        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        conn_free(c);
    }
}

static void on_ready(void *arg, uint32_t events)
{
    struct sconn *c = arg;
    struct store *st = c->st;

    if (events & EPOLLOUT)
        flush_out(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_requests(c);
        if (events & EPOLLERR || (events & EPOLLHUP && c->paused))
            c->dead = true;
    }
    reap(st);
}

static void on_accept(void *arg, uint32_t events)
{
    struct listener *l = arg;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    struct sconn *c = must_alloc(sizeof(*c));
    c->st = l->st;
    c->fd = fd;
    c->domid = l->domid;
    c->out_end = &c->out;
    c->events = EPOLLIN;
    if (loop_add_fd(l->st->srv->loop, fd, EPOLLIN, on_ready, c, &c->source)) {
        close(fd);
        free(c);
        return;
    }
    c->next = l->st->conns;
    l->st->conns = c;
}

/* ---- Domains ---- */

struct listener *store_listener(struct store *st, uint32_t domid)
{
    struct listener *l = st->listeners;

    while (l && l->domid != domid)
        l = l->next;
    return l;
}

int store_domain_new(struct store *st, uint32_t domid)
{
    struct listener *l = must_alloc(sizeof(*l));
    int err;

    l->st = st;
    l->domid = l->target = domid;
    l->introduced = domid == 0;
    if (domid)
        snprintf(l->path, sizeof(l->path), "%s/store-%u.sock", st->srv->dir, domid);
    else
        snprintf(l->path, sizeof(l->path), "%s/xenstored.sock", st->srv->dir);
    l->fd = msg_listen(l->path, SOCK_STREAM | SOCK_NONBLOCK, 0600);
    err = l->fd < 0 ? l->fd : loop_add_fd(st->srv->loop, l->fd, EPOLLIN, on_accept, l, &l->source);
    if (err) {
        if (l->fd >= 0)
            close(l->fd);
        free(l);
        return err;
    }
    l->next = st->listeners;
    st->listeners = l;
    return 0;
}

static void listener_free(struct listener *l)
{
    loop_remove(l->source);
    close(l->fd);
    unlink(l->path);
    free(l);
}

int store_domain_introduce(struct store *st, uint32_t domid)
{
    struct listener *l = store_listener(st, domid);

    if (!l)
        return -ENOENT;
    if (!l->introduced) {
        l->introduced = true;
        watch_fire_special(st, SPECIAL_INTRODUCE);
    }
    reap(st);
    return 0;
}

void store_domain_gone(struct store *st, uint32_t domid)
{
    struct listener **at = &st->listeners;

    for (struct sconn *c = st->conns; c; c = c->next)
        c->dead |= c->domid == domid;
    while (*at && (*at)->domid != domid)
        at = &(*at)->next;
    if (*at) {
        struct listener *l = *at;
        bool introduced = l->introduced;

        *at = l->next;
        listener_free(l);
        if (introduced)
            watch_fire_special(st, SPECIAL_RELEASE);
    }
    reap(st);
}

/* Sockets of domains that a killed server has left. */
static void remove_stale(const char *dir)
{
    DIR *dp = opendir(dir);
    char path[400];

    for (struct dirent *e; dp && (e = readdir(dp));) {
        if (strncmp(e->d_name, "store-", 6) || e->d_type != DT_SOCK)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (dp)
        closedir(dp);
}

int store_open(struct server *srv, struct store **out)
{
    struct store *st = must_alloc(sizeof(*st));

    remove_stale(srv->dir);

    st->srv = srv;
    tree_init(&st->tree);
    for (int i = 0; i < SPECIAL_COUNT; i++)
        st->special[i].nr = 1; /* domain 0's, closed to others */
    *out = st;
    return 0;
}

void store_close(struct store *st)
{
    for (struct sconn *c = st->conns; c; c = c->next)
        c->dead = true;
    reap(st);
    while (st->listeners) {
        struct listener *l = st->listeners;

        st->listeners = l->next;
        listener_free(l);
    }
    tree_free(&st->tree);
    free(st);
}
