/* SPDX-License-Identifier: MIT
 *
 * The worker's conversation with the daemon (base/vbdmsg.h). Thread: control.
 */
#include "worker/worker.h"

#include <string.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/log.h"
#include "base/msg.h"

static struct vbd_head head_of(enum vbd_msg_type type, size_t bytes)
{
    return (struct vbd_head){VBD_MSG_MAGIC, VBD_MSG_VERSION, type, (uint32_t)bytes};
}

static void say(struct worker *w, enum vbd_msg_type type)
{
    struct vbd_head m = head_of(type, sizeof(m));

    msg_send(w->sock, &m, sizeof(m), NULL, 0);
}

static void say_failed(struct worker *w, int err, const struct errmsg *why)
{
    struct vbd_failed m = {.head = head_of(VBD_FAILED, sizeof(m)), .err = err, .why = *why};

    /* The daemon logs it, within the disk's limit: a guest can cause this as often as it likes. */
    msg_send(w->sock, &m, sizeof(m), NULL, 0);
}

static void answer(struct worker *w, int err, const struct errmsg *why, enum vbd_msg_type ok)
{
    if (err)
        say_failed(w, err, why);
    else
        say(w, ok);
}

static bool on_setup(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    struct errmsg err = {""};
    int ret;

    if (w->engine || w->hv || w->stats) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        ret = errmsg_set(&err, -EALREADY, "this worker has its disk already");
    } else {
        ret = vbd_setup_disk(w, msg, fds, nfds, &err);
    }
    answer(w, ret, &err, VBD_READY);
    return true;
}

static bool on_connect(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    struct errmsg err = {""};

    (void)fds;
    (void)nfds;
    answer(w, vbd_connect_rings(w, msg, &err), &err, VBD_CONNECTED);
    return true;
}

static bool on_disconnect(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    (void)msg;
    (void)fds;
    (void)nfds;
    vbd_disconnect_rings(w);
    say(w, VBD_DISCONNECTED);
    return true;
}

/* Answered once every ring is at rest; a disk without rings is. */
static void answer_pause(struct worker *w)
{
    if (!w->pausing)
        return;
    for (uint32_t i = 0; i < w->nr_rings; i++)
        if (!ring_resting(w->rings[i]))
            return;
    w->pausing = false;
    say(w, VBD_PAUSED);
}

static bool on_pause(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    (void)msg;
    (void)fds;
    (void)nfds;
    w->pausing = true;
    for (uint32_t i = 0; i < w->nr_rings; i++)
        ring_pause(w->rings[i], true);
    answer_pause(w);
    return true;
}

static bool on_resume(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    (void)msg;
    (void)fds;
    (void)nfds;
    w->pausing = false;
    for (uint32_t i = 0; i < w->nr_rings; i++)
        ring_pause(w->rings[i], false);
    say(w, VBD_RESUMED);
    return true;
}

static bool on_quit(struct worker *w, const void *msg, const int *fds, size_t nfds)
{
    (void)w;
    (void)msg;
    (void)fds;
    (void)nfds;
    return false;
}

/* What the daemon may say: the size of the message, whether descriptors come with it, what it does.
 */
static const struct message {
    enum vbd_msg_type type;
    size_t bytes;
    bool with_fds;
    bool (*handle)(struct worker *w, const void *msg, const int *fds, size_t nfds);
} messages[] = {
    {VBD_SETUP, sizeof(struct vbd_setup), true, on_setup},
    {VBD_CONNECT, sizeof(struct vbd_connect), false, on_connect},
    {VBD_DISCONNECT, sizeof(struct vbd_head), false, on_disconnect},
    {VBD_QUIT, sizeof(struct vbd_head), false, on_quit},
    {VBD_PAUSE, sizeof(struct vbd_head), false, on_pause},
    {VBD_RESUME, sizeof(struct vbd_head), false, on_resume},
};

static const struct message *find_message(const void *buf, size_t len)
{
    struct vbd_head head;

    if (len < sizeof(head))
        return NULL;
    memcpy(&head, buf, sizeof(head));
    if (head.magic != VBD_MSG_MAGIC || head.version != VBD_MSG_VERSION || head.bytes != len)
        return NULL;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        if (messages[i].type == head.type && messages[i].bytes == len)
            return &messages[i];
    return NULL;
}

bool control_receive(struct worker *w)
{
    static _Alignas(8) unsigned char buf[sizeof(struct vbd_connect) > sizeof(struct vbd_setup)
                                             ? sizeof(struct vbd_connect)
                                             : sizeof(struct vbd_setup)];
    int fds[MSG_FDS_MAX];
    size_t nfds;
    int len = msg_recv(w->sock, buf, sizeof(buf), fds, &nfds);

    if (len <= 0)
        return len == -EAGAIN; /* else the daemon is gone: finish and end */
    const struct message *m = find_message(buf, (size_t)len);
    if (!m || (nfds && !m->with_fds)) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        log_error("a message of the daemon is not of this version: blkbackd and blkbackd-vbd must "
                  "come from the same build");
        return false;
    }
    return m->handle(w, buf, fds, nfds);
}

static void tell_halted(struct worker *w)
{
    for (uint32_t i = 0; i < w->nr_rings; i++) {
        uint32_t reason = (uint32_t)READ_ONCE(w->stats->ring[i].halted);
        if (!reason || w->halt_told[i])
            continue;
        w->halt_told[i] = true;
        struct vbd_halted m = {.head = head_of(VBD_HALTED, sizeof(m)), .ring = i, .reason = reason};
        errmsg_set(&m.why, 0, "ring %u was stopped: %s", i,
                   reason == RING_HALT_OVERFLOW ? "the guest's request index is impossible"
                                                : "its io_uring or event channel failed");
        msg_send(w->sock, &m, sizeof(m), NULL, 0);
    }
}

void control_rings_changed(struct worker *w)
{
    tell_halted(w);
    answer_pause(w);
}
