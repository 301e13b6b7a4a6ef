/* SPDX-License-Identifier: MIT
 *
 * Starts and stops a blkback-loopd for a test program. Threads: one.
 */
#include "loopd_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/loop/toolstack.h"
#include "hv/store.h"

#define ARGS_MAX 16

static void die(const char *what, const char *why)
{
    printf("Bail out! loopd fixture: %s: %s\n", what, why);
    exit(1);
}

static void check(int r, const char *what)
{
    if (r < 0)
        die(what, strerror(-r));
}

static void child(struct loopd *d, const char *const *args, int out)
{
    const char *path = getenv("BLKBACK_LOOPD"), *argv[ARGS_MAX];
    int n = 0;

    argv[n++] = path ? path : LOOPD_PATH;
    argv[n++] = "--dir";
    argv[n++] = d->dir;
    while (args && *args && n < ARGS_MAX - 1)
        argv[n++] = *args++;
    argv[n] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no test leaves one behind, however it ends */
    unsetenv("BLKBACK_LOOP_FAIL");
    dup2(out, STDOUT_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    perror(argv[0]);
    _exit(127);
}

void loopd_start(struct loopd *d, const char *const *args)
{
    const char *tmp = getenv("TMPDIR");
    char ready[6] = "";
    int out[2];

    memset(d, 0, sizeof(*d));
    snprintf(d->dir, sizeof(d->dir), "%.60s/loopd-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(d->dir) || pipe(out))
        die(d->dir, strerror(errno));
    snprintf(d->dom0, sizeof(d->dom0), "loop:%s", d->dir);
    fflush(stdout);
    d->pid = fork();
    if (d->pid < 0)
        die("fork", strerror(errno));
    if (!d->pid)
        child(d, args, out[1]);
    close(out[1]);
    if (read(out[0], ready, sizeof(ready)) != sizeof(ready) || memcmp(ready, "ready\n", 6))
        die("blkback-loopd", "did not start");
    close(out[0]);
}

/* The folder should be empty by now; what is not goes too, one level deep. */
static void remove_dir(const char *dir)
{
    DIR *dp = opendir(dir);
    char path[400];

    for (struct dirent *e; dp && (e = readdir(dp));) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_type != DT_DIR)
            unlink(path);
    }
    if (dp)
        closedir(dp);
    rmdir(dir);
}

int loopd_stop(struct loopd *d)
{
    int status = 0;

    kill(d->pid, SIGTERM);
    while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
        ;
    remove_dir(d->dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *loopd_spec(struct loopd *d, uint32_t domid)
{
    snprintf(d->spec, sizeof(d->spec), "loop:%s:%u", d->dir, domid);
    return d->spec;
}

static struct loop_hv *toolstack(struct loopd *d)
{
    struct loop_hv *ts;
    struct errmsg err;

    if (loop_toolstack_open(d->dir, &ts, &err))
        die("toolstack", err.text);
    return ts;
}

static struct hv_store *store(struct loopd *d)
{
    struct hv_store *st;
    struct errmsg err;

    if (hv_store_open(d->dom0, &st, &err))
        die("store", err.text);
    return st;
}

uint32_t loopd_create(struct loopd *d, uint32_t pages)
{
    struct loop_hv *ts = toolstack(d);
    struct hv_store *st = store(d);
    char path[64];
    uint32_t domid;

    check(loop_domain_create(ts, pages, &domid), "create");
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    check(hv_store_mkdir(st, 0, path), path);
    check(hv_store_set_perms(st, 0, path, domid, 0), path);
    snprintf(path, sizeof(path), "/local/domain/%u/device", domid);
    check(hv_store_mkdir(st, 0, path), path);
    hv_store_close(st);
    check(loop_domain_introduce(ts, domid), "introduce");
    loop_toolstack_close(ts);
    return domid;
}

void loopd_destroy(struct loopd *d, uint32_t domid)
{
    struct loop_hv *ts = toolstack(d);
    struct hv_store *st = store(d);
    char path[64];

    check(loop_domain_destroy(ts, domid), "destroy");
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    check(hv_store_rm(st, 0, path), path);
    hv_store_close(st);
    loop_toolstack_close(ts);
}

static int count_row(const struct loop_report_row *row, void *arg)
{
    ++*(uint32_t *)arg;
    return 0;
}

uint32_t loopd_left(struct loopd *d)
{
    struct loop_hv *ts = toolstack(d);
    uint32_t n = 0;

    check(loop_report(ts, count_row, &n), "report");
    loop_toolstack_close(ts);
    return n;
}

void loopd_fail(struct loopd *d, const char *rule)
{
    struct loop_hv *ts = toolstack(d);
    struct errmsg err;

    if (loop_set_fail(ts, rule, LOOP_DOMID_NONE, &err))
        die("fail", err.text);
    loop_toolstack_close(ts);
}
