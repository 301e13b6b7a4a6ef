/* SPDX-License-Identifier: MIT
 *
 * The running daemon. Waiting is for events; the limits only turn a hang into a failure.
 */
#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/msg.h"

#define HANG_MS 60000

struct live live;

/* Freed memory that the address sanitizer holds back would look like a leak. */
static void small_quarantine(void)
{
    const char *old = getenv("ASAN_OPTIONS");
    char text[512];

    snprintf(text, sizeof(text), "%s:quarantine_size_mb=1:thread_local_quarantine_size_kb=64",
             old ? old : "");
    setenv("ASAN_OPTIONS", text, 1);
}

static void exec_with_output(const char *const *argv, int out)
{
    small_quarantine();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool control_answers(void)
{
    int fd = msg_connect(live.socket, SOCK_STREAM);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void live_daemon_start(void)
{
    const char *const argv[] = {
        BLKBACKD_PATH, "--hv",        live.loopd.dom0, "--run-dir",   live.loopd.dir,
        "--worker",    FAKE_VBD_PATH, "--claim-all",   "--log-level", "info",
        NULL};
    int log = open(live.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(log >= 0);
    live.daemon = fork();
    assert_true(live.daemon >= 0);
    if (live.daemon == 0)
        exec_with_output(argv, log);
    close(log);
    for (int i = 0; i < HANG_MS / 5 && !control_answers(); i++) {
        assert_int_equal(waitpid(live.daemon, NULL, WNOHANG), 0);
        usleep(5000);
    }
    assert_true(control_answers());
}

static int wait_status(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int live_daemon_stop(int signo)
{
    kill(live.daemon, signo);
    int status = wait_status(live.daemon);
    live.daemon = -1;
    return status;
}

int live_run(const char *const *argv, char *out, size_t cap)
{
    int fds[2];
    size_t have = 0;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        exec_with_output(argv, fds[1]);
    close(fds[1]);
    for (ssize_t n; (n = read(fds[0], out + have, cap - 1 - have)) > 0;)
        have += (size_t)n;
    out[have] = '\0';
    close(fds[0]);
    return wait_status(pid);
}

int live_setup(void **state)
{
    struct errmsg err;

    memset(&live, 0, sizeof(live));
    setenv("FAKE_VBD", "", 1);
    loopd_start(&live.loopd, NULL);
    snprintf(live.socket, sizeof(live.socket), "%s/control.sock", live.loopd.dir);
    snprintf(live.log, sizeof(live.log), "%s/daemon.log", live.loopd.dir);
    live.domid = loopd_create(&live.loopd, 16);
    snprintf(live.back, sizeof(live.back), "backend/vbd/%u/51712", live.domid);
    snprintf(live.front, sizeof(live.front), "/local/domain/%u/device/vbd/51712", live.domid);
    assert_int_equal(hv_store_open(live.loopd.dom0, &live.dom0, &err), 0);
    assert_int_equal(hv_store_open(loopd_spec(&live.loopd, live.domid), &live.guest, &err), 0);
    live_daemon_start();
    return 0;
}

int live_teardown(void **state)
{
    if (live.daemon > 0)
        assert_int_equal(live_daemon_stop(SIGTERM), 0);
    hv_store_close(live.guest);
    hv_store_close(live.dom0);
    assert_int_equal(loopd_stop(&live.loopd), 0);
    return 0;
}

void live_put(struct hv_store *st, const char *dir, const char *leaf, const char *value)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, leaf);
    assert_int_equal(hv_store_write(st, 0, path, value), 0);
}

/* One transaction, as libxl does it: the guest owns its directory and may read ours. */
static int attach_once(hv_tx tx, const char *back, const char *front, const char *target)
{
    const char *const nodes[][2] = {{"online", "1"},    {"dev", "xvda"},
                                    {"mode", "w"},      {"device-type", "disk"},
                                    {"removable", "0"}, {"physical-device-path", target}};
    char path[256];
    int err = hv_store_mkdir(live.dom0, tx, front);

    if (!err)
        err = hv_store_set_perms(live.dom0, tx, front, live.domid, 0);
    snprintf(path, sizeof(path), "%s/state", front);
    if (!err)
        err = hv_store_write(live.dom0, tx, path, "1");
    if (!err)
        err = hv_store_mkdir(live.dom0, tx, back);
    if (!err)
        err = hv_store_set_perms(live.dom0, tx, back, 0, live.domid);
    snprintf(path, sizeof(path), "%s/frontend", back);
    if (!err)
        err = hv_store_write(live.dom0, tx, path, front);
    snprintf(path, sizeof(path), "%s/frontend-id", back);
    if (!err)
        err = hv_store_printf(live.dom0, tx, path, "%u", live.domid);
    for (unsigned i = 0; i < COUNT(nodes) && !err; i++) {
        if (!nodes[i][1])
            continue;
        snprintf(path, sizeof(path), "%s/%s", back, nodes[i][0]);
        err = hv_store_write(live.dom0, tx, path, nodes[i][1]);
    }
    snprintf(path, sizeof(path), "%s/state", back);
    return err ? err : hv_store_write(live.dom0, tx, path, "1");
}

void live_attach(uint32_t devid, const char *target)
{
    char back[64], front[64];
    int err;

    snprintf(back, sizeof(back), "backend/vbd/%u/%u", live.domid, devid);
    snprintf(front, sizeof(front), "/local/domain/%u/device/vbd/%u", live.domid, devid);
    do {
        hv_tx tx;
        assert_int_equal(hv_store_begin(live.dom0, &tx), 0);
        assert_int_equal(attach_once(tx, back, front, target), 0);
        err = hv_store_commit(live.dom0, tx);
    } while (err == -EAGAIN);
    assert_int_equal(err, 0);
}

void live_front_nodes(void)
{
    live_put(live.guest, live.front, "event-channel", "7");
    live_put(live.guest, live.front, "ring-ref", "8");
    live_put(live.guest, live.front, "protocol", "x86_64-abi");
    live_put(live.guest, live.front, "feature-persistent", "1");
}

void live_front(const char *state)
{
    live_put(live.guest, live.front, "state", state);
}

void live_wait_state(const char *dir, const char *state)
{
    char path[256], value[16] = "", token[16];

    snprintf(path, sizeof(path), "%s/state", dir);
    assert_int_equal(hv_store_watch(live.dom0, path, "live"), 0);
    for (;;) {
        struct pollfd p = {.fd = hv_store_fd(live.dom0), .events = POLLIN};
        char event[256];
        int n = hv_store_read(live.dom0, 0, path, value, sizeof(value));
        if (n >= 0 && strcmp(value, state) == 0)
            break;
        if (poll(&p, 1, HANG_MS) <= 0)
            fail_msg("%s is '%s' and does not become %s", path, value, state);
        while (hv_store_next_watch(live.dom0, event, sizeof(event), token, sizeof(token)) == 1)
            ;
    }
    hv_store_unwatch(live.dom0, path, "live");
}

void live_connect(void)
{
    live_attach(51712, "null:1M");
    live_wait_state(live.back, "2");
    live_front_nodes();
    live_front("3");
    live_wait_state(live.back, "4");
    live_front("4");
}

struct json_object *live_ask(const char *request)
{
    static char answer[1 << 20];
    size_t have = 0;
    int fd = msg_connect(live.socket, SOCK_STREAM);

    if (fd < 0)
        return NULL;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
        send(fd, "\n", 1, MSG_NOSIGNAL);
    for (ssize_t n; (n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0)) > 0;)
        have += (size_t)n;
    close(fd);
    answer[have] = '\0';
    return have ? json_tokener_parse(answer) : NULL;
}

const char *live_disk(const char *key)
{
    static char text[1024];
    struct json_object *o = live_ask("{\"cmd\":\"list\"}"), *disks, *disk, *value = NULL;

    text[0] = '\0';
    assert_true(json_object_object_get_ex(o, "disks", &disks));
    disk = json_object_array_get_idx(disks, 0);
    if (disk && json_object_object_get_ex(disk, key, &value) && value)
        snprintf(text, sizeof(text), "%s", json_object_get_string(value));
    json_object_put(o);
    return text;
}

uint64_t live_daemon_rss(void)
{
    char path[64], line[128];
    unsigned long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)live.daemon);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "VmRSS: %lu", &kib) == 1)
            break;
    }
    if (f)
        fclose(f);
    return (uint64_t)kib << 10;
}

unsigned live_daemon_fds(void)
{
    char path[64];
    unsigned n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)live.daemon);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}
