/* SPDX-License-Identifier: MIT
 *
 * Clients of several domains talk to loopd's store, well and badly. Every request that is whole is
 * answered once, with its own id; a guest neither reads nor changes what is domain 0's; nothing
 * stays when all have gone.
 *
 * Input: records, each a client and a message that is built from words, or bytes as they are.
 * Threads: one.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopd/store_impl.h"
#include "sockets.h"

#define CLIENTS     4
#define RECORDS_MAX 200
#define SECRET      "sixteen-secrets!"

static struct client {
    int fd;
    uint32_t domid;
    bool raw;    /* sent bytes that are no message */
    bool awaits; /* one answer is due */
    struct xsd_sockmsg asked;
    uint32_t tx; /* last one it was given */
    uint8_t in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    size_t have;
} clients[CLIENTS];

static struct server srv;
static bool trusted_spoke; /* domain 0 sent fuzz: it may have given anything to anybody */

static void got(struct client *c, const struct xsd_sockmsg *m, const uint8_t *body)
{
    CHECK(c->domid == 0 || trusted_spoke || !memmem(body, m->len, SECRET, sizeof(SECRET) - 1));
    if (m->type == XS_WATCH_EVENT) {
        CHECK(m->len > 1 && body[m->len - 1] == '\0');
        return;
    }
    if (c->raw)
        return;
    CHECK(c->awaits && m->req_id == c->asked.req_id);
    CHECK(m->type == c->asked.type || m->type == XS_ERROR);
    c->awaits = false;
    if (m->type == XS_TRANSACTION_START)
        c->tx = (uint32_t)strtoul((const char *)body, NULL, 10);
}

static void hear(struct client *c)
{
    for (;;) {
        struct xsd_sockmsg m = {0};
        size_t want = sizeof(m);
        if (c->have >= sizeof(m)) {
            memcpy(&m, c->in, sizeof(m));
            CHECK(m.len <= XENSTORE_PAYLOAD_MAX);
            want += m.len;
        }
        if (c->have >= sizeof(m) && c->have == want) {
            c->have = 0;
            got(c, &m, c->in + sizeof(m));
            continue;
        }
        ssize_t n = recv(c->fd, c->in + c->have, want - c->have, 0);
        if (n < 0)
            return;
        if (n == 0) {
            CHECK(c->raw || trusted_spoke); /* who keeps to the protocol is not turned away */
            c->raw = true;
            return;
        }
        c->have += (size_t)n;
    }
}

static void join(struct client *c)
{
    char name[32] = "xenstored.sock";
    uint32_t domid = c->domid;

    if (!store_listener(srv.store, domid)) { /* domain 0 has released it */
        c->fd = -1;
        return;
    }
    if (domid)
        snprintf(name, sizeof(name), "store-%u.sock", domid);
    *c = (struct client){.domid = domid, .fd = rig_connect_to(srv.loop, name, SOCK_STREAM)};
}

static void serve_all(void)
{
    rig_serve(srv.loop);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i].fd >= 0)
            hear(&clients[i]);
}

static void say(struct client *c, uint32_t type, uint32_t tx, const void *body, uint32_t len)
{
    static uint32_t id;
    struct xsd_sockmsg m = {.type = type, .req_id = ++id, .tx_id = tx, .len = len};
    uint8_t bytes[sizeof(m) + XENSTORE_PAYLOAD_MAX];

    memcpy(bytes, &m, sizeof(m));
    memcpy(bytes + sizeof(m), body, len);
    if (send(c->fd, bytes, sizeof(m) + len, MSG_NOSIGNAL) != (ssize_t)(sizeof(m) + len)) {
        c->raw = true;
        return;
    }
    c->awaits = true;
    c->asked = m;
    serve_all();
    CHECK(c->raw || !c->awaits);
}

/* ---- Messages out of words ---- */

static const char *const words[] = {"/",
                                    "/local",
                                    "/local/domain",
                                    "/local/domain/1",
                                    "/local/domain/1/device/vbd/768/state",
                                    "/local/domain/2/x",
                                    "device/vbd",
                                    "device/vbd/768",
                                    "x",
                                    "x/y/z",
                                    "/secret",
                                    "/tool",
                                    "@introduceDomain",
                                    "@releaseDomain",
                                    "@",
                                    "",
                                    "//",
                                    "/x/",
                                    "x y",
                                    "4",
                                    "T",
                                    "F",
                                    "r0",
                                    "w1",
                                    "b2",
                                    "n0",
                                    "n1",
                                    "r1",
                                    "0",
                                    "1",
                                    "2",
                                    "token",
                                    "4294967295",
                                    "-1",
                                    "/local/domain/1/data",
                                    "backend/vbd/1/768/state"};
