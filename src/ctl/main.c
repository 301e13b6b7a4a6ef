/* SPDX-License-Identifier: MIT
 *
 * blkbackctl: command line. Threads: one.
 */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/blkbackd/control.sock"

static const char usage[] =
    "Usage: blkbackctl [OPTION]... VERB\n"
    "Looks at the disks that blkbackd serves.\n"
    "\n"
    "  list               every disk, its state, and what it waits for\n"
    "  show DISK          everything about one disk (named as in list, or 3:xvda, 3:51712)\n"
    "  doctor             looks at what disks need and says how to put it right\n"
    "  caches             the object caches of the daemon and its workers\n"
    "  version            version of this program and of the daemon\n"
    "\n"
    "  --json             print the answer as one line of JSON (\"schema\":1)\n"
    "  --socket PATH      the daemon's control socket (default: " DEFAULT_SOCKET ")\n"
    "  --no-color         never use colours\n"
    "  --help             print this and exit\n"
    "  --version          print the version and exit\n"
    "\n"
    "Exit status: 0 ok, 1 failed, 2 bad usage, 3 the daemon cannot be reached, 4 no such disk.\n";

enum { OPT_JSON = 256, OPT_SOCKET, OPT_NO_COLOR, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
    {"json", no_argument, NULL, OPT_JSON},         {"socket", required_argument, NULL, OPT_SOCKET},
    {"no-color", no_argument, NULL, OPT_NO_COLOR}, {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},   {NULL, 0, NULL, 0},
};

static enum ctl_exit bad_usage(const char *what, const char *which)
{
    char text[ERRMSG_MAX];

    snprintf(text, sizeof(text), "%s%s", what, which);
    ctl_error(text, "blkbackctl --help lists what there is");
    return CTL_USAGE;
}

static enum ctl_exit ctl_version(const struct ctl *ctl)
{
    struct json_object *answer;

    if (!ctl->json)
        puts("blkbackctl " PROJECT_VERSION);
    enum ctl_exit code = ctl_get(ctl, "version", NULL, &answer);
    if (code)
        return code;
    if (ctl->json)
        ctl_print_json(answer);
    else
        printf("blkbackd %s\n", field_text(answer, "version"));
    json_object_put(answer);
    return CTL_OK;
}

static enum ctl_exit run(const struct ctl *ctl, int argc, char **argv)
{
    static const struct {
        const char *name;
        enum ctl_exit (*verb)(const struct ctl *ctl);
    } verbs[] = {{"list", ctl_list},
                 {"doctor", ctl_doctor},
                 {"caches", ctl_caches},
                 {"version", ctl_version}};

    if (argc == 0)
        return bad_usage("no verb given", "");
    if (strcmp(argv[0], "show") == 0) {
        if (argc != 2)
            return bad_usage("show needs the name of one disk", "");
        return ctl_show(ctl, argv[1]);
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[0], verbs[i].name) == 0)
            return argc == 1 ? verbs[i].verb(ctl) : bad_usage("unexpected argument ", argv[1]);
    }
    return bad_usage("there is no verb ", argv[0]);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.socket = DEFAULT_SOCKET,
                      .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
    int opt;

    opterr = 0;
    while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (opt) {
        case OPT_JSON:
            ctl.json = true;
            break;
        case OPT_SOCKET:
            ctl.socket = optarg;
            break;
        case OPT_NO_COLOR:
            ctl.color = false;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return CTL_OK;
        case OPT_VERSION:
            puts("blkbackctl " PROJECT_VERSION);
            return CTL_OK;
        default:
            return bad_usage(opt == ':' ? "this option needs a value: " : "unknown option ",
                             argv[optind - 1]);
        }
    }
    enum ctl_exit code = run(&ctl, argc - optind, argv + optind);
    if (fflush(stdout) || ferror(stdout))
        return CTL_FAILED;
    return (int)code;
}
