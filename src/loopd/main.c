/* SPDX-License-Identifier: MIT
 *
 * blkback-loopd: arguments, start and end. Prints "ready" on standard output when it serves.
 */
#include "loopd/server.h"

#include <getopt.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "loopd/store.h"

#define DOM0_PAGES       4096u /* 16 MiB: for tests in which domain 0 plays the frontend */
#define DEFAULT_MAPTRACK 262144u
#define DEFAULT_GRANTS   (LOOP_REFS - LOOP_REFS_RESERVED)
#define DIR_MAX          80 /* bytes; a socket's path has 108 */

static const char usage[] =
    "Usage: blkback-loopd --dir DIR [OPTION]...\n"
    "Serves a hypervisor made of nothing but this process: a store, domains with memory and\n"
    "grants, event channels. Programs reach it as \"loop:DIR\"; blkback-loopctl commands it.\n"
    "\n"
    "  --dir DIR         folder for the sockets; made if it is not there\n"
    "  --memory-dir DIR  keep the domains' memory in an unlinked file in DIR, which must not be a\n"
    "                    tmpfs: io_uring then refuses to register it, as it does with grants on "
    "Xen\n"
    "  --maptrack N      most pages that one domain may have mapped (default 262144)\n"
    "  --log-level L     error, warn, info (default) or debug\n"
    "  --help, --version\n"
    "\n"
    "Prints \"ready\" when it serves. Ends on SIGTERM and SIGINT, and says what is still mapped.\n";

struct options {
    const char *dir, *memory_dir;
    uint32_t maptrack;
    enum log_level level;
};

static int fail_usage(const char *what, const char *arg)
{
    fprintf(stderr, "blkback-loopd: %s%s (see --help)\n", what, arg);
    return 2;
}

static bool parse_level(const char *s, enum log_level *out)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(s, names[i]))
            continue;
        *out = (enum log_level)i;
        return true;
    }
    return false;
}

static bool parse_count(const char *s, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);

    *out = (uint32_t)v;
    return *s >= '0' && *s <= '9' && !*end && v <= 1u << 20;
}

/* 0: go on; else the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},
        {"memory-dir", required_argument, NULL, 'm'},
        {"maptrack", required_argument, NULL, 't'},
        {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
        switch (opt) {
        case 'd':
            o->dir = optarg;
            break;
        case 'm':
            o->memory_dir = optarg;
            break;
        case 't':
            if (!parse_count(optarg, &o->maptrack))
                return 1 + fail_usage("--maptrack needs a number up to 1048576, not ", optarg);
            break;
        case 'l':
            if (!parse_level(optarg, &o->level))
                return 1 + fail_usage("unknown log level ", optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        case 'V':
            puts("blkback-loopd " LOOPD_VERSION);
            return 1;
        default:
            return 1 + fail_usage("unknown option", "");
        }
    }
    if (optind < argc)
        return 1 + fail_usage("unexpected argument ", argv[optind]);
    if (!o->dir)
        return 1 + fail_usage("--dir is missing", "");
    if (strlen(o->dir) > DIR_MAX)
        return 1 + fail_usage("the folder's name is too long for sockets in it: ", o->dir);
    return 0;
}

static int check_memory_dir(const char *dir, struct errmsg *err)
{
    struct statfs fs;

    if (!dir)
        return 0;
    if (statfs(dir, &fs))
        return errmsg_set(err, -errno, "--memory-dir %s: %s", dir, strerror(errno));
    if (fs.f_type == TMPFS_MAGIC)
        return errmsg_set(err, -EINVAL,
                          "--memory-dir %s is a tmpfs, whose memory io_uring registers: use a "
                          "folder on a disk",
                          dir);
    return 0;
}

/* Each event channel needs two descriptors. */
static void raise_limits(void)
{
    struct rlimit r;

    if (!getrlimit(RLIMIT_NOFILE, &r)) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int server_memory(struct server *srv, struct errmsg *err)
{
    void *shared;

    srv->shared_fd = memory_new("loopd-shared", NULL, sizeof(*srv->shared), &shared);
    if (srv->shared_fd < 0)
        return errmsg_set(err, srv->shared_fd, "cannot make shared memory: %s",
                          strerror(-srv->shared_fd));
    srv->shared = shared;
    srv->shared->magic = LOOP_MAGIC;
    srv->shared->version = LOOP_VERSION;
    srv->chans = calloc(LOOP_CHANNELS, sizeof(*srv->chans));
    return srv->chans ? 0 : errmsg_set(err, -ENOMEM, "out of memory");
}

static int server_open(struct server *srv, struct errmsg *err)
{
    struct domain *dom0;

    if (mkdir(srv->dir, 0700) && errno != EEXIST)
        return errmsg_set(err, -errno, "cannot make the folder %s: %s", srv->dir, strerror(errno));
    int r = server_memory(srv, err);
    if (!r)
        r = conns_open(srv, err);
    if (r)
        return r;
    store_open(srv, &srv->store);
    r = domain_create(srv, 0, DOM0_PAGES, &dom0);
    return r ? errmsg_set(err, r, "cannot make domain 0 in %s: %s", srv->dir, strerror(-r)) : 0;
}

static void server_close(struct server *srv)
{
    conns_close(srv);
    while (srv->domains) {
        struct domain *dom = srv->domains;

        domain_destroy(srv, dom);
    }
    if (srv->store)
        store_close(srv->store);
    free(srv->tracks);
    free(srv->chans);
    if (srv->shared)
        munmap(srv->shared, sizeof(*srv->shared));
    if (srv->shared_fd >= 0)
        close(srv->shared_fd);
}

static void on_signal(void *arg, int signo)
{
    loop_stop(arg);
}

static int run(struct server *srv, struct errmsg *err)
{
    int r = loop_add_signal(srv->loop, SIGTERM, on_signal, srv->loop, NULL);

    if (!r)
        r = loop_add_signal(srv->loop, SIGINT, on_signal, srv->loop, NULL);
    if (r)
        return errmsg_set(err, r, "cannot take signals: %s", strerror(-r));
    r = server_open(srv, err);
    if (r)
        return r;
    if (puts("ready") < 0 || fflush(stdout))
        log_warn("nobody reads standard output");
    r = loop_run(srv->loop);
    report_log(srv);
    return r ? errmsg_set(err, r, "the event loop failed: %s", strerror(-r)) : 0;
}

int main(int argc, char **argv)
{
    struct options o = {.maptrack = DEFAULT_MAPTRACK, .level = LOG_LEVEL_INFO};
    struct errmsg err;
    int r = parse_options(argc, argv, &o);

    if (r)
        return r - 1;
    log_open("blkback-loopd", o.level);
    signal(SIGPIPE, SIG_IGN);
    raise_limits();
    struct server srv = {.dir = o.dir,
                         .memory_dir = o.memory_dir,
                         .shared_fd = -1,
                         .listen_fd = -1,
                         .next_domid = 1,
                         .limits = {[LOOP_LIMIT_MAPTRACK] = o.maptrack,
                                    [LOOP_LIMIT_GRANTS] = DEFAULT_GRANTS,
                                    [LOOP_LIMIT_PORTS] = LOOP_PORTS - 1}};
    r = check_memory_dir(o.memory_dir, &err);
    if (!r) {
        r = loop_create(&srv.loop);
        if (r)
            errmsg_set(&err, r, "cannot make an event loop: %s", strerror(-r));
    }
    if (!r) {
        r = run(&srv, &err);
        server_close(&srv);
        loop_destroy(srv.loop);
    }
    if (r)
        log_error("%s", err.text);
    return r ? 1 : 0;
}
