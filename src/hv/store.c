/* SPDX-License-Identifier: MIT
 *
 * xenstore through libxenstore. The loopback differs only in the socket that is opened.
 *
 * Threads: see store.h. Opening changes XENSTORED_PATH for a moment, under a lock of this file:
 * libxenstore takes the socket's path from nowhere else.
 */
#include "hv/store.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenstore.h>
#include <xenstore_lib.h>

#include "base/msg.h"
#include "hv/loop/client.h"

#define VALUE_MAX 4096 /* bytes; xenstore's largest message */

struct hv_store {
    struct xs_handle *xs;
    int fd;   /* an epoll: readable when a watch has fired or the daemon has gone */
    int sign; /* of life: a connection of its own, on which nothing is ever said; -1: none */
};

static pthread_mutex_t env_lock = PTHREAD_MUTEX_INITIALIZER;

static int fail(void)
{
    return errno ? -errno : -EIO;
}

/* libxenstore would go on to /dev/xen/xenbus when the socket does not answer: never what is meant
 * by a loopback's name. */
static int check_socket(const char *path, const char *dir, int *sign, struct errmsg *err)
{
    int fd = msg_connect(path, SOCK_STREAM);

    *sign = fd;
    if (fd < 0)
        return errmsg_set(err, fd,
                          "cannot reach the loopback's store at %s: %s (is \"blkback-loopd --dir "
                          "%s\" running, and does the domain exist?)",
                          path, strerror(-fd), dir);
    return 0;
}

static struct xs_handle *open_at(const char *path)
{
    pthread_mutex_lock(&env_lock);
    const char *env = getenv("XENSTORED_PATH");
    char *old = env ? strdup(env) : NULL;
    struct xs_handle *xs = NULL;

    if ((!env || old) && !setenv("XENSTORED_PATH", path, 1)) {
        xs = xs_open(0);
        int keep = errno;
        if (old)
            setenv("XENSTORED_PATH", old, 1);
        else
            unsetenv("XENSTORED_PATH");
        errno = keep;
    }
    free(old);
    pthread_mutex_unlock(&env_lock);
    return xs;
}

static int open_loop(const char *rest, struct xs_handle **xs, int *sign, struct errmsg *err)
{
    char dir[LOOP_DIR_MAX], path[LOOP_DIR_MAX + 32];
    uint32_t domid;
    int r = loop_spec_parse(rest, dir, &domid, err);

    if (r)
        return r;
    if (domid == LOOP_DOMID_NONE || domid == 0)
        snprintf(path, sizeof(path), "%s/xenstored.sock", dir);
    else
        snprintf(path, sizeof(path), "%s/store-%u.sock", dir, domid);
    r = check_socket(path, dir, sign, err);
    if (r)
        return r;
    *xs = open_at(path);
    if (*xs)
        return 0;
    r = fail();
    close(*sign);
    return errmsg_set(err, r, "cannot open the store at %s: %s", path, strerror(-r));
}

