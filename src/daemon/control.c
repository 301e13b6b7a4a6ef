/* SPDX-License-Identifier: MIT
 *
 * Clients of the control socket. Threads: the daemon's.
 */
#include "daemon/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "daemon/paths.h"
#include "daemon/report.h"

struct client {
    struct control *control;
    int fd;
    struct loop_source *source, *deadline;
    char request[CONTROL_REQUEST_MAX];
    size_t have;
    char *answer;
    size_t answer_len, sent;
};

struct control {
    struct daemon *daemon;
    int fd;
    struct loop_source *source;
    char path[PATH_MAX];
    struct client *clients[CONTROL_CLIENTS_MAX];
    struct log_limit log;
};

static void drop(struct client *c)
{
    struct control *ctl = c->control;

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (ctl->clients[i] == c)
            ctl->clients[i] = NULL;
    }
    loop_remove(c->source);
    loop_remove(c->deadline);
    close(c->fd);
    free(c->answer);
    free(c);
}

static void on_deadline(void *arg)
{
    struct client *c = arg;

    c->deadline = NULL;
    drop(c);
}

static void send_some(struct client *c)
{
    while (c->sent < c->answer_len) {
        ssize_t n =
            send(c->fd, c->answer + c->sent, c->answer_len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            loop_set_events(c->source, EPOLLOUT);
            return;
        }
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    drop(c);
}

static void answer(struct client *c)
{
    c->answer = report_answer(c->control->daemon, c->request);
    if (!c->answer) {
        drop(c);
        return;
    }
    c->answer_len = strlen(c->answer);
    send_some(c);
}

static void receive_some(struct client *c)
{
    ssize_t n = recv(c->fd, c->request + c->have, sizeof(c->request) - 1 - c->have, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->have += (size_t)n;
    c->request[c->have] = '\0';
    char *end = memchr(c->request, '\n', c->have);
    if (end) {
        *end = '\0';
        answer(c);
    } else if (c->have == sizeof(c->request) - 1) {
        c->request[0] = '\0'; /* too long: an error, whatever it says */
        answer(c);
    }
}

static void on_client(void *arg, uint32_t events)
{
    struct client *c = arg;

    if (c->answer)
        send_some(c);
    else
        receive_some(c);
}

static struct client *client_new(struct control *ctl, int fd)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (ctl->clients[i])
            continue;
        struct client *c = calloc(1, sizeof(*c));
        if (!c)
            return NULL;
        c->control = ctl;
        c->fd = fd;
        struct loop *loop = ctl->daemon->loop;
        if (loop_add_fd(loop, fd, EPOLLIN, on_client, c, &c->source)) {
            free(c);
            return NULL;
        }
        loop_add_timer(loop, CONTROL_CLIENT_MS, on_deadline, c, &c->deadline);
        ctl->clients[i] = c;
        return c;
    }
    return NULL;
}

static void on_listen(void *arg, uint32_t events)
{
    struct control *ctl = arg;
    int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (!client_new(ctl, fd)) {
        if (log_limit_ok(&ctl->log))
            log_warn("control socket: too many clients, one turned away");
        close(fd);
    }
}

int control_start(struct daemon *daemon, struct control **out, struct errmsg *err)
{
    struct control *ctl = calloc(1, sizeof(*ctl));

    if (!ctl)
        return errmsg_set(err, -ENOMEM, "out of memory");
    ctl->daemon = daemon;
    int n = snprintf(ctl->path, sizeof(ctl->path), "%s/%s", daemon->config.run_dir,
                     CONTROL_SOCKET_NAME);
    ctl->fd = n < (int)sizeof(ctl->path) ? msg_listen(ctl->path, SOCK_STREAM | SOCK_NONBLOCK, 0600)
                                         : -ENAMETOOLONG;
    int ret = ctl->fd < 0
                  ? ctl->fd
                  : loop_add_fd(daemon->loop, ctl->fd, EPOLLIN, on_listen, ctl, &ctl->source);
    if (ret) {
        errmsg_set(
            err, ret,
            ret == -EADDRINUSE
                ? "another blkbackd is running and answers at %s (%s); stop it first, or use "
                  "another --run-dir"
                : "cannot make the control socket %s: %s; see --run-dir",
            ctl->path, strerror(-ret));
        if (ctl->fd >= 0)
            close(ctl->fd);
        free(ctl);
        return ret;
    }
    *out = ctl;
    return 0;
}

void control_stop(struct control *ctl)
{
    if (!ctl)
        return;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (ctl->clients[i])
            drop(ctl->clients[i]);
    }
    loop_remove(ctl->source);
    close(ctl->fd);
    unlink(ctl->path);
    free(ctl);
}
