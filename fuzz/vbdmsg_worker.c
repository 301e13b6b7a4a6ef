/* SPDX-License-Identifier: MIT
 *
 * The worker's end: it trusts the daemon, but not so far that a message of another build, or one
 * too short, could do more than end it. Rings and hypervisor are stood in for. Threads: one.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/stats.h"
#include "vbdmsg.h"
#include "worker/worker.h"

#define MESSAGES_MAX 40
#define RINGS_MAX    128

__typeof__(hv_open) __wrap_hv_open;
__typeof__(hv_close) __wrap_hv_close;
__typeof__(ring_start) __wrap_ring_start;
__typeof__(ring_stop) __wrap_ring_stop;
__typeof__(ring_pause) __wrap_ring_pause;
__typeof__(ring_resting) __wrap_ring_resting;
__typeof__(ring_resize) __wrap_ring_resize;
__typeof__(ring_destroy) __wrap_ring_destroy;

static unsigned rings, starts_that_work;
static char one_hv;

int __wrap_hv_open(const char *spec, struct hv **out, struct errmsg *err)
{
    CHECK(strnlen(spec, VBD_HV_SPEC_MAX) < VBD_HV_SPEC_MAX);
    if (spec[0] == 'x')
        return errmsg_set(err, -ENOENT, "no hypervisor today");
    *out = (struct hv *)(void *)&one_hv;
    return 0;
}

void __wrap_hv_close(struct hv *hv)
{
    CHECK(!hv || hv == (struct hv *)(void *)&one_hv);
}

int __wrap_ring_start(const struct ring_config *c, struct ring **out, struct errmsg *err)
{
    CHECK(c->nr_refs >= 1 && c->nr_refs <= BLKIF_RING_PAGES_MAX &&
          !(c->nr_refs & (c->nr_refs - 1)));
    CHECK(c->abi < BLKIF_ABIS && c->index < VBD_RINGS_MAX && c->gate && c->stats && c->engine);
    CHECK(strnlen(c->thread_name, sizeof(c->thread_name)) < sizeof(c->thread_name));
    if (!starts_that_work)
        return errmsg_set(err, -EINVAL, "no ring today");
    starts_that_work--;
    CHECK(rings++ < RINGS_MAX);
    *out = malloc(1);
    return 0;
}

void __wrap_ring_stop(struct ring *ring)
{
    CHECK(ring);
}

void __wrap_ring_pause(struct ring *ring, bool on)
{
    CHECK(ring && (on || !on));
}

bool __wrap_ring_resting(const struct ring *ring)
{
    CHECK(ring);
    return true;
}

void __wrap_ring_resize(struct ring *ring, uint64_t sectors)
{
    CHECK(ring && sectors);
}

void __wrap_ring_destroy(struct ring *ring)
{
    CHECK(rings-- > 0);
    free(ring);
}

static int stats_fd(bool good)
{
    struct stats_page page = {.magic = STATS_MAGIC, .version = STATS_VERSION};
    int fd = memfd_create("stats", MFD_CLOEXEC);

    CHECK(fd >= 0);
    CHECK(write(fd, &page, good ? sizeof(page) : 16) > 0);
    return fd;
}

static void good_setup(struct vbd_setup *s, uint8_t how)
{
    struct engine_desc desc = {.info = {.size_bytes = 1 << 20,
                                        .logical_block = 512,
                                        .physical_block = 4096,
                                        .can_flush = true},
                               .nr_fds = 0};

    snprintf(desc.engine, sizeof(desc.engine), "%s", how & 1 ? "null" : "uring");
    snprintf(s->hv, sizeof(s->hv), "%s", how & 2 ? "loop:/nonexistent" : "xen");
    s->engine_desc_bytes = sizeof(desc);
    memcpy(s->engine_desc, &desc, sizeof(desc));
}

static void good_connect(struct vbd_connect *c, uint8_t how)
{
    c->abi = how & 1;
    c->persistent = how >> 1 & 1;
    c->nr_rings = 1 + (how >> 2 & 3);
    for (unsigned i = 0; i < c->nr_rings; i++)
        c->ring[i].nr_refs = 1u << (how >> 4 & 3);
}

static void say(struct input *in, int sock)
{
    static const uint32_t types[] = {VBD_SETUP,  VBD_CONNECT, VBD_DISCONNECT, VBD_PAUSE,
                                     VBD_RESUME, VBD_QUIT,    VBD_READY,      0};
    union any_message m;
    size_t len = take_message(in, &m, types, sizeof(types) / sizeof(types[0]));
    uint8_t how = take8(in);
    int fds[3];
    size_t nfds = how & 3;

    if ((how & 0x80) && m.head.type == VBD_SETUP)
        good_setup(&m.setup, how >> 2);
    if ((how & 0x80) && m.head.type == VBD_CONNECT)
        good_connect(&m.connect, take8(in));
    if ((how & 0x80) && m.head.type != VBD_SETUP)
        nfds = 0;
    for (size_t i = 0; i < nfds; i++)
        fds[i] = stats_fd(!(how & 0x40));
    starts_that_work = how >> 3 & 7;
    msg_send(sock, &m, len, fds, nfds);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

/* Everything it says is whole. False: its set-up failed, and a daemon would end it. */
static bool listen_to(int sock, const struct worker *w)
{
    bool failed = false;

    union any_message m;
    int fds[MSG_FDS_MAX];
    size_t nfds;
    int len;

    while ((len = msg_recv(sock, &m, sizeof(m), fds, &nfds)) > 0) {
        CHECK(nfds == 0 && len >= (int)sizeof(m.head) && m.head.bytes == (uint32_t)len);
        CHECK(m.head.magic == VBD_MSG_MAGIC && m.head.type >= VBD_READY);
        failed |= m.head.type == VBD_FAILED;
    }
    return !failed || (w->engine && w->hv);
}

void worker_hears(struct input *in)
{
    static struct cache_table table;
    struct worker *w = calloc(1, sizeof(*w));
    bool goes_on = true;
    int pair[2];

    CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
    w->sock = pair[0];
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned n = 0; in->left && n < MESSAGES_MAX && goes_on; n++) {
        say(in, pair[1]);
        goes_on = control_receive(w);
        goes_on &= listen_to(pair[1], w);
        CHECK(rings == w->nr_rings);
    }
    vbd_disconnect_rings(w);
    vbd_release(w);
    CHECK(rings == 0);
    cache_table_use(&table);
    if (w->stats)
        munmap(w->stats, sizeof(*w->stats));
    close(w->event_fd);
    close(pair[0]);
    close(pair[1]);
    free(w);
}
