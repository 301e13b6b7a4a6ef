/* SPDX-License-Identifier: MIT
 *
 * See sockets.h. Threads: one.
 */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"

#define LISTENERS_MAX 64

__typeof__(msg_listen) __wrap_msg_listen;
__typeof__(accept4) __wrap_accept4;

/* An eventfd stands for the listening socket: readable while somebody wants in. */
static struct {
    int fd, waiting;
    char name[64];
} listeners[LISTENERS_MAX];

int __wrap_msg_listen(const char *path, int type, unsigned mode)
{
    const char *name = strrchr(path, '/');

    CHECK(name && mode == 0600 && (type & SOCK_NONBLOCK));
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    unsigned i = 0;
    while (listeners[i].name[0] && strcmp(listeners[i].name, name + 1) != 0)
        CHECK(++i < LISTENERS_MAX);
    CHECK(fd >= 0);
    listeners[i].fd = fd;
    listeners[i].waiting = -1;
    snprintf(listeners[i].name, sizeof(listeners[i].name), "%s", name + 1);
    return fd;
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
    uint64_t n;

    (void)sa;
    (void)len;
    (void)flags;
    if (read(fd, &n, sizeof(n)) != sizeof(n))
        return -1;
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        if (listeners[i].fd == fd && listeners[i].waiting >= 0)
            return listeners[i].waiting;
    return -1;
}

int rig_connect_to(struct loop *loop, const char *name, int type)
{
    uint64_t one = 1;
    int pair[2];

    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (strcmp(listeners[i].name, name) != 0)
            continue;
        CHECK(!socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        listeners[i].waiting = pair[1];
        CHECK(write(listeners[i].fd, &one, sizeof(one)) == sizeof(one));
        rig_serve(loop);
        listeners[i].waiting = -1;
        return pair[0];
    }
    return -1;
}

void rig_serve(struct loop *loop)
{
    for (unsigned i = 0; i < 3; i++)
        CHECK(loop_run_once(loop, 0) >= 0);
}

int rig_next_descriptor(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    CHECK(fd >= 0);
    close(fd);
    return fd;
}
