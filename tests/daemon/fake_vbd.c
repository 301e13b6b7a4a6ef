/* SPDX-License-Identifier: MIT
 *
 * A program in blkbackd-vbd's place, without a data path: speaks base/vbdmsg.h, and misbehaves as
 * the environment's FAKE_VBD says. Threads: one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/stats.h"
#include "base/vbdmsg.h"

static const char *mode;

static int is(const char *what)
{
    return strcmp(mode, what) == 0;
}

static void say(uint32_t type)
{
    struct vbd_head head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, type, sizeof(head)};

    msg_send(VBD_SOCKET_FD, &head, sizeof(head), NULL, 0);
}

static void say_failed(void)
{
    struct vbd_failed m = {.head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_FAILED, sizeof(m)},
                           .err = -ENODEV};

    memset(m.why.text, '\033', sizeof(m.why.text)); /* not even terminated */
    memcpy(m.why.text, "no device", 9);
    msg_send(VBD_SOCKET_FD, &m, sizeof(m), NULL, 0);
}

static void say_halted(uint32_t ring)
{
    struct vbd_halted m = {
        .head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_HALTED, sizeof(m)}, .ring = ring, .reason = 1};

    snprintf(m.why.text, sizeof(m.why.text), "indices");
    msg_send(VBD_SOCKET_FD, &m, sizeof(m), NULL, 0);
}

/* An answer that is wrong in one way. */
static void say_wrong(void)
{
    struct vbd_head head = {VBD_MSG_MAGIC, VBD_MSG_VERSION, VBD_READY, sizeof(head)};
    size_t len = sizeof(head);
    int fd = 0;

    if (is("bad-magic"))
        head.magic++;
    else if (is("bad-version"))
        head.version++;
    else if (is("bad-type"))
        head.type = 77;
    else if (is("bad-length"))
        head.bytes++;
    else if (is("short"))
        len = 8;
    msg_send(VBD_SOCKET_FD, &head, len, &fd, is("with-fd"));
    pause();
}

static void on_setup(const int *fds, size_t nfds)
{
    if (is("exit-7"))
        _exit(7);
    if (is("silent"))
        return;
    if (is("refuse")) {
        say_failed();
        return;
    }
    if (is("close")) {
        close(VBD_SOCKET_FD);
        pause();
    }
    if (!strncmp(mode, "bad-", 4) || is("short") || is("with-fd"))
        say_wrong();
    if (is("wrong-answer"))
        say(VBD_CONNECTED);
    say(VBD_READY);
    if (is("unasked"))
        say(VBD_CONNECTED);
}

static void on_connect(void)
{
    if (is("die-on-connect"))
        abort();
    say(VBD_CONNECTED);
    if (is("halt")) {
        say_halted(0);
        say_halted(VBD_RINGS_MAX); /* there is no such ring */
    }
}

int main(void)
{
    static char buf[8192];
    int fds[MSG_FDS_MAX];
    size_t nfds;

    mode = getenv("FAKE_VBD") ? getenv("FAKE_VBD") : "";
    while (msg_recv(VBD_SOCKET_FD, buf, sizeof(buf), fds, &nfds) > 0) {
        const struct vbd_head *head = (const void *)buf;
        if (head->type == VBD_SETUP) {
            on_setup(fds, nfds);
        } else if (head->type == VBD_CONNECT) {
            on_connect();
        } else if (head->type == VBD_DISCONNECT) {
            if (is("refuse-disconnect"))
                say_failed();
            if (!is("hang-disconnect"))
                say(VBD_DISCONNECTED);
        } else if (head->type == VBD_QUIT) {
            if (is("hang-quit"))
                pause();
            return 0;
        }
    }
    if (is("linger"))
        pause(); /* as one whose storage hangs */
    return 0;
}
