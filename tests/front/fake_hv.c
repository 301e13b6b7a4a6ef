/* SPDX-License-Identifier: MIT
 *
 * See fake_hv.h. Unfaithful where a frontend cannot tell: no permissions, one transaction at a
 * time.
 */
#include "fake_hv.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/hv.h"
#include "hv/store.h"

#define NODES   192
#define WATCHES 8

struct node {
    char path[160];
    char value[200];
};
struct tree {
    struct node node[NODES];
    unsigned n;
};
struct hv {
    int unused;
};
struct hv_store {
    int fd;
    char watch[WATCHES][160];
    char fired[WATCHES];
    struct hv_store *next;
};
struct grant {
    void *page;
    bool used, writable, held;
};
struct hv_share {
    uint32_t peer;
};
struct hv_evtchn {
    uint32_t port;
    int fd;
    int peer_fd;
    bool masked, latched; /* an event that comes while masked waits for the unmask */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tree tree;
static struct tree shadow; /* what the open transaction sees */
static bool in_tx;
static unsigned fail_commits;
static int fail_grants;
static int change_fd = -1;
static struct hv_store *stores;
static struct grant grants[FAKE_GRANTS];
static struct hv_evtchn *ports[FAKE_PORTS];

/* ---- the tree ---- */

static void absolute(char *out, size_t cap, const char *path)
{
    snprintf(out, cap, "%s%s", path[0] == '/' ? "" : "/local/domain/1/", path);
}

static struct node *find(struct tree *t, const char *path)
{
    for (unsigned i = 0; i < t->n; i++)
        if (strcmp(t->node[i].path, path) == 0)
            return &t->node[i];
    return NULL;
}

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static void fire(const char *path)
{
    uint64_t one = 1;

    for (struct hv_store *st = stores; st != NULL; st = st->next)
        for (int i = 0; i < WATCHES; i++)
            if (st->watch[i][0] != '\0' &&
                (below(path, st->watch[i]) || below(st->watch[i], path))) {
                st->fired[i] = 1;
                if (write(st->fd, &one, sizeof(one)) < 0)
                    abort();
            }
    if (change_fd >= 0 && write(change_fd, &one, sizeof(one)) < 0)
        abort();
}

static void set_in(struct tree *t, const char *path, const char *value)
{
    struct node *node = find(t, path);

    if (node == NULL) {
        if (t->n == NODES)
            abort();
        node = &t->node[t->n++];
        snprintf(node->path, sizeof(node->path), "%s", path);
    }
    snprintf(node->value, sizeof(node->value), "%s", value);
}

static void rm_in(struct tree *t, const char *path)
{
    for (unsigned i = 0; i < t->n;)
        if (below(t->node[i].path, path))
            t->node[i] = t->node[--t->n];
        else
            i++;
}

bool fake_store_get(const char *path, char *value, unsigned cap)
{
    struct node *node;

    pthread_mutex_lock(&lock);
    node = find(&tree, path);
    if (node != NULL)
        snprintf(value, cap, "%s", node->value);
    pthread_mutex_unlock(&lock);
    return node != NULL;
}

void fake_store_set(const char *path, const char *value)
{
    pthread_mutex_lock(&lock);
    set_in(&tree, path, value);
    fire(path);
    pthread_mutex_unlock(&lock);
}

void fake_store_rm(const char *path)
{
    pthread_mutex_lock(&lock);
    rm_in(&tree, path);
    fire(path);
    pthread_mutex_unlock(&lock);
}

int fake_store_change_fd(void)
{
    return change_fd;
}

void fake_store_ack(void)
{
    uint64_t n;

    if (read(change_fd, &n, sizeof(n)) < 0)
        return;
}

/* ---- hv/store.h ---- */

int hv_store_open(const char *spec, struct hv_store **out, struct errmsg *err)
{
    struct hv_store *st = calloc(1, sizeof(*st));

    st->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_lock(&lock);
    st->next = stores;
    stores = st;
    pthread_mutex_unlock(&lock);
    *out = st;
    return 0;
}

void hv_store_close(struct hv_store *st)
{
    struct hv_store **p = &stores;

    pthread_mutex_lock(&lock);
    while (*p != st)
        p = &(*p)->next;
    *p = st->next;
    pthread_mutex_unlock(&lock);
    close(st->fd);
    free(st);
}

int hv_store_fd(const struct hv_store *st)
{
    return st->fd;
}

int hv_store_read(struct hv_store *st, hv_tx tx, const char *path, char *buf, size_t cap)
{
    char abs[160];
    struct node *node;
    int rc = -ENOENT;

    absolute(abs, sizeof(abs), path);
    pthread_mutex_lock(&lock);
    node = find(tx != 0 ? &shadow : &tree, abs);
    if (node != NULL && strlen(node->value) >= cap)
        rc = -EMSGSIZE;
    else if (node != NULL)
        rc = snprintf(buf, cap, "%s", node->value);
    pthread_mutex_unlock(&lock);
    return rc;
}

int hv_store_write(struct hv_store *st, hv_tx tx, const char *path, const char *value)
{
    char abs[160];

    absolute(abs, sizeof(abs), path);
    pthread_mutex_lock(&lock);
    set_in(tx != 0 ? &shadow : &tree, abs, value);
    if (tx == 0)
        fire(abs);
    pthread_mutex_unlock(&lock);
    return 0;
}

int hv_store_printf(struct hv_store *st, hv_tx tx, const char *path, const char *fmt, ...)
{
    char value[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    return hv_store_write(st, tx, path, value);
}

int hv_store_rm(struct hv_store *st, hv_tx tx, const char *path)
{
    char abs[160];

    absolute(abs, sizeof(abs), path);
    pthread_mutex_lock(&lock);
    rm_in(tx != 0 ? &shadow : &tree, abs);
    if (tx == 0)
        fire(abs);
    pthread_mutex_unlock(&lock);
    return 0;
}

/* One allocation: pointers first, then the names; a name may come twice (queue-0/...). */
int hv_store_list(struct hv_store *st, hv_tx tx, const char *path, char ***names)
{
    char **out = calloc(NODES, sizeof(*out) + 64);
    char *text = (char *)(out + NODES);
    char abs[160];
    int n = 0;

    absolute(abs, sizeof(abs), path);
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < shadow.n; i++) {
        const char *p = shadow.node[i].path;

        if (!below(p, abs) || p[strlen(abs)] == '\0')
            continue;
        p += strlen(abs) + 1;
        out[n] = text + (size_t)n * 64;
        snprintf(out[n++], 64, "%.*s", (int)strcspn(p, "/"), p);
    }
    pthread_mutex_unlock(&lock);
    *names = out;
    return n;
}

int hv_store_begin(struct hv_store *st, hv_tx *tx)
{
    pthread_mutex_lock(&lock);
    if (in_tx)
        abort();
    in_tx = true;
    shadow = tree;
    *tx = 1;
    pthread_mutex_unlock(&lock);
    return 0;
}

int hv_store_commit(struct hv_store *st, hv_tx tx)
{
    int rc = 0;

    pthread_mutex_lock(&lock);
    in_tx = false;
    if (fail_commits != 0) {
        fail_commits--;
        rc = -EAGAIN;
    } else {
        /* Only the frontend's directory changes in a transaction here. */
        rm_in(&tree, "/local/domain/1/device");
        for (unsigned i = 0; i < shadow.n; i++)
            if (below(shadow.node[i].path, "/local/domain/1/device"))
                set_in(&tree, shadow.node[i].path, shadow.node[i].value);
        fire("/local/domain/1/device");
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void hv_store_abort(struct hv_store *st, hv_tx tx)
{
    in_tx = false;
}

int hv_store_watch(struct hv_store *st, const char *path, const char *token)
{
    uint64_t one = 1;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHES; i++)
        if (st->watch[i][0] == '\0') {
            absolute(st->watch[i], sizeof(st->watch[i]), path);
            st->fired[i] = 1;
            break;
        }
    pthread_mutex_unlock(&lock);
    return write(st->fd, &one, sizeof(one)) < 0 ? -errno : 0;
}

int hv_store_next_watch(struct hv_store *st, char *path, size_t path_cap, char *token,
                        size_t token_cap)
{
    uint64_t n;
    int rc = 0;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < WATCHES && rc == 0; i++)
        if (st->fired[i]) {
            st->fired[i] = 0;
            snprintf(path, path_cap, "%s", st->watch[i]);
            snprintf(token, token_cap, "t");
            rc = 1;
        }
    if (rc == 0 && read(st->fd, &n, sizeof(n)) < 0)
        rc = 0;
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- hv/hv.h: grants ---- */

int hv_open(const char *spec, struct hv **out, struct errmsg *err)
{
    *out = calloc(1, sizeof(**out));
    return 0;
}

void hv_close(struct hv *hv)
{
    free(hv);
}

int hv_share_open(struct hv *hv, struct hv_share **out)
{
    *out = calloc(1, sizeof(**out));
    return 0;
}

/* Every share of the test belongs to the one frontend: close ends what has this share's mark. */
static struct hv_share *owner[FAKE_GRANTS];
static uint32_t run[FAKE_GRANTS]; /* pages that were granted together, at the first of them */

static void end_grant(uint32_t ref)
{
    if (run[ref] != 0)
        munmap(grants[ref].page, (size_t)run[ref] * HV_PAGE);
    run[ref] = 0;
    owner[ref] = NULL;
    memset(&grants[ref], 0, sizeof(grants[ref]));
}

void hv_share_close(struct hv_share *sh)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < FAKE_GRANTS; i++)
        if (owner[i] == sh)
            end_grant(i);
    pthread_mutex_unlock(&lock);
    free(sh);
}

