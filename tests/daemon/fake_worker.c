/* SPDX-License-Identifier: MIT
 *
 * Workers without a process. Threads: one.
 */
#include "fake_worker.h"

#include <stdlib.h>

#define MAX 4096

struct worker {
    worker_event_cb *cb;
    void *owner;
    struct worker_event due;
    bool has_due, quitting, dead;
};

struct fake_workers fake_workers;
static struct worker *all[MAX];

void fake_workers_reset(void)
{
    fake_workers = (struct fake_workers){0};
}

int worker_start(struct loop *loop, const struct worker_rules *rules, worker_event_cb *cb,
                 void *owner, struct worker **out, struct errmsg *err)
{
    if (fake_workers.cannot_run)
        return errmsg_set(err, -ENOENT, "cannot start the worker program");
    struct worker *w = calloc(1, sizeof(*w));
    w->cb = cb;
    w->owner = owner;
    for (unsigned i = 0; i < MAX; i++) {
        if (!all[i]) {
            all[i] = w;
            break;
        }
    }
    fake_workers.started++;
    fake_workers.living++;
    *out = w;
    return 0;
}

pid_t worker_pid(const struct worker *w)
{
    return 4711;
}

static int answer(struct worker *w, enum worker_event_type type)
{
    w->due = (struct worker_event){.type = type};
    if (fake_workers.refuse && type != WORKER_DISCONNECTED) {
        w->due.type = WORKER_REFUSED;
        w->due.err = fake_workers.refuse;
        errmsg_set(&w->due.text, 0, "the worker says no");
        fake_workers.refuse = 0;
    }
    w->has_due = true;
    return 0;
}

int worker_setup(struct worker *w, struct vbd_setup *setup, const int *fds, size_t nfds)
{
    fake_workers.setups++;
    fake_workers.setup = *setup;
    return answer(w, WORKER_READY);
}

int worker_connect(struct worker *w, const struct vbd_connect *connect)
{
    fake_workers.connects++;
    fake_workers.connect = *connect;
    return answer(w, WORKER_CONNECTED);
}

int worker_disconnect(struct worker *w)
{
    fake_workers.disconnects++;
    return answer(w, WORKER_DISCONNECTED);
}

static void die(struct worker *w, const char *how)
{
    w->due = (struct worker_event){.type = WORKER_EXITED};
    errmsg_set(&w->due.text, 0, "%s", how);
    w->has_due = true;
    w->dead = true;
}

void worker_quit(struct worker *w)
{
    fake_workers.quits++;
    w->quitting = true;
    if (w->dead)
        return;
    w->due = (struct worker_event){.type = WORKER_EXITED};
    errmsg_set(&w->due.text, 0, "it exited with status 0");
    w->has_due = true;
}

void worker_free(struct worker *w)
{
    for (unsigned i = 0; i < MAX; i++) {
        if (all[i] == w)
            all[i] = NULL;
    }
    fake_workers.living--;
    free(w);
}

bool fake_workers_deliver(void)
{
    for (unsigned i = 0; i < MAX; i++) {
        struct worker *w = all[i];
        if (!w || !w->has_due || (fake_workers.silent && !w->dead))
            continue;
        struct worker_event due = w->due;
        w->has_due = false;
        w->cb(w->owner, &due);
        return true;
    }
    return false;
}

void fake_workers_die(void)
{
    for (unsigned i = 0; i < MAX; i++) {
        if (all[i])
            die(all[i], "it was killed by signal 9 (Killed)");
    }
}

void fake_workers_speak(void)
{
    fake_workers.silent = false;
}
