/* SPDX-License-Identifier: MIT
 *
 * Messages between daemon and worker, either way. This file: a worker that may say anything, as it
 * has touched guest memory; the daemon hears what it asked for, in printable words, or kills it.
 *
 * Input: a byte that says whose turn it is to be judged, then what happens. Threads: one.
 */
#include "vbdmsg.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "daemon/process.h"
#include "daemon/worker.h"
#include "sockets.h"

#define ACTIONS_MAX 40
#define PID         77777777

static struct loop *loop;
static int theirs;
static bool killed, quitting;
static uint32_t asked; /* message type that is awaited */

__typeof__(spawn_worker) __wrap_spawn_worker;
__typeof__(kill) __real_kill, __wrap_kill;

int __wrap_spawn_worker(const char *program, const char *name, pid_t *pid, int *pidfd, int *sock)
{
    int pair[2];

    CHECK(program && name &&
          !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
    *pid = PID;
    *pidfd = eventfd(0, EFD_CLOEXEC);
    *sock = pair[0];
    theirs = pair[1];
    return 0;
}

int __wrap_kill(pid_t pid, int sig)
{
    if (pid != PID)
        return __real_kill(pid, sig);
    CHECK(sig == SIGKILL);
    killed = true;
    return 0;
}

static void on_event(void *owner, const struct worker_event *e)
{
    static const struct {
        enum worker_event_type event;
        uint32_t asked;
    } answers[] = {{WORKER_READY, VBD_SETUP},
                   {WORKER_CONNECTED, VBD_CONNECT},
                   {WORKER_DISCONNECTED, VBD_DISCONNECT}};

    CHECK(owner == &loop && !killed && !quitting);
    for (const char *p = e->text.text; *p; p++)
        CHECK(isprint((unsigned char)*p));
    CHECK(strnlen(e->text.text, sizeof(e->text.text)) < sizeof(e->text.text));
    if (e->type == WORKER_HALTED) {
        CHECK(e->ring < VBD_RINGS_MAX);
        return;
    }
    CHECK(asked && e->type != WORKER_EXITED);
    if (e->type == WORKER_REFUSED)
        CHECK(e->err < 0 && asked != VBD_DISCONNECT);
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (e->type == answers[i].event)
            CHECK(asked == answers[i].asked);
    asked = 0;
}

size_t take_message(struct input *in, union any_message *m, const uint32_t *types, unsigned n)
{
    uint8_t how = take8(in);
    uint32_t type = types[(how & 15) % n];
    size_t len = sizeof(m->head);

    if (type == VBD_SETUP)
        len = sizeof(m->setup);
    else if (type == VBD_CONNECT)
        len = sizeof(m->connect);
    else if (type == VBD_FAILED)
        len = sizeof(m->failed);
    else if (type == VBD_HALTED)
        len = sizeof(m->halted);
    memset(m, how & 0x10 ? 0xff : 0, sizeof(*m));
    if (len > sizeof(m->head)) {
        size_t own = take8(in);
        size_t room = len - sizeof(m->head);
        take(in, m->bytes + sizeof(m->head), own < room ? own : room);
    }
    if (how & 0x20)
        len = 1 + take16(in) % sizeof(*m);
    m->head = (struct vbd_head){VBD_MSG_MAGIC, VBD_MSG_VERSION, type, (uint32_t)len};
    if (how & 0x40)
        m->bytes[take8(in) & 15] ^= take8(in);
    return len;
}

static void worker_says(struct input *in)
{
    static const uint32_t types[] = {
        VBD_READY,  VBD_CONNECTED, VBD_DISCONNECTED, VBD_FAILED, VBD_HALTED,
        VBD_PAUSED, VBD_RESUMED,   VBD_SETUP,        0,          200};
    union any_message m;
    size_t len = take_message(in, &m, types, sizeof(types) / sizeof(types[0]));
    int fd = STDERR_FILENO;

    if (theirs >= 0)
        msg_send(theirs, &m, len, &fd, take8(in) >= 0xf0);
}

static void daemon_asks(struct worker *w, uint8_t what)
{
    struct vbd_setup setup = {.domid = 1};
    struct vbd_connect connect = {.nr_rings = 1};

    if (asked || killed || quitting)
        return;
    asked = what == 0 ? VBD_SETUP : what == 1 ? VBD_CONNECT : VBD_DISCONNECT;
    int ret = what == 0   ? worker_setup(w, &setup, NULL, 0)
              : what == 1 ? worker_connect(w, &connect)
                          : worker_disconnect(w);
    CHECK(!ret || killed);
    if (theirs < 0)
        return;
    union any_message m;
    int fds[MSG_FDS_MAX];
    size_t nfds;
    CHECK(ret || msg_recv(theirs, &m, sizeof(m), fds, &nfds) > 0);
}

static void daemon_hears(struct input *in)
{
    struct worker_rules rules = {
        .program = "/nonexistent", .name = "3:xvda", .answer_ms = 600000, .finish_ms = 600000};
    struct worker *w;
    struct errmsg err;

    killed = quitting = false;
    asked = 0;
    CHECK(worker_start(loop, &rules, on_event, &loop, &w, &err) == 0);
    for (unsigned n = 0; in->left && n < ACTIONS_MAX; n++) {
        uint8_t what = take8(in);
        if (what < 0x60) {
            daemon_asks(w, what % 3);
        } else if (what < 0xf0) {
            worker_says(in);
            rig_serve(loop);
        } else if (what < 0xf8) {
            close(theirs);
            theirs = -1;
            rig_serve(loop);
        } else if (!quitting) {
            quitting = true;
            worker_quit(w);
        }
    }
    worker_free(w);
    if (theirs >= 0)
        close(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (!loop)
        CHECK(loop_create(&loop) == 0);
    int before = rig_next_descriptor();
    if (take8(&in) & 1)
        worker_hears(&in);
    else
        daemon_hears(&in);
    CHECK(rig_next_descriptor() == before);
    return 0;
}
