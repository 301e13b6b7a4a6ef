/* SPDX-License-Identifier: MIT
 *
 * blkif-conform: arguments. Thread: main.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "front/vdev.h"
#include "run.h"

static const char usage[] =
    "Usage: blkif-conform --disk DEV [OPTION]...\n"
    "Holds the backend of a Xen virtual disk of this domain to the block protocol: plays the\n"
    "frontend, a correct one and a hostile one. DESTROYS WHAT THE DISK HOLDS. Prints TAP.\n"
    "\n"
    "  --hv SPEC       xen (the default), or loop:DIR:DOMID\n"
    "  --disk DEV      xvda, sda1, d0p2, or a number; of 16 MiB at least, and not in use\n"
    "  --case GLOB     only the cases whose id matches, e.g. 'hostile_*' (*)\n"
    "  --thorough      the long loops: hours instead of a minute\n"
    "  --host COMMAND  for what only the backend's side can do or see; run by the shell with one\n"
    "                  more word: check, cpu, log, reattach, resize SECTORS, fail RULE; exit 77:\n"
    "                  cannot\n"
    "  --list          the cases: id, MUST or SHOULD, clause, rule\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 every case passed or was skipped; 1 some failed; 2 usage; 3 hypervisor\n"
    "unreachable; 4 no such disk.\n";

enum { OPT_HV = 256, OPT_DISK, OPT_CASE, OPT_THOROUGH, OPT_HOST, OPT_LIST, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
    {"hv", required_argument, NULL, OPT_HV},
    {"disk", required_argument, NULL, OPT_DISK},
    {"case", required_argument, NULL, OPT_CASE},
    {"thorough", no_argument, NULL, OPT_THOROUGH},
    {"host", required_argument, NULL, OPT_HOST},
    {"list", no_argument, NULL, OPT_LIST},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

struct args {
    struct settings set;
    const char *disk, *glob;
    bool list;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct args *a)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case OPT_HV:
            a->set.hv = optarg;
            break;
        case OPT_DISK:
            a->disk = optarg;
            break;
        case OPT_CASE:
            a->glob = optarg;
            break;
        case OPT_THOROUGH:
            a->set.thorough = true;
            break;
        case OPT_HOST:
            a->set.host = optarg;
            break;
        case OPT_LIST:
            a->list = true;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        case OPT_VERSION:
            puts("blkif-conform " CONFORM_VERSION);
            return 0;
        default:
            fputs("blkif-conform: see --help\n", stderr);
            return 2;
        }
    }
    return -1;
}

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "blkif-conform: %s%s; see --help\n", what, which);
    return 2;
}

static void list_case(const struct conform_case *k, void *arg)
{
    (void)arg;
    printf("%s\t%s\t%s\t%s\n", k->id, k->level == MUST ? "MUST" : "SHOULD", k->clause, k->what);
}

static void count_case(const struct conform_case *k, void *arg)
{
    (void)k;
    ++*(unsigned *)arg;
}

int main(int argc, char **argv)
{
    struct args a = {.set = {.hv = "xen"}, .glob = "*"};
    unsigned n = 0;
    int status = parse(argc, argv, &a);

    if (status >= 0)
        return status;
    if (optind < argc)
        return usage_error("unexpected argument ", argv[optind]);
    cases_each(a.glob, count_case, &n);
    if (n == 0)
        return usage_error("no case matches ", a.glob);
    if (a.list) {
        cases_each(a.glob, list_case, NULL);
        return 0;
    }
    if (a.disk == NULL)
        return usage_error("--disk DEV is missing", "");
    if (vdev_parse(a.disk, &a.set.devid) != 0)
        return usage_error("--disk cannot be ", a.disk);
    return cases_run(&a.set, a.glob);
}