/* References start at 8, as on Xen where the first ones are reserved; they go downwards, so that
 * pages next to each other never have references next to each other in the same order. */
int hv_share_pages(struct hv_share *sh, uint32_t peer, uint32_t n, bool writable, uint32_t *refs,
                   void **addr)
{
    uint32_t found = 0;

    if (fail_grants != 0)
        return fail_grants;
    *addr =
        mmap(NULL, (size_t)n * HV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*addr == MAP_FAILED)
        return -ENOMEM;
    pthread_mutex_lock(&lock);
    for (uint32_t i = FAKE_GRANTS - 1; i >= 8 && found < n; i--)
        if (!grants[i].used) {
            grants[i] = (struct grant){.page = (char *)*addr + (size_t)found * HV_PAGE,
                                       .used = true,
                                       .writable = writable};
            owner[i] = sh;
            refs[found++] = i;
        }
    if (found < n)
        abort();
    run[refs[0]] = n;
    pthread_mutex_unlock(&lock);
    return 0;
}

int hv_share_end(struct hv_share *sh, void *addr, uint32_t n)
{
    int rc = 0;

    pthread_mutex_lock(&lock);
    for (int pass = 0; pass < 2 && rc == 0; pass++)
        for (uint32_t i = 0; i < FAKE_GRANTS; i++) {
            char *page = grants[i].page;

            if (!grants[i].used || page < (char *)addr || page >= (char *)addr + n * HV_PAGE)
                continue;
            if (pass == 0 && grants[i].held)
                rc = -EBUSY;
            else if (pass == 1)
                end_grant(i);
        }
    pthread_mutex_unlock(&lock);
    return rc;
}

