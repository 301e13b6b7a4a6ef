/* SPDX-License-Identifier: MIT
 *
 * A disk and its worker: starting, ending, and what its events mean. An event only changes the
 * phase and marks the device; what follows from it is worked out by the next look. Threads: the
 * daemon's.
 */
#include "daemon/vbd.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/lifefile.h"
#include "daemon/process.h"

void vbd_set_phase(struct vbd *v, enum vbd_phase phase)
{
    v->phase = phase;
    v->phase_since_ms = loop_now_ms();
}

static void fail(struct vbd *v, int err, const char *what, const struct errmsg *text)
{
    v->failure = err;
    v->failed_connecting = false;
    errmsg_set(&v->failure_text, 0, "%s%s", what, text->text);
}

static void on_refused(struct vbd *v, const struct worker_event *e)
{
    if (v->phase == PHASE_CONNECTING) {
        fail(v, e->err, "", &e->text);
        v->failed_connecting = true;
        vbd_set_phase(v, PHASE_READY);
        return;
    }
    fail(v, e->err, "", &e->text);
    worker_quit(v->worker);
    vbd_set_phase(v, PHASE_QUITTING);
}

static void on_halted(struct vbd *v, const struct worker_event *e)
{
    v->halted |= 1ull << e->ring;
    v->halt_text = e->text;
    if (log_limit_ok(&v->dev.log_error))
        log_warn("%s: ring %u is stopped until the frontend reconnects: %s", v->dev.label, e->ring,
                 e->text.text);
}

static void on_old_exit(void *arg, uint32_t events)
{
    struct vbd *v = arg;

    loop_remove(v->old_source);
    v->old_source = NULL;
    close(v->old_pidfd);
    v->old_pidfd = -1;
    bus_mark(&v->dev);
}

bool vbd_wait_for_old(struct vbd *v)
{
    if (v->old_source)
        return true;
    v->old_pidfd = lifefile_living(v->daemon->config.run_dir, v->dev.nodename, &v->old_pid);
    if (v->old_pidfd < 0)
        return false;
    log_info("%s: waiting for process %d, which an earlier daemon left, to finish", v->dev.label,
             (int)v->old_pid);
    if (loop_add_fd(v->daemon->loop, v->old_pidfd, EPOLLIN, on_old_exit, v, &v->old_source)) {
        close(v->old_pidfd);
        v->old_pidfd = -1;
    }
    return v->old_source != NULL;
}

static void on_exited(struct vbd *v, const struct worker_event *e)
{
    bool asked = v->phase == PHASE_QUITTING;

    lifefile_remove(v->daemon->config.run_dir, v->dev.nodename);
    worker_free(v->worker);
    v->worker = NULL;
    v->storage_known = false;
    v->storage_said = false;
    vbd_set_phase(v, PHASE_NONE);
    if (asked) {
        log_debug("%s: worker ended: %s", v->dev.label, e->text.text);
        return;
    }
    fail(v, -EIO, "the disk's worker process ended: ", &e->text);
}

static void on_event(void *owner, const struct worker_event *e)
{
    struct vbd *v = owner;

    switch (e->type) {
    case WORKER_READY:
        vbd_set_phase(v, PHASE_READY);
        break;
    case WORKER_CONNECTED:
        vbd_set_phase(v, PHASE_CONNECTED);
        break;
    case WORKER_DISCONNECTED:
        vbd_set_phase(v, PHASE_READY);
        break;
    case WORKER_REFUSED:
        on_refused(v, e);
        break;
    case WORKER_HALTED:
        on_halted(v, e);
        return;
    case WORKER_EXITED:
        on_exited(v, e);
        break;
    }
    bus_mark(&v->dev);
}

static int send_setup(struct vbd *v, struct engine_desc *desc)
{
    struct vbd_setup setup = {
        .domid = v->dev.id.domid,
        .devid = v->dev.id.devid,
        .log_level = v->daemon->config.log_level,
        .persistent_max = v->daemon->config.limits.persistent_max,
        .max_indirect = v->daemon->config.limits.max_indirect,
        .read_only = desc->info.read_only,
        .engine_desc_bytes = sizeof(*desc),
    };
    int fds[1 + ENGINE_FDS_MAX] = {v->stats_fd};

    _Static_assert(sizeof(*desc) <= sizeof(setup.engine_desc), "engine_desc fits the message");
    snprintf(setup.name, sizeof(setup.name), "%s", v->vdev);
    snprintf(setup.hv, sizeof(setup.hv), "%s", v->daemon->config.hv);
    memcpy(setup.engine_desc, desc, sizeof(*desc));
    for (uint32_t i = 0; i < desc->nr_fds && i < ENGINE_FDS_MAX; i++)
        fds[1 + i] = desc->fds[i];
    return worker_setup(v->worker, &setup, fds, 1 + desc->nr_fds);
}

/* The descriptors are sent and ours closed: from now on only the worker holds the storage. */
int vbd_start_worker(struct vbd *v, struct engine_desc *desc, struct errmsg *err)
{
    const struct daemon_config *config = &v->daemon->config;
    const struct worker_rules rules = {config->worker, v->dev.label, config->answer_ms,
                                       config->finish_ms};
    int ret = 0;

    if (!v->discard_wanted) /* discard-enable=0: not offered, and refused when it comes all the same
                             */
        desc->info.can_discard = desc->info.can_discard_secure = false;
    if (!v->stats)
        ret = stats_page_create(&v->stats, &v->stats_fd);
    if (ret)
        errmsg_set(err, ret, "cannot make the statistics page: %s", strerror(-ret));
    if (!ret)
        ret = worker_start(v->daemon->loop, &rules, on_event, v, &v->worker, err);
    if (!ret) {
        v->info = desc->info;
        memcpy(v->engine, desc->engine, sizeof(v->engine));
        v->storage_known = true;
        vbd_set_phase(v, PHASE_STARTING);
        lifefile_write(v->daemon->config.run_dir, v->dev.nodename, worker_pid(v->worker));
        send_setup(v, desc); /* if that fails the worker's exit says so */
    }
    engine_desc_close(desc);
    return ret;
}

bool vbd_idle(struct vbd *v)
{
    switch (v->phase) {
    case PHASE_NONE:
    case PHASE_STARTING:
    case PHASE_READY:
        return true;
    case PHASE_CONNECTED:
        vbd_set_phase(v, PHASE_DISCONNECTING);
        worker_disconnect(v->worker);
        return false;
    default:
        return false;
    }
}

bool vbd_stopped(struct vbd *v)
{
    if (v->phase == PHASE_NONE)
        return true;
    if (v->phase != PHASE_QUITTING) {
        vbd_set_phase(v, PHASE_QUITTING);
        worker_quit(v->worker);
    }
    return false;
}
