/* SPDX-License-Identifier: MIT
 *
 * blkbackd-vbd: serves one disk for blkbackd, which starts it. Descriptor 3 is the daemon's socket.
 */
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static void on_socket(void *arg, uint32_t events)
{
    struct worker *w = arg;

    (void)events;
    if (!control_receive(w))
        loop_stop(w->loop);
}

static void on_rings(void *arg, uint32_t events)
{
    struct worker *w = arg;
    uint64_t count;

    (void)events;
    if (read(w->event_fd, &count, sizeof(count)) > 0)
        control_rings_changed(w);
}

static bool is_seqpacket(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);

    return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

static int prepare(struct worker *w)
{
    int err = loop_create(&w->loop);

    if (err)
        return err;
    w->sock = VBD_SOCKET_FD;
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->event_fd < 0)
        return -errno;
    /* A service manager and a terminal signal the whole group; when to end is the daemon's word, or
     * the end of its socket. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    err = loop_add_fd(w->loop, w->event_fd, EPOLLIN, on_rings, w, NULL);
    if (!err)
        err = loop_add_fd(w->loop, w->sock, EPOLLIN, on_socket, w, NULL);
    return err;
}

int main(int argc, char **argv)
{
    static struct worker w;
    char ident[64];

    if (argc == 2 && !strcmp(argv[1], "--version")) {
        printf("blkbackd-vbd %s\n", BLKBACKD_VERSION);
        return 0;
    }
    /* argv[1]: the disk's name, "<domid>:<dev>", for the log and for ps. */
    snprintf(ident, sizeof(ident), "blkbackd-vbd %.40s", argc > 1 ? argv[1] : "?");
    log_open(ident, LOG_LEVEL_INFO);
    if (!is_seqpacket(VBD_SOCKET_FD)) {
        fprintf(stderr, "blkbackd-vbd: this program is started by blkbackd for each disk; it is of "
                        "no use by itself. See blkbackd(8).\n");
        return 2;
    }
    int err = prepare(&w);
    if (err) {
        log_error("cannot start: %s", strerror(-err));
        return 1;
    }
    err = loop_run(w.loop);
    vbd_disconnect_rings(&w);
    vbd_release(&w);
    loop_destroy(w.loop);
    return err ? 1 : 0;
}