void *fake_grant_page(uint32_t ref, bool write)
{
    void *page = NULL;

    pthread_mutex_lock(&lock);
    if (ref < FAKE_GRANTS && grants[ref].used && (grants[ref].writable || !write))
        page = grants[ref].page;
    pthread_mutex_unlock(&lock);
    return page;
}

void *fake_grant_pages(const uint32_t *refs, unsigned n)
{
    char *first = fake_grant_page(refs[0], true);

    for (unsigned i = 1; i < n; i++)
        if (fake_grant_page(refs[i], true) != first + (size_t)i * HV_PAGE)
            return NULL;
    return first;
}

void fake_grant_hold(uint32_t ref)
{
    pthread_mutex_lock(&lock);
    grants[ref].held = true;
    pthread_mutex_unlock(&lock);
}

/* ---- hv/hv.h: event channels ---- */

int hv_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port)
{
    struct hv_evtchn *ev = calloc(1, sizeof(*ev));

    ev->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ev->peer_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_lock(&lock);
    for (ev->port = 1; ports[ev->port] != NULL; ev->port++)
        if (ev->port == FAKE_PORTS - 1)
            abort();
    ports[ev->port] = ev;
    pthread_mutex_unlock(&lock);
    *port = ev->port;
    *out = ev;
    return 0;
}

void hv_evtchn_close(struct hv_evtchn *ev)
{
    pthread_mutex_lock(&lock);
    ports[ev->port] = NULL;
    close(ev->fd);
    close(ev->peer_fd);
    pthread_mutex_unlock(&lock);
    free(ev);
}

int hv_evtchn_fd(const struct hv_evtchn *ev)
{
    return ev->fd;
}

int hv_evtchn_pending(struct hv_evtchn *ev)
{
    uint64_t n;
    int rc;

    pthread_mutex_lock(&lock);
    rc = read(ev->fd, &n, sizeof(n)) == sizeof(n);
    ev->masked = ev->masked || rc;
    pthread_mutex_unlock(&lock);
    return rc;
}

static void raise_event(struct hv_evtchn *ev)
{
    uint64_t one = 1;

    ev->latched = ev->masked;
    if (!ev->masked && write(ev->fd, &one, sizeof(one)) < 0)
        abort();
}

int hv_evtchn_unmask(struct hv_evtchn *ev)
{
    pthread_mutex_lock(&lock);
    ev->masked = false;
    if (ev->latched)
        raise_event(ev);
    pthread_mutex_unlock(&lock);
    return 0;
}

int hv_evtchn_notify(struct hv_evtchn *ev)
{
    uint64_t one = 1;

    return write(ev->peer_fd, &one, sizeof(one)) < 0 ? -errno : 0;
}

int fake_port_fd(uint32_t port)
{
    int fd = -1;

    pthread_mutex_lock(&lock);
    if (port < FAKE_PORTS && ports[port] != NULL)
        fd = ports[port]->peer_fd;
    pthread_mutex_unlock(&lock);
    return fd;
}

void fake_port_notify(uint32_t port)
{
    pthread_mutex_lock(&lock);
    if (ports[port] != NULL)
        raise_event(ports[port]);
    pthread_mutex_unlock(&lock);
}

/* ---- the test's own knobs ---- */

void fake_hv_reset(void)
{
    if (stores != NULL || fake_hv_grants() != 0 || fake_hv_ports() != 0)
        abort();
    tree.n = 0;
    fail_commits = 0;
    fail_grants = 0;
    if (change_fd < 0)
        change_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    fake_store_ack();
}

unsigned fake_hv_grants(void)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < FAKE_GRANTS; i++)
        n += grants[i].used;
    return n;
}

unsigned fake_hv_ports(void)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < FAKE_PORTS; i++)
        n += ports[i] != NULL;
    return n;
}

void fake_hv_fail_commits(unsigned n)
{
    fail_commits = n;
}

void fake_hv_fail_grants(int err)
{
    fail_grants = err;
}