static int add_fd(int epoll, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* When the daemon dies libxenstore's descriptor stays silent, and whoever waits for a watch would
 * wait for ever; the second connection hangs up then. */
static int store_new(struct xs_handle *xs, int sign, struct hv_store **out)
{
    struct hv_store *st = calloc(1, sizeof(*st));
    int r;

    if (!st)
        return -ENOMEM;
    *st = (struct hv_store){.xs = xs, .sign = sign, .fd = epoll_create1(EPOLL_CLOEXEC)};
    r = st->fd < 0 ? -errno : add_fd(st->fd, xs_fileno(xs), EPOLLIN);
    if (!r && sign >= 0)
        r = add_fd(st->fd, sign, EPOLLRDHUP);
    if (r) {
        if (st->fd >= 0)
            close(st->fd);
        free(st);
        return r;
    }
    *out = st;
    return 0;
}

int hv_store_open(const char *spec, struct hv_store **out, struct errmsg *err)
{
    struct xs_handle *xs = NULL;
    int r = 0, sign = -1;

    *out = NULL;
    if (!strncmp(spec, "loop:", 5)) {
        r = open_loop(spec + 5, &xs, &sign, err);
    } else if (!strcmp(spec, "xen")) {
        xs = xs_open(0);
        if (!xs)
            r = errmsg_set(err, fail(),
                           "cannot reach xenstored: %s (is this a Xen host with xenstored running, "
                           "and are you root?)",
                           strerror(errno));
        else /* nothing there when xenstored is reached through /dev/xen/xenbus */
            sign = msg_connect(xs_daemon_socket(), SOCK_STREAM);
    } else {
        r = errmsg_set(err, -EINVAL, "unknown store \"%.60s\": use xen, loop:DIR or loop:DIR:DOMID",
                       spec);
    }
    if (r)
        return r;
    r = store_new(xs, sign, out);
    if (!r)
        return 0;
    xs_close(xs);
    if (sign >= 0)
        close(sign);
    return errmsg_set(err, r, "cannot wait for the store: %s", strerror(-r));
}

void hv_store_close(struct hv_store *st)
{
    if (!st)
        return;
    xs_close(st->xs);
    close(st->fd);
    if (st->sign >= 0)
        close(st->sign);
    free(st);
}

/* Nothing is ever sent to the sign of life: it is readable only when the daemon has hung up. */
static bool daemon_gone(const struct hv_store *st)
{
    char c;

    return st->sign >= 0 && recv(st->sign, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int hv_store_fd(const struct hv_store *st)
{
    return st->fd;
}

int hv_store_read(struct hv_store *st, hv_tx tx, const char *path, char *buf, size_t cap)
{
    unsigned int len;
    char *value = xs_read(st->xs, tx, path, &len);
    int r;

    if (!value)
        return fail();
    if (memchr(value, '\0', len))
        r = -EILSEQ;
    else if (len >= cap)
        r = -EMSGSIZE;
    else
        r = (int)len;
    if (r >= 0) {
        memcpy(buf, value, len);
        buf[len] = '\0';
    }
    free(value);
    return r;
}

int hv_store_write(struct hv_store *st, hv_tx tx, const char *path, const char *value)
{
    return xs_write(st->xs, tx, path, value, (unsigned)strlen(value)) ? 0 : fail();
}

int hv_store_printf(struct hv_store *st, hv_tx tx, const char *path, const char *fmt, ...)
{
    char value[VALUE_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        return -EMSGSIZE;
    return hv_store_write(st, tx, path, value);
}

int hv_store_mkdir(struct hv_store *st, hv_tx tx, const char *path)
{
    return xs_mkdir(st->xs, tx, path) ? 0 : fail();
}

int hv_store_rm(struct hv_store *st, hv_tx tx, const char *path)
{
    if (xs_rm(st->xs, tx, path) || errno == ENOENT)
        return 0;
    return fail();
}

int hv_store_exists(struct hv_store *st, hv_tx tx, const char *path)
{
    unsigned int len;
    char *value = xs_read(st->xs, tx, path, &len);

    free(value);
    if (value)
        return 1;
    return errno == ENOENT ? 0 : fail();
}

int hv_store_list(struct hv_store *st, hv_tx tx, const char *path, char ***names)
{
    unsigned int n = 0;

    *names = xs_directory(st->xs, tx, path, &n);
    return *names ? (int)n : fail();
}

int hv_store_set_perms(struct hv_store *st, hv_tx tx, const char *path, uint32_t owner,
                       uint32_t reader)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = reader, .perms = XS_PERM_READ}};

    return xs_set_permissions(st->xs, tx, path, perms, 2) ? 0 : fail();
}

int hv_store_begin(struct hv_store *st, hv_tx *tx)
{
    *tx = xs_transaction_start(st->xs);
    return *tx ? 0 : fail();
}

int hv_store_commit(struct hv_store *st, hv_tx tx)
{
    return xs_transaction_end(st->xs, tx, false) ? 0 : fail();
}

void hv_store_abort(struct hv_store *st, hv_tx tx)
{
    xs_transaction_end(st->xs, tx, true);
}

int hv_store_watch(struct hv_store *st, const char *path, const char *token)
{
    return xs_watch(st->xs, path, token) ? 0 : fail();
}

int hv_store_unwatch(struct hv_store *st, const char *path, const char *token)
{
    return xs_unwatch(st->xs, path, token) ? 0 : fail();
}

int hv_store_next_watch(struct hv_store *st, char *path, size_t path_cap, char *token,
                        size_t token_cap)
{
    char **event = xs_check_watch(st->xs);

    if (!event) {
        if (errno == EAGAIN)
            return daemon_gone(st) ? -EPIPE : 0;
        return errno == EINVAL || errno == EBADF ? -EPIPE : fail();
    }
    snprintf(path, path_cap, "%s", event[XS_WATCH_PATH]);
    snprintf(token, token_cap, "%s", event[XS_WATCH_TOKEN]);
    free(event);
    return 1;
}
