/* SPDX-License-Identifier: MIT
 *
 * Clients of hv.sock: messages of src/hv/loop/wire.h in any order with any contents, while the
 * guests write into the memory they share with the server. Each whole request gets one answer of
 * its length; when all clients have gone, nothing of theirs is left.
 *
 * Input: records, each a client and a message, or a write into shared memory. Threads: one.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "loopd/store.h"
#include "sockets.h"

#define CLIENTS     4
#define RECORDS_MAX 200
#define PAGES       64u
#define CREATES_MAX 3
#define REFS_SEEN   256u /* where references of so small domains lie */

static int clients[CLIENTS];
static struct server srv;
static unsigned creates;

static uint32_t small(struct input *in)
{
    uint8_t v = take8(in);

    return v < 0xf0 ? v % 40 : v < 0xf8 ? v : take32(in);
}

static void answered(int fd, const struct loop_head *q, bool well_formed)
{
    static union {
        struct loop_head head;
        unsigned char bytes[8192];
    } a;
    int fds[MSG_FDS_MAX];
    size_t nfds;

    rig_serve(srv.loop);
    int n = msg_recv(fd, &a, sizeof(a), fds, &nfds);
    if (n <= 0) {
        CHECK(!well_formed);
        return;
    }
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
    CHECK(well_formed && a.head.magic == LOOP_MAGIC && a.head.op == q->op && a.head.err <= 0);
    CHECK(a.head.bytes == (uint32_t)n);
    CHECK((uint32_t)n == (a.head.err ? sizeof(a.head) : loop_rsp_bytes(q->op)));
    CHECK(!a.head.err || nfds == 0);
}

static void join(unsigned i, struct input *in)
{
    struct loop_hello_req hello = {{LOOP_MAGIC, LOOP_HELLO, sizeof(hello), 0}, LOOP_VERSION, i % 3};

    clients[i] = rig_connect_to(srv.loop, "hv.sock", SOCK_SEQPACKET);
    CHECK(clients[i] >= 0);
    if (in && take8(in) < 16)
        hello.domid = small(in);
    msg_send(clients[i], &hello, sizeof(hello), NULL, 0);
    answered(clients[i], &hello.head, true);
}

/* Words that mean something, mostly. */
static uint32_t fill(struct input *in, uint32_t op, unsigned char *body, uint32_t bytes)
{
    uint32_t words = bytes / 4;

    for (uint32_t i = 0; i < words; i++) {
        uint32_t v = i < 12 || !(i & 31) ? small(in) : 8 + i % 64;
        if (op == LOOP_MAP && i == 1)
            v &= 1;
        memcpy(body + i * 4, &v, 4);
    }
    return words;
}

static void message(unsigned i, struct input *in)
{
    union {
        struct loop_head head;
        unsigned char bytes[8192];
    } q = {.head = {.magic = LOOP_MAGIC}};
    uint8_t how = take8(in);

    q.head.op = how % (LOOP_OP_COUNT + 1);
    uint32_t len = loop_req_bytes(q.head.op);
    if (!len || how >= 0xf0)
        len = 1 + take16(in) % 2048;
    q.head.bytes = len;
    if (len > sizeof(q.head))
        fill(in, q.head.op, q.bytes + sizeof(q.head), len - sizeof(q.head));
    if (how >= 0xf8)
        q.bytes[take8(in) % (len < 16 ? len : 16)] ^= take8(in);
    if (q.head.op == LOOP_CREATE && ++creates > CREATES_MAX)
        return;
    bool good = len == loop_req_bytes(q.head.op) && q.head.magic == LOOP_MAGIC &&
                q.head.bytes == len && len > 0;
    int fd = good && take8(in) < 8 ? STDERR_FILENO : -1;
    if (msg_send(clients[i], &q, len, &fd, fd >= 0) == 0)
        answered(clients[i], &q.head, good);
    if (!good) {
        close(clients[i]);
        clients[i] = -1;
    }
}

/* A connection whose domain was destroyed is closed by the server. */
static bool still_there(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK) != 0;
}

