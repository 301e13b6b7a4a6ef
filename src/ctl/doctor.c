/* SPDX-License-Identifier: MIT
 *
 * blkbackctl doctor: looks at everything a disk needs and says of each whether it is there, and
 * what to do if not. Threads: one.
 */
#include "ctl/ctl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"

#define KERNEL_DRIVER "/sys/bus/xen-backend/drivers/vbd"
#define STUCK_SECONDS 10u

struct doctor {
    const struct ctl *ctl;
    struct json_object *checks;
    bool failed;
};

__attribute__((format(printf, 4, 5))) static void check(struct doctor *d, bool ok, const char *fix,
                                                        const char *fmt, ...)
{
    struct json_object *o = json_object_new_object();
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    json_object_object_add(o, "ok", json_object_new_boolean(ok));
    json_object_object_add(o, "what", json_object_new_string(what));
    json_object_object_add(o, "fix", ok ? NULL : json_object_new_string(fix));
    json_object_array_add(d->checks, o);
    d->failed |= !ok;
    if (d->ctl->json)
        return;
    const char *color = !d->ctl->color ? "" : ok ? "\033[32m" : "\033[31m";
    printf("%s%s%s  %s\n", color, ok ? "ok  " : "FAIL", *color ? "\033[0m" : "", what);
    if (!ok)
        printf("        fix: %s\n", fix);
}

static bool socket_answers(const char *path)
{
    int fd = msg_connect(path, SOCK_STREAM);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void check_device(struct doctor *d, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int err = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    check(d, !err,
          err == ENOENT ? "boot under Xen and load the modules xen-gntdev and xen-evtchn"
                        : "run it as root in dom0 or the driver domain",
          "%s %s", path, err ? strerror(err) : "can be opened");
}

static void check_xen(struct doctor *d)
{
    check_device(d, "/dev/xen/gntdev");
    check_device(d, "/dev/xen/evtchn");
    const char *env = getenv("XENSTORED_PATH");
    bool store = socket_answers(env ? env : "/run/xenstored/socket") ||
                 access("/dev/xen/xenbus", R_OK | W_OK) == 0;
    check(d, store, "start it: systemctl start xenstored", "xenstore %s",
          store ? "is reachable" : "is not reachable");
}

/* hv: the daemon's, "" when it does not answer. */
static void check_hypervisor(struct doctor *d, const char *hv)
{
    char path[256];

    if (strncmp(hv, "loop:", 5) != 0) {
        check_xen(d);
        return;
    }
    snprintf(path, sizeof(path), "%.*s/xenstored.sock", (int)strcspn(hv + 5, ":"), hv + 5);
    bool ok = socket_answers(path);
    check(d, ok, "start blkback-loopd again in that folder", "loopback hypervisor (%s) %s", hv,
          ok ? "answers" : "does not answer");
}

static void check_kernel_driver(struct doctor *d)
{
    char names[256] = "";
    size_t len = 0;
    unsigned count = 0;
    DIR *dir = opendir(KERNEL_DRIVER);
    struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL) {
        if (strncmp(e->d_name, "vbd-", 4) != 0)
            continue;
        count++;
        if (len + strlen(e->d_name) + 3 < sizeof(names))
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
                                    e->d_name);
    }
    if (!dir) {
        check(d, true, NULL, "xen-blkback is not loaded");
        return;
    }
    closedir(dir);
    check(d, count == 0,
          "use script=block-blkbackd in those guests, or blacklist xen-blkback if none is meant "
          "for it",
          count ? "xen-blkback is loaded and owns %u disk(s) (%s)"
                : "xen-blkback is loaded and owns %u disks%s",
          count, names);
}

static void check_disk(struct doctor *d, struct json_object *disk, unsigned *stuck)
{
    const char *error = field_text(disk, "error"), *state = field_text(disk, "state");
    const char *waits = field_text(disk, "waits_for"), *halted = field_text(disk, "halted");
    char name[128];

    human_disk(disk, name, sizeof(name));
    if (*error)
        check(d, false, "put right what the error says, then attach the disk again", "%s: %s", name,
              error);
    else if (*halted)
        check(d, false, "the guest broke the ring; reboot it, or detach and attach the disk",
              "%s is stopped: %s", name, halted);
    else if (*waits && strcmp(state, "waiting") != 0 && field_u64(disk, "seconds") >= STUCK_SECONDS)
        check(d, false, "see what it waits for; blkbackctl show has more", "%s waits for %s", name,
              waits);
    else
        return;
    (*stuck)++;
}

static void check_daemon(struct doctor *d, struct json_object *answer)
{
    const char *worker = field_text(answer, "worker");
    size_t disks = field_rows(answer, "disks");
    unsigned stuck = 0;

    check(d, true, NULL, "blkbackd answers at %s", d->ctl->socket);
    bool store = field_bool(answer, "xenstore");
    check(d, store, "start xenstored; the daemon connects again by itself", "blkbackd %s xenstore",
          store ? "is connected to" : "has lost its connection to");
    bool runs = access(worker, X_OK) == 0;
    check(d, runs, "install it again, or start blkbackd with --worker PATH",
          "the worker program %s %s", worker, runs ? "is there" : "cannot be run");
    for (size_t i = 0; i < disks; i++)
        check_disk(d, json_object_array_get_idx(field(answer, "disks"), i), &stuck);
    if (!stuck)
        check(d, true, NULL, "%zu disk(s), none of them stuck", disks);
}

enum ctl_exit ctl_doctor(const struct ctl *ctl)
{
    struct doctor d = {.ctl = ctl, .checks = json_object_new_array()};
    struct json_object *answer = NULL;
    struct errmsg err = {""};
    int ret = ctl_ask(ctl, "doctor", NULL, &answer, &err);

    check_hypervisor(&d, ret ? "" : field_text(answer, "hv"));
    check_kernel_driver(&d);
    if (ret)
        check(&d, false, "start it: systemctl start blkbackd, or name its socket with --socket",
              "%s", err.text);
    else
        check_daemon(&d, answer);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "schema", json_object_new_int(1));
    json_object_object_add(o, "ok", json_object_new_boolean(!d.failed));
    json_object_object_add(o, "checks", d.checks);
    if (ctl->json)
        ctl_print_json(o);
    json_object_put(o);
    json_object_put(answer);
    return d.failed ? CTL_FAILED : CTL_OK;
}
