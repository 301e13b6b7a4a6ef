/* SPDX-License-Identifier: MIT
 *
 * Command line of blkbackd. Threads: before any.
 */
#include "daemon/config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkif/layout.h"
#include "daemon/paths.h"

/* As the kernel's driver: max_indirect_segments and max_persistent_grants. */
#define DEFAULT_INDIRECT   256u
#define DEFAULT_PERSISTENT 1056u

static const char usage[] =
    "Usage: blkbackd [OPTION]...\n"
    "Serves the virtual disks of Xen guests from user space.\n"
    "\n"
    "  --hv SPEC          hypervisor to use: xen, or loop:DIR for a running blkback-loopd\n"
    "                     (default: xen)\n"
    "  --run-dir DIR      where the control socket is made (default: " DEFAULT_RUN_DIR ")\n"
    "  --worker PATH      the program that serves one disk (default: blkbackd-vbd beside\n"
    "                     this program, else in " WORKER_LIBEXECDIR ")\n"
    "  --kinds LIST       backend kinds to serve, comma separated (default: vbd,vbd3)\n"
    "  --claim-all        serve every disk of kind vbd, not only those whose script is\n"
    "                     block-blkbackd\n"
    "  --log-level LEVEL  error, warn, info or debug (default: info)\n"
    "  --help             print this and exit\n"
    "  --version          print the version and exit\n"
    "\n"
    "Runs in the foreground and logs to stderr. SIGTERM and SIGINT end it: workers finish what\n"
    "they have taken; the guests' disks go on when a new blkbackd is started.\n"
    "Exit status: 0 ended by a signal, 1 could not start or go on, 2 bad usage.\n";

enum {
    OPT_HV = 256,
    OPT_RUN_DIR,
    OPT_WORKER,
    OPT_KINDS,
    OPT_CLAIM_ALL,
    OPT_LOG_LEVEL,
    OPT_HELP,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"hv", required_argument, NULL, OPT_HV},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"worker", required_argument, NULL, OPT_WORKER},
    {"kinds", required_argument, NULL, OPT_KINDS},
    {"claim-all", no_argument, NULL, OPT_CLAIM_ALL},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static bool copy(char *to, size_t cap, const char *from)
{
    size_t len = strlen(from);

    if (len == 0 || len >= cap)
        return false;
    memcpy(to, from, len + 1);
    return true;
}

static bool parse_kinds(struct daemon_config *config, const char *list)
{
    config->nr_kinds = 0;
    while (*list) {
        size_t len = strcspn(list, ",");

        if (len == 0 || len >= CONFIG_KIND_BYTES || config->nr_kinds == CONFIG_KINDS_MAX)
            return false;
        memcpy(config->kinds[config->nr_kinds], list, len);
        config->kinds[config->nr_kinds++][len] = '\0';
        list += len;
        if (*list == ',' && *++list == '\0')
            return false;
    }
    return config->nr_kinds > 0;
}

static bool parse_level(const char *text, enum log_level *out)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* A queue for each processor that could serve it, as the kernel's driver does. */
static uint32_t online_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > VBD_RINGS_MAX ? VBD_RINGS_MAX : (uint32_t)n;
}

static void defaults(struct daemon_config *config)
{
    memset(config, 0, sizeof(*config));
    copy(config->hv, sizeof(config->hv), "xen");
    copy(config->run_dir, sizeof(config->run_dir), DEFAULT_RUN_DIR);
    parse_kinds(config, "vbd,vbd3");
    config->log_level = LOG_LEVEL_INFO;
    config->answer_ms = 10000;
    config->finish_ms = 30000;
    config->limits = (struct vbd_limits){
        .max_ring_page_order = BLKIF_RING_PAGE_ORDER_MAX,
        .max_queues = online_processors(),
        .max_indirect = DEFAULT_INDIRECT,
        .persistent_max = DEFAULT_PERSISTENT,
        .persistent = true,
    };
}

static bool apply(struct daemon_config *config, int opt, const char *arg)
{
    switch (opt) {
    case OPT_HV:
        return copy(config->hv, sizeof(config->hv), arg);
    case OPT_RUN_DIR:
        return copy(config->run_dir, sizeof(config->run_dir), arg);
    case OPT_WORKER:
        return copy(config->worker, sizeof(config->worker), arg);
    case OPT_KINDS:
        return parse_kinds(config, arg);
    case OPT_CLAIM_ALL:
        config->claim_all = true;
        return true;
    default:
        return parse_level(arg, &config->log_level);
    }
}

enum options_result options_parse(int argc, char **argv, struct daemon_config *config,
                                  struct errmsg *err)
{
    int opt, index = 0;

    defaults(config);
    opterr = 0;
    optind = 0;
    while ((opt = getopt_long(argc, argv, ":", long_options, &index)) != -1) {
        if (opt == OPT_HELP) {
            fputs(usage, stdout);
            return OPTIONS_DONE;
        }
        if (opt == OPT_VERSION) {
            puts("blkbackd " PROJECT_VERSION);
            return OPTIONS_DONE;
        }
        if (opt == ':' || opt == '?') {
            errmsg_set(err, -EINVAL,
                       opt == ':' ? "%s needs a value; see blkbackd --help"
                                  : "unknown option %s; see blkbackd --help",
                       argv[optind - 1]);
            return OPTIONS_BAD;
        }
        if (!apply(config, opt, optarg)) {
            errmsg_set(err, -EINVAL, "--%s cannot be '%s'; see blkbackd --help",
                       long_options[index].name, optarg);
            return OPTIONS_BAD;
        }
    }
    if (optind < argc) {
        errmsg_set(err, -EINVAL, "unexpected argument '%s'; see blkbackd --help", argv[optind]);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}

/* The worker in the folder of this executable. False if it is not there. */
static bool worker_beside_us(char *out, size_t cap)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len <= 0)
        return false;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return false;
    *slash = '\0';
    int n = snprintf(out, cap, "%s/blkbackd-vbd", self);
    return n > 0 && (size_t)n < cap && access(out, X_OK) == 0;
}

int options_find_worker(struct daemon_config *config, struct errmsg *err)
{
    if (!config->worker[0] && !worker_beside_us(config->worker, sizeof(config->worker)))
        copy(config->worker, sizeof(config->worker), WORKER_LIBEXECDIR "/blkbackd-vbd");
    if (access(config->worker, X_OK))
        return errmsg_set(err, -errno,
                          "the worker program %s cannot be run (%s); install it or name it with "
                          "--worker PATH",
                          config->worker, strerror(errno));
    return 0;
}
