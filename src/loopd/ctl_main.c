/* SPDX-License-Identifier: MIT
 *
 * blkback-loopctl: arguments and dispatch.
 */
#include "loopd/ctl.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: blkback-loopctl --dir DIR COMMAND [ARGUMENT]... [OPTION]...\n"
    "The toolstack of the loopback hypervisor that blkback-loopd serves in DIR.\n"
    "\n"
    "  create [--memory MIB]          makes a domain (64 MiB), prints its id\n"
    "  destroy DOMID [--abrupt]       takes its disks away, then the domain; abrupt: in the other\n"
    "                                 order, as when a guest dies\n"
    "  attach DOMID VDEV TARGET       gives it a disk: [--readonly] [--script PATH] [--kind KIND]\n"
    "                                 script: runs this hotplug script, as libxl does; without it\n"
    "                                 the backend is told TARGET directly. kind: vbd or vbd3\n"
    "  detach DOMID VDEV [--force]    takes it away; force: without asking the guest\n"
    "  list                           domains\n"
    "  report                         every page still mapped, every port still bound\n"
    "  fail RULE|clear [DOMID]        makes calls fail, e.g. map:3:ENOSPC, copy:*:EFAULT,\n"
    "                                 copy:2:GNTST_bad_page; for all callers or for one domain's\n"
    "  limit maptrack|grants|ports N  sets a limit of each domain\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done; 1 failed (report: something is left); 2 usage; 3 blkback-loopd does not\n"
    "answer; 4 not found; 5 timeout; 6 in use.\n";

enum ctl_status ctl_fail(enum ctl_status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("blkback-loopctl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return status;
}

static bool parse_number(const char *s, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);

    *out = (uint32_t)v;
    return *s >= '0' && *s <= '9' && !*end && v <= max;
}

static enum ctl_status bad_domid(const char *s)
{
    return ctl_fail(CTL_USAGE, "%s is no domain id", s);
}

/* ---- Commands: argv[0] is the first argument after the command's name ---- */

static enum ctl_status cmd_create(struct ctl *c, char **argv)
{
    return domain_create_cmd(c);
}

static enum ctl_status cmd_destroy(struct ctl *c, char **argv)
{
    uint32_t domid;

    return parse_number(argv[0], LOOP_DOMID_MAX, &domid) ? domain_destroy_cmd(c, domid)
                                                         : bad_domid(argv[0]);
}

static enum ctl_status parse_disk(struct ctl *c, char **argv, struct disk *d)
{
    uint32_t domid;

    if (!parse_number(argv[0], LOOP_DOMID_MAX, &domid))
        return bad_domid(argv[0]);
    if (disk_name(d, domid, argv[1], c->kind))
        return ctl_fail(CTL_USAGE, "%s is no disk name: use xvda, sda, hda, d0p1 or a number",
                        argv[1]);
    return CTL_OK;
}

static enum ctl_status cmd_attach(struct ctl *c, char **argv)
{
    char path[64];
    struct disk d;
    enum ctl_status status = parse_disk(c, argv, &d);

    if (status != CTL_OK)
        return status;
    snprintf(path, sizeof(path), "/local/domain/%u", d.domid);
    if (hv_store_exists(c->store, 0, path) != 1)
        return ctl_fail(CTL_NOT_FOUND, "there is no domain %u (see blkback-loopctl list)", d.domid);
    return disk_attach(c, &d, argv[2]);
}

static enum ctl_status cmd_detach(struct ctl *c, char **argv)
{
    struct disk d;
    enum ctl_status status = parse_disk(c, argv, &d);

    return status == CTL_OK ? disk_detach(c, &d, c->force) : status;
}

static enum ctl_status cmd_list(struct ctl *c, char **argv)
{
    return list_cmd(c);
}

static enum ctl_status cmd_report(struct ctl *c, char **argv)
{
    return report_cmd(c);
}

static enum ctl_status cmd_fail(struct ctl *c, char **argv)
{
    uint32_t domid = LOOP_DOMID_NONE;
    struct errmsg err;

    if (argv[1] && !parse_number(argv[1], LOOP_DOMID_MAX, &domid))
        return bad_domid(argv[1]);
    int r = loop_set_fail(c->ts, strcmp(argv[0], "clear") ? argv[0] : NULL, domid, &err);
    return r ? ctl_fail(r == -EINVAL ? CTL_USAGE : CTL_FAILED, "%s", err.text) : CTL_OK;
}

static enum ctl_status cmd_limit(struct ctl *c, char **argv)
{
    static const char *const names[LOOP_LIMIT_COUNT] = {"maptrack", "grants", "ports"};
    uint32_t value;