/* What a guest may write. */
static void scribble(struct input *in)
{
    uint32_t which = take8(in), value = small(in), at = take8(in);
    struct domain *dom = srv.domains;

    if (which & 0x80) {
        srv.shared->channel[at % 8].end[which & 1].word = value;
        return;
    }
    for (unsigned n = which & 3; n && dom->next; n--)
        dom = dom->next;
    if (which & 0x40)
        dom->table->slot[at % 16].ref1 = value;
    else if (which & 0x20)
        dom->table->grant[at].frame = value;
    else /* for whom, and what is allowed */
        dom->table->grant[at].head = (value % 3) << 16 | (which >> 2 & 1 ? value & 0xffff : 1);
    if (which & 0x10)
        dom->table->slots_used = value;
}

static void record(struct input *in)
{
    uint8_t how = take8(in);
    unsigned i = how & 3;

    if ((how & 0x1c) == 0x1c) {
        scribble(in);
        return;
    }
    if (clients[i] >= 0 && !still_there(clients[i])) {
        close(clients[i]);
        clients[i] = -1;
    }
    if (clients[i] < 0) {
        if (i % 3 == 0 || domain_find(&srv, i % 3))
            join(i, in);
        return;
    }
    if ((how & 0xf0) == 0xf0) {
        close(clients[i]);
        clients[i] = -1;
        rig_serve(srv.loop);
    } else {
        message(i, in);
    }
}

static void open_server(void)
{
    struct domain *dom;
    struct errmsg err;
    void *shared;

    if (!srv.loop) {
        CHECK(loop_create(&srv.loop) == 0);
        srv.dir = "/nonexistent";
        srv.shared_fd = memory_new("fuzz", NULL, sizeof(*srv.shared), &shared);
        CHECK(srv.shared_fd >= 0);
        srv.shared = shared;
        srv.chans = calloc(LOOP_CHANNELS, sizeof(*srv.chans));
        CHECK(srv.chans && conns_open(&srv, &err) == 0);
        CHECK(store_open(&srv, &srv.store) == 0);
    }
    memset(srv.shared->fail, 0, sizeof(srv.shared->fail));
    memset(srv.shared->channel, 0, 16 * sizeof(srv.shared->channel[0]));
    srv.next_domid = 3;
    srv.next_conn = srv.chan_hint = srv.track_hint = 0;
    srv.limits[LOOP_LIMIT_MAPTRACK] = 300;
    srv.limits[LOOP_LIMIT_GRANTS] = 300;
    srv.limits[LOOP_LIMIT_PORTS] = 30;
    for (uint32_t d = 0; d < 3; d++)
        if (!domain_find(&srv, d))
            CHECK(domain_create(&srv, d, PAGES, &dom) == 0);
}

static void check_domain(struct domain *dom)
{
    CHECK(!dom->dying && !dom->pins && !dom->mapped && !dom->granted && !dom->nr_ports);
    for (uint32_t i = 0; i < dom->pages && i < PAGES; i++)
        CHECK(!dom->frame_used[i]);
    for (uint32_t i = 0; i < LOOP_SLOTS; i++)
        CHECK(!dom->slots[i]);
    for (uint32_t i = 0; i < REFS_SEEN; i++)
        CHECK(!dom->refs[i].readers && !dom->refs[i].writers && !dom->refs[i].owner);
    memset(dom->table->slot, 0, sizeof(dom->table->slot));
    memset(dom->table->grant, 0, REFS_SEEN * sizeof(dom->table->grant[0]));
    dom->table->slots_used = 0;
    dom->ref_hint = LOOP_REFS_RESERVED;
    dom->port_hint = 1;
    dom->frame_hint = 0;
}

/* All that the clients had is gone; what they made goes too. */
static void close_server(void)
{
    rig_serve(srv.loop);
    CHECK(!srv.conns);
    for (uint32_t i = 0; i < LOOP_CHANNELS; i++)
        CHECK(!srv.chans[i].used);
    for (uint32_t i = 0; i < srv.nr_tracks; i++)
        CHECK(!srv.tracks[i].conn);
    for (struct domain *dom = srv.domains, *next; dom; dom = next) {
        next = dom->next;
        check_domain(dom);
        if (dom->domid > 2)
            domain_destroy(&srv, dom);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    open_server();
    int before = rig_next_descriptor();
    creates = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        join(i, NULL);
    for (unsigned n = 0; in.left && n < RECORDS_MAX; n++)
        record(&in);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i] >= 0)
            close(clients[i]);
    close_server();
    /* A domain of the three that was destroyed has given back what it had. */
    CHECK(rig_next_descriptor() <= before);
    return 0;
}