#define NR_WORDS (sizeof(words) / sizeof(words[0]))

static uint32_t build(struct input *in, char *body)
{
    unsigned n = take8(in);
    uint32_t len = 0;

    for (unsigned i = 0; i < (n & 7); i++) {
        uint8_t w = take8(in);
        if (w < NR_WORDS) {
            size_t bytes = strlen(words[w]) + !(n & 0x80 && i + 1 == (n & 7));
            memcpy(body + len, words[w], bytes);
            len += (uint32_t)bytes;
        } else if (w < 0xc0) { /* bytes of the input's own */
            take(in, body + len, w & 15);
            len += w & 15;
            body[len++] = '\0';
        } else { /* a long one */
            uint32_t bytes = (w & 63u) * 16 + 200;
            memset(body + len, "a/0\0"[w & 3], bytes);
            len += bytes;
            body[len++] = '\0';
        }
        if (len > 2400)
            break;
    }
    return len;
}

static void record(struct input *in)
{
    uint8_t how = take8(in);
    struct client *c = &clients[how & 3];
    char body[XENSTORE_PAYLOAD_MAX];

    if (c->fd < 0)
        join(c);
    if (c->fd < 0)
        return;
    trusted_spoke |= c->domid == 0;
    if ((how & 0xf0) == 0xf0) {
        close(c->fd);
        c->fd = -1;
        serve_all();
    } else if ((how & 0xf0) == 0xe0) {
        size_t n = take8(in);
        take(in, body, n);
        c->raw = true;
        if (send(c->fd, body, n, MSG_NOSIGNAL) > 0)
            serve_all();
    } else if (!c->raw) {
        uint32_t type = take8(in) % (XS_TYPE_COUNT + 2);
        uint32_t tx = how & 0x10 ? c->tx : how & 0x20 ? take8(in) : 0;
        uint32_t len = build(in, body);
        say(c, type, tx, body, len);
    } else {
        close(c->fd);
        join(c);
    }
}

/* ---- The store's own life ---- */

static void tell(struct client *c, uint32_t type, const char *path, const char *rest, size_t n)
{
    char body[256];
    size_t len = strlen(path) + 1;

    memcpy(body, path, len);
    memcpy(body + len, rest, n);
    say(c, type, 0, body, (uint32_t)(len + n));
}

static void populate(struct client *c)
{
    tell(c, XS_WRITE, "/secret", SECRET, sizeof(SECRET) - 1);
    tell(c, XS_SET_PERMS, "/secret", "n0", 3);
    tell(c, XS_MKDIR, "/local/domain/1", "", 0);
    tell(c, XS_SET_PERMS, "/local/domain/1", "n1", 3);
    tell(c, XS_MKDIR, "/local/domain/2", "", 0);
    tell(c, XS_SET_PERMS, "/local/domain/2", "n2\0r1", 6);
    tell(c, XS_WRITE, "/tool", "1", 1);
    tell(c, XS_SET_PERMS, "/tool", "r0", 3);
}

static bool unchanged(void)
{
    const struct node *n = tree_get(&srv.store->tree, "/secret");

    return n && n->len == sizeof(SECRET) - 1 && !memcmp(n->value, SECRET, n->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t domids[CLIENTS] = {1, 1, 2, 0};
    struct input in = {data, size};

    if (!srv.loop) {
        CHECK(loop_create(&srv.loop) == 0);
        srv.dir = "/nonexistent";
    }
    int before = rig_next_descriptor();
    trusted_spoke = false;
    CHECK(store_open(&srv, &srv.store) == 0);
    for (unsigned d = 0; d < 3; d++)
        CHECK(store_domain_new(srv.store, d) == 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].domid = domids[i];
        join(&clients[i]);
    }
    populate(&clients[3]);
    for (unsigned n = 0; in.left && n < RECORDS_MAX; n++)
        record(&in);
    CHECK(trusted_spoke || unchanged());
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i].fd >= 0)
            close(clients[i].fd);
    rig_serve(srv.loop);
    CHECK(!srv.store->conns);
    store_close(srv.store);
    CHECK(rig_next_descriptor() == before);
    return 0;
}
