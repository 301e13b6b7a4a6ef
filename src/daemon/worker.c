/* SPDX-License-Identifier: MIT
 *
 * The worker's socket: sends, checks answers, keeps deadlines. Threads: the loop's.
 */
#include "daemon/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/msg.h"
#include "daemon/process.h"
#include "daemon/text.h"

struct worker {
    struct loop *loop;
    worker_event_cb *cb;
    void *owner;
    uint64_t answer_ms, finish_ms;
    pid_t pid;
    int sock, pidfd;
    struct loop_source *sock_source, *pid_source, *deadline;
    uint32_t awaited; /* the answer's enum vbd_msg_type; 0: none */
    bool quitting;    /* no event but the exit */
    const char *killed_for;
    struct log_limit log_halts;
};

union message {
    struct vbd_head head;
    struct vbd_failed failed;
    struct vbd_halted halted;
};

static void tell(struct worker *w, const struct worker_event *event)
{
    w->cb(w->owner, event);
}

static void stop_listening(struct worker *w)
{
    loop_remove(w->sock_source);
    w->sock_source = NULL;
    if (w->sock >= 0)
        close(w->sock);
    w->sock = -1;
}

static void stop_clock(struct worker *w)
{
    loop_remove(w->deadline);
    w->deadline = NULL;
}

static void kill_worker(struct worker *w, const char *why)
{
    if (!w->killed_for)
        w->killed_for = why;
    w->awaited = 0;
    stop_clock(w);
    stop_listening(w);
    kill(w->pid, SIGKILL);
}

static void on_deadline(void *arg)
{
    struct worker *w = arg;

    w->deadline = NULL;
    log_warn("worker %d: no answer in time, killing it", (int)w->pid);
    kill_worker(w, w->quitting || w->awaited == VBD_DISCONNECTED
                       ? "it did not finish in time: its storage may be hanging"
                       : "it did not answer in time");
}

static void start_clock(struct worker *w, uint64_t ms)
{
    stop_clock(w);
    loop_add_timer(w->loop, ms, on_deadline, w, &w->deadline);
}

/* The message is whole, of this version, and no more than its type allows. */
static bool well_formed(const union message *m, int len)
{
    size_t want = sizeof(m->head);

    if (len < (int)sizeof(m->head) || m->head.magic != VBD_MSG_MAGIC ||
        m->head.version != VBD_MSG_VERSION || m->head.bytes != (uint32_t)len)
        return false;
    if (m->head.type == VBD_FAILED)
        want = sizeof(m->failed);
    else if (m->head.type == VBD_HALTED)
        want = sizeof(m->halted);
    return (size_t)len == want;
}

static void told_halted(struct worker *w, const struct vbd_halted *m)
{
    struct worker_event e = {.type = WORKER_HALTED, .ring = m->ring, .reason = m->reason};

    if (m->ring >= VBD_RINGS_MAX)
        return;
    memcpy(e.text.text, m->why.text, sizeof(e.text.text) - 1);
    text_printable(e.text.text);
    tell(w, &e);
}

static void told_failed(struct worker *w, const struct vbd_failed *m)
{
    struct worker_event e = {.type = WORKER_REFUSED, .err = m->err < 0 ? m->err : -EIO};

    memcpy(e.text.text, m->why.text, sizeof(e.text.text) - 1);
    text_printable(e.text.text);
    tell(w, &e);
}

static void on_message(struct worker *w, const union message *m)
{
    uint32_t awaited = w->awaited;

    if (m->head.type == VBD_HALTED) {
        told_halted(w, &m->halted);
        return;
    }
    bool failed = m->head.type == VBD_FAILED;
    if (!awaited || (m->head.type != awaited && !failed) ||
        (failed && awaited == VBD_DISCONNECTED)) {
        kill_worker(w, "it sent a message that nobody asked for");
        return;
    }
    w->awaited = 0;
    stop_clock(w);
    if (failed) {
        told_failed(w, &m->failed);
        return;
    }
    tell(w, &(struct worker_event){.type = awaited == VBD_READY       ? WORKER_READY
                                           : awaited == VBD_CONNECTED ? WORKER_CONNECTED
                                                                      : WORKER_DISCONNECTED});
}

