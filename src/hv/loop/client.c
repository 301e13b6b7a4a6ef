/* SPDX-License-Identifier: MIT
 *
 * Connection to blkback-loopd and the memory that comes over it. Threads: see client.h.
 */
#include "hv/loop/client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"

int loop_spec_parse(const char *rest, char dir[LOOP_DIR_MAX], uint32_t *domid, struct errmsg *err)
{
    const char *colon = strrchr(rest, ':');
    size_t len = strlen(rest);

    *domid = LOOP_DOMID_NONE;
    if (colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
        unsigned long id = strtoul(colon + 1, NULL, 10);

        if (id > LOOP_DOMID_MAX)
            return errmsg_set(err, -EINVAL, "domain id %.20s is out of range: use 0 to %u",
                              colon + 1, LOOP_DOMID_MAX);
        *domid = (uint32_t)id;
        len = (size_t)(colon - rest);
    }
    if (!len)
        return errmsg_set(err, -EINVAL,
                          "no folder in \"loop:%.60s\": use loop:DIR with blkback-loopd's folder",
                          rest);
    if (len >= LOOP_DIR_MAX)
        return errmsg_set(err, -ENAMETOOLONG, "the folder %.60s... is too long: at most %d bytes",
                          rest, LOOP_DIR_MAX - 1);
    memcpy(dir, rest, len);
    dir[len] = '\0';
    return 0;
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* The answer's head must fit the request, its length the operation. */
static int check_answer(const struct loop_head *h, int len, uint32_t op, size_t nfds, size_t want)
{
    if (len == 0)
        return -EPIPE;
    if (len < (int)sizeof(*h) || h->magic != LOOP_MAGIC || h->op != op || h->bytes != (uint32_t)len)
        return -EPROTO;
    if (h->err)
        return h->err < 0 && h->err > -4096 ? h->err : -EPROTO;
    return (uint32_t)len == loop_rsp_bytes(op) && nfds == want ? 0 : -EPROTO;
}

int loop_rpc(struct loop_hv *hv, uint32_t op, void *req, void *rsp, int *fds, size_t want)
{
    struct loop_head *q = req, *a = rsp;
    int got[MSG_FDS_MAX];
    size_t nfds = 0;

    *q = (struct loop_head){.magic = LOOP_MAGIC, .op = op, .bytes = loop_req_bytes(op)};
    pthread_mutex_lock(&hv->lock);
    int r = msg_send(hv->sock, req, q->bytes, NULL, 0);
    if (!r)
        r = msg_recv(hv->sock, rsp, loop_rsp_bytes(op), got, &nfds);
    pthread_mutex_unlock(&hv->lock);
    if (r >= 0)
        r = check_answer(a, r, op, nfds, want);
    if (r) {
        close_all(got, nfds);
        return r;
    }
    for (size_t i = 0; i < want; i++)
        fds[i] = got[i];
    return 0;
}

/* Maps a descriptor of at least len bytes. */
static int map_fd(int fd, size_t len, void **out)
{
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    if (st.st_size < 0 || (size_t)st.st_size < len)
        return -EPROTO;
    *out = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return *out == MAP_FAILED ? -errno : 0;
}

static int hello(struct loop_hv *hv, const char *dir, struct errmsg *err)
{
    struct loop_hello_req req = {.version = LOOP_VERSION, .domid = hv->domid};
    struct loop_head rsp;
    void *mem;
    int fd;
    int r = loop_rpc(hv, LOOP_HELLO, &req, &rsp, &fd, 1);

    if (r == -EPROTO)
        return errmsg_set(err, r, "blkback-loopd in %s is of another version: use the same build",
                          dir);
    if (r == -ENOENT)
        return errmsg_set(err, r,
                          "domain %u does not exist in %s: make it with blkback-loopctl create",
                          hv->domid, dir);
    if (r)
        return errmsg_set(err, r, "blkback-loopd in %s refused the connection: %s", dir,
                          strerror(-r));
    r = map_fd(fd, sizeof(struct loop_shared), &mem);
    close(fd);
    if (r)
        return errmsg_set(err, r, "cannot map the loopback's shared memory: %s", strerror(-r));
    hv->shared = mem;
    return 0;
}

int loop_connect(const char *dir, uint32_t domid, struct loop_hv **out, struct errmsg *err)
{
    char path[LOOP_DIR_MAX + 16];
    struct loop_hv *hv = calloc(1, sizeof(*hv));

    if (!hv)
        return errmsg_set(err, -ENOMEM, "out of memory");
    hv->base.ops = &hv_loop_ops;
    hv->domid = domid;
    pthread_mutex_init(&hv->lock, NULL);
    snprintf(path, sizeof(path), "%s/hv.sock", dir);
    hv->sock = msg_connect(path, SOCK_SEQPACKET);
    int r = hv->sock < 0 ? hv->sock : 0;
    if (r)
        errmsg_set(err, r,
                   "cannot reach the loopback at %s: %s (is \"blkback-loopd --dir %s\" running?)",
                   path, strerror(-r), dir);
    else
        r = hello(hv, dir, err);
    if (r) {
        loop_disconnect(hv);
        return r;
    }
    *out = hv;
    return 0;
}

void loop_disconnect(struct loop_hv *hv)
{
    while (hv->peers) {
        struct loop_peer *p = hv->peers;

        hv->peers = p->next;
        munmap(p->mem, (size_t)p->pages * LOOP_PAGE);
        munmap(p->table, sizeof(*p->table));
        close(p->mem_fd);
        free(p);
    }
    if (hv->shared)
        munmap(hv->shared, sizeof(*hv->shared));
    if (hv->sock >= 0)
        close(hv->sock);
    pthread_mutex_destroy(&hv->lock);
    free(hv);
}

static struct loop_peer *find_peer(struct loop_hv *hv, uint32_t domid)
{
    pthread_mutex_lock(&hv->lock);
    struct loop_peer *p = hv->peers;
    while (p && p->domid != domid)
        p = p->next;
    pthread_mutex_unlock(&hv->lock);
    return p;
}

static int map_peer(struct loop_hv *hv, struct loop_peer *p, int table_fd)
{
    void *mem, *table;
    int r = map_fd(p->mem_fd, (size_t)p->pages * LOOP_PAGE, &mem);

    if (r)
        return r;
    r = map_fd(table_fd, sizeof(struct loop_table), &table);
    if (r) {
        munmap(mem, (size_t)p->pages * LOOP_PAGE);
        return r;
    }
    p->mem = mem;
    p->table = table;
    pthread_mutex_lock(&hv->lock);
    p->next = hv->peers;
    hv->peers = p;
    pthread_mutex_unlock(&hv->lock);
    return 0;
}

/* Two threads that ask for a new peer at once each map it: wasteful once, wrong never. */
int loop_peer_get(struct loop_hv *hv, uint32_t domid, struct loop_peer **out)
{
    struct loop_domid_req req = {.domid = domid};
    struct loop_peer_rsp rsp;
    int fds[2];

    *out = find_peer(hv, domid);
    if (*out)
        return 0;
    int r = loop_rpc(hv, LOOP_PEER, &req, &rsp, fds, 2);
    if (r)
        return r;
    struct loop_peer *p = calloc(1, sizeof(*p));
    if (p) {
        *p = (struct loop_peer){.domid = domid, .pages = rsp.pages, .mem_fd = fds[0]};
        r = map_peer(hv, p, fds[1]);
    } else {
        r = -ENOMEM;
    }
    close(fds[1]);
    if (r) {
        close(fds[0]);
        free(p);
        return r;
    }
    *out = p;
    return 0;
}

static int loop_open(const char *rest, struct hv **out, struct errmsg *err)
{
    const char *fails = getenv("BLKBACK_LOOP_FAIL");
    struct loop_hv *hv = NULL;
    char dir[LOOP_DIR_MAX];
    uint32_t domid;
    int r = loop_spec_parse(rest, dir, &domid, err);

    if (!r)
        r = loop_connect(dir, domid == LOOP_DOMID_NONE ? 0 : domid, &hv, err);
    if (r)
        return r;
    r = fails ? loop_fail_env(hv, fails, err) : 0;
    if (r) {
        loop_disconnect(hv);
        return r;
    }
    *out = &hv->base;
    return 0;
}

static void loop_close(struct hv *hv)
{
    loop_disconnect((struct loop_hv *)hv);
}

const struct hv_ops hv_loop_ops = {
    .name = "loop",
    .open = loop_open,
    .close = loop_close,
    .gnttab_open = loop_gnttab_open,
    .share_open = loop_share_open,
    .evtchn_bind = loop_evtchn_bind,
    .evtchn_alloc = loop_evtchn_alloc,
};