    if (!parse_number(argv[1], UINT32_MAX, &value))
        return ctl_fail(CTL_USAGE, "%s is no number", argv[1]);
    for (uint32_t i = 0; i < LOOP_LIMIT_COUNT; i++) {
        if (strcmp(names[i], argv[0]))
            continue;
        int r = loop_set_limit(c->ts, i, value);
        return r ? ctl_fail(CTL_FAILED, "cannot set the limit: %s", strerror(-r)) : CTL_OK;
    }
    return ctl_fail(CTL_USAGE, "unknown limit %s: use maptrack, grants or ports", argv[0]);
}

static const struct command {
    const char *name;
    int min_args, max_args;
    enum ctl_status (*run)(struct ctl *, char **);
} commands[] = {
    {"create", 0, 0, cmd_create}, {"destroy", 1, 1, cmd_destroy}, {"attach", 3, 3, cmd_attach},
    {"detach", 2, 2, cmd_detach}, {"list", 0, 0, cmd_list},       {"report", 0, 0, cmd_report},
    {"fail", 1, 2, cmd_fail},     {"limit", 2, 2, cmd_limit},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* 0: go on; else the exit status + 1. */
static int parse_options(int argc, char **argv, struct ctl *c)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},  {"memory", required_argument, NULL, 'm'},
        {"readonly", no_argument, NULL, 'r'},   {"script", required_argument, NULL, 's'},
        {"kind", required_argument, NULL, 'k'}, {"force", no_argument, NULL, 'f'},
        {"abrupt", no_argument, NULL, 'a'},     {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},    {0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
        switch (opt) {
        case 'd':
            c->dir = optarg;
            break;
        case 'm':
            if (!parse_number(optarg, 4096, &c->memory_mib) || !c->memory_mib)
                return 1 + ctl_fail(CTL_USAGE, "--memory needs 1 to 4096 MiB, not %s", optarg);
            break;
        case 'r':
            c->readonly = true;
            break;
        case 's':
            c->script = optarg;
            break;
        case 'k':
            c->kind = optarg;
            break;
        case 'f':
            c->force = true;
            break;
        case 'a':
            c->abrupt = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        case 'V':
            puts("blkback-loopctl " LOOPD_VERSION);
            return 1;
        default:
            return 1 + ctl_fail(CTL_USAGE, "see --help");
        }
    }
    return 0;
}

static enum ctl_status check_options(const struct ctl *c)
{
    if (!c->dir)
        return ctl_fail(CTL_USAGE, "--dir is missing: the folder of blkback-loopd");
    if (strcmp(c->kind, "vbd") && strcmp(c->kind, "vbd3"))
        return ctl_fail(CTL_USAGE, "unknown kind %s: use vbd or vbd3", c->kind);
    if (c->script && c->script[0] != '/')
        return ctl_fail(CTL_USAGE, "--script needs an absolute path, not %s", c->script);
    return CTL_OK;
}

static enum ctl_status run(struct ctl *c, const struct command *cmd, char **argv)
{
    char spec[160];
    struct errmsg err;

    snprintf(spec, sizeof(spec), "loop:%s", c->dir);
    if (loop_toolstack_open(c->dir, &c->ts, &err))
        return ctl_fail(CTL_UNREACHABLE, "%s", err.text);
    enum ctl_status status = CTL_UNREACHABLE;
    if (hv_store_open(spec, &c->store, &err)) {
        ctl_fail(status, "%s", err.text);
    } else {
        status = cmd->run(c, argv);
        hv_store_close(c->store);
    }
    loop_toolstack_close(c->ts);
    return status;
}

int main(int argc, char **argv)
{
    struct ctl c = {.memory_mib = 64, .kind = "vbd"};
    int r = parse_options(argc, argv, &c);

    if (r)
        return r - 1;
    signal(SIGPIPE, SIG_IGN);
    if (optind == argc)
        return (int)ctl_fail(CTL_USAGE, "no command: see --help");
    const struct command *cmd = find_command(argv[optind]);
    int args = argc - optind - 1;
    if (!cmd)
        return (int)ctl_fail(CTL_USAGE, "unknown command %s: see --help", argv[optind]);
    if (args < cmd->min_args || args > cmd->max_args)
        return (int)ctl_fail(CTL_USAGE, "wrong number of arguments for %s: see --help", cmd->name);
    enum ctl_status status = check_options(&c);
    return (int)(status == CTL_OK ? run(&c, cmd, argv + optind + 1) : status);
}
