/* SPDX-License-Identifier: MIT
 *
 * blkbackd: the daemon. Finds disks, decides, starts a worker for each; touches no ring.
 * Threads: one, and whatever libxenstore keeps for its watches.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/control.h"
#include "daemon/paths.h"
#include "daemon/vbd.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void on_signal(void *arg, int signo)
{
    struct daemon *d = arg;

    log_info("%s: %s", strsignal(signo), d->signals ? "ending now" : "ending");
    d->signals++;
    loop_stop(d->loop);
}

/* Three descriptors for each disk; without them the limit on disks could not be reached. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int make_run_dir(const char *dir, struct errmsg *err)
{
    struct stat st;

    if (mkdir(dir, 0755) && errno != EEXIST)
        return errmsg_set(err, -errno, "cannot make the folder %s: %s; see --run-dir", dir,
                          strerror(errno));
    if (stat(dir, &st) || !S_ISDIR(st.st_mode))
        return errmsg_set(err, -ENOTDIR, "%s is not a folder; see --run-dir", dir);
    return 0;
}

static int start_bus(struct daemon *d, struct errmsg *err)
{
    struct hv_store *store;
    int ret = hv_store_open(d->config.hv, &store, err);

    return ret ? ret : bus_start(&d->bus, d->loop, &d->config, store, &vbd_driver, d, err);
}

static int start(struct daemon *d, struct errmsg *err)
{
    int ret = options_find_worker(&d->config, err);

    if (!ret)
        ret = make_run_dir(d->config.run_dir, err);
    if (ret)
        return ret;
    ret = loop_create(&d->loop);
    if (!ret)
        ret = loop_add_signal(d->loop, SIGTERM, on_signal, d, NULL);
    if (!ret)
        ret = loop_add_signal(d->loop, SIGINT, on_signal, d, NULL);
    if (!ret)
        ret = cache_create("vbd", sizeof(struct vbd), 0, CONFIG_DISKS_MAX, NULL, &d->vbds);
    if (ret)
        return errmsg_set(err, ret, "cannot start: %s", strerror(-ret));
    ret = control_start(d, &d->control, err);
    return ret ? ret : start_bus(d, err);
}

static unsigned tell_workers_to_go(struct daemon *d)
{
    unsigned left = 0;

    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++) {
        struct xb_device *dev = d->bus.slots[i];
        if (dev && !vbd_stopped(vbd_of(dev)))
            left++;
    }
    return left;
}

/* Workers finish what they have taken and exit; nothing is written to the store, so that the guests
 * wait for the next daemon. A second signal ends the waiting. */
static void finish(struct daemon *d)
{
    d->stopping = true;
    bus_quiesce(&d->bus);
    while (tell_workers_to_go(d) > 0) {
        if (loop_run_once(d->loop, 1000) || d->signals > 1)
            break;
    }
}

static void clean_up(struct daemon *d)
{
    if (d->bus.owner)
        bus_stop(&d->bus);
    control_stop(d->control);
    if (d->vbds)
        cache_destroy(d->vbds);
    loop_destroy(d->loop);
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    struct errmsg err = {""};

    switch (options_parse(argc, argv, &daemon.config, &err)) {
    case OPTIONS_DONE:
        return EXIT_OK;
    case OPTIONS_BAD:
        fprintf(stderr, "blkbackd: %s\n", err.text);
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    log_open("blkbackd", daemon.config.log_level);
    raise_fd_limit();
    int ret = start(&daemon, &err);
    if (ret) {
        log_error("%s", err.text);
    } else {
        log_info("ready (%s, control socket in %s)", daemon.config.hv, daemon.config.run_dir);
        ret = loop_run(daemon.loop);
        finish(&daemon);
    }
    clean_up(&daemon);
    return ret ? EXIT_FAILED : EXIT_OK;
}