static void on_socket(void *arg, uint32_t events)
{
    struct worker *w = arg;
    union message m = {0};
    int fds[MSG_FDS_MAX];
    size_t nfds;
    int n = msg_recv(w->sock, &m, sizeof(m), fds, &nfds);

    if (n == -EAGAIN)
        return;
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
    if (n == 0 || n == -ECONNRESET) {
        stop_listening(w); /* it is about to exit, or is killed at the next deadline */
        if (!w->deadline)
            start_clock(w, w->finish_ms);
        return;
    }
    if (w->quitting)
        return;
    if (n < 0 || nfds || !well_formed(&m, n))
        kill_worker(w, "it sent a malformed message");
    else
        on_message(w, &m);
}

static void describe_exit(const struct worker *w, const siginfo_t *info, struct errmsg *text)
{
    if (w->killed_for)
        errmsg_set(text, 0, "%s", w->killed_for);
    else if (info->si_code == CLD_EXITED)
        errmsg_set(text, 0, "it exited with status %d", info->si_status);
    else
        errmsg_set(text, 0, "it was killed by signal %d (%s)", info->si_status,
                   strsignal(info->si_status));
}

static void on_exit_of(void *arg, uint32_t events)
{
    struct worker *w = arg;
    struct worker_event e = {.type = WORKER_EXITED};
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)w->pidfd, &info, WEXITED | WNOHANG) || info.si_pid == 0)
        return;
    describe_exit(w, &info, &e.text);
    stop_listening(w);
    stop_clock(w);
    loop_remove(w->pid_source);
    w->pid_source = NULL;
    tell(w, &e);
}

int worker_start(struct loop *loop, const struct worker_rules *rules, worker_event_cb *cb,
                 void *owner, struct worker **out, struct errmsg *err)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return errmsg_set(err, -ENOMEM, "out of memory");
    w->loop = loop;
    w->cb = cb;
    w->owner = owner;
    w->answer_ms = rules->answer_ms;
    w->finish_ms = rules->finish_ms;
    int ret = spawn_worker(rules->program, rules->name, &w->pid, &w->pidfd, &w->sock);
    if (ret) {
        free(w);
        return errmsg_set(err, ret, "cannot start the worker program %s: %s", rules->program,
                          strerror(-ret));
    }
    ret = loop_add_fd(loop, w->pidfd, EPOLLIN, on_exit_of, w, &w->pid_source);
    if (!ret)
        ret = loop_add_fd(loop, w->sock, EPOLLIN, on_socket, w, &w->sock_source);
    if (ret) {
        kill(w->pid, SIGKILL);
        waitpid(w->pid, NULL, 0);
        worker_free(w);
        return errmsg_set(err, ret, "cannot watch the worker: %s", strerror(-ret));
    }
    *out = w;
    return 0;
}

pid_t worker_pid(const struct worker *w)
{
    return w->pid;
}

static int ask(struct worker *w, const void *msg, size_t len, const int *fds, size_t nfds,
               uint32_t answer, uint64_t ms)
{
    int err = w->sock < 0 ? -EPIPE : msg_send(w->sock, msg, len, fds, nfds);

    if (err) {
        kill_worker(w, "it cannot be spoken to");
        return err;
    }
    w->awaited = answer;
    start_clock(w, ms);
    return 0;
}

int worker_setup(struct worker *w, struct vbd_setup *setup, const int *fds, size_t nfds)
{
    setup->head = (struct vbd_head){VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_SETUP, sizeof(*setup)};
    return ask(w, setup, sizeof(*setup), fds, nfds, VBD_READY, w->answer_ms);
}

int worker_connect(struct worker *w, const struct vbd_connect *connect)
{
    return ask(w, connect, sizeof(*connect), NULL, 0, VBD_CONNECTED, w->answer_ms);
}

int worker_disconnect(struct worker *w)
{
    struct vbd_head head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_DISCONNECT, sizeof(head)};

    return ask(w, &head, sizeof(head), NULL, 0, VBD_DISCONNECTED, w->finish_ms);
}

void worker_quit(struct worker *w)
{
    struct vbd_head head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_QUIT, sizeof(head)};

    w->quitting = true;
    w->awaited = 0;
    if (w->killed_for)
        return;
    if (w->sock >= 0)
        msg_send(w->sock, &head, sizeof(head), NULL, 0);
    start_clock(w, w->finish_ms);
}

void worker_free(struct worker *w)
{
    stop_clock(w);
    stop_listening(w);
    loop_remove(w->pid_source);
    close(w->pidfd);
    free(w);
}
