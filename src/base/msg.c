/* SPDX-License-Identifier: MIT
 *
 * Seqpacket messages with descriptors, and Unix sockets. Threads: any; no state.
 */
#include "base/msg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
};

int msg_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control;

    if (nfds > MSG_FDS_MAX)
        return -EINVAL;
    if (nfds) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    for (;;) {
        ssize_t n = sendmsg(sock, &m, MSG_NOSIGNAL);
        if (n >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static size_t take_fds(struct msghdr *m, int *fds)
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (count < MSG_FDS_MAX)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

int msg_recv(int sock, void *buf, size_t cap, int *fds, size_t *nfds)
{
    struct iovec iov = {.iov_base = buf, .iov_len = cap};
    union control control;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n;

    *nfds = 0;
    do
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *nfds = take_fds(&m, fds);
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < *nfds; i++)
            close(fds[i]);
        *nfds = 0;
        return -EMSGSIZE;
    }
    return (int)n;
}

int msg_pair(int socks[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) ? -errno : 0;
}

static int address(const char *path, struct sockaddr_un *sa)
{
    memset(sa, 0, sizeof(*sa));
    sa->sun_family = AF_UNIX;
    size_t len = strlen(path);
    if (len >= sizeof(sa->sun_path))
        return -ENAMETOOLONG;
    memcpy(sa->sun_path, path, len + 1);
    return 0;
}

int msg_connect(const char *path, int type)
{
    struct sockaddr_un sa;
    int err = address(path, &sa);

    if (err)
        return err;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int msg_listen(const char *path, int type, unsigned mode)
{
    struct sockaddr_un sa;
    int err = address(path, &sa);

    if (err)
        return err;
    int live = msg_connect(path, type & ~SOCK_NONBLOCK);
    if (live >= 0) {
        close(live);
        return -EADDRINUSE;
    }
    if (live == -EPROTOTYPE)
        return -EADDRINUSE;
    struct stat st;
    /* Refused: a socket left by a dead process. Or no socket at all, which is not ours to remove.
     */
    if (live == -ECONNREFUSED && !lstat(path, &st) && S_ISSOCK(st.st_mode))
        unlink(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* The file is made with the right mode from the start: no moment in which others may connect.
     */
    mode_t old = umask(0777 & ~mode);
    int ret = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    err = ret ? -errno : 0;
    umask(old);
    if (!err && listen(fd, 64))
        err = -errno;
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}
