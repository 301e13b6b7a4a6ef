/* SPDX-License-Identifier: MIT
 *
 * Malformed and hostile messages on both of the server's protocols, and hostile contents of the
 * shared grant table: the sender may lose its connection, the server goes on for everybody else.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <xen/io/xs_wire.h>

#include "base/msg.h"
#include "hv/hv.h"
#include "hv/loop/client.h"
#include "hv/store.h"
#include "loopd_fixture.h"

static struct loopd loopd;

static int connect_to(const char *name, int type)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", loopd.dir, name);
    int fd = msg_connect(path, type);
    assert_true(fd >= 0);
    return fd;
}

/* Everything still works for a well-behaved client. */
static void still_serves(void)
{
    struct hv_store *st;
    struct errmsg err;
    struct hv *hv;
    char buf[8];

    assert_int_equal(hv_open(loopd.dom0, &hv, &err), 0);
    hv_close(hv);
    assert_int_equal(hv_store_open(loopd.dom0, &st, &err), 0);
    assert_int_equal(hv_store_write(st, 0, "/alive", "yes"), 0);
    assert_int_equal(hv_store_read(st, 0, "/alive", buf, sizeof(buf)), 3);
    hv_store_close(st);
}

static void hangs_up(int fd)
{
    char buf[8192];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        poll(&p, 1, -1);
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n <= 0)
            break;
    }
    close(fd);
}

/* ---- The store's protocol ---- */

static void raw_send(int fd, uint32_t type, uint32_t tx, uint32_t len, const void *body,
                     size_t have)
{
    struct xsd_sockmsg h = {.type = type, .req_id = 77, .tx_id = tx, .len = len};

    assert_int_equal(send(fd, &h, sizeof(h), MSG_NOSIGNAL), sizeof(h));
    if (have)
        assert_int_equal(send(fd, body, have, MSG_NOSIGNAL), have);
}

static uint32_t raw_recv(int fd, struct xsd_sockmsg *h, char body[XENSTORE_PAYLOAD_MAX + 1])
{
    assert_int_equal(recv(fd, h, sizeof(*h), MSG_WAITALL), sizeof(*h));
    assert_in_range(h->len, 0, XENSTORE_PAYLOAD_MAX);
    if (h->len)
        assert_int_equal(recv(fd, body, h->len, MSG_WAITALL), h->len);
    body[h->len] = '\0';
    return h->type;
}

static void errors(int fd, uint32_t type, uint32_t tx, const void *body, size_t len,
                   const char *error)
{
    char answer[XENSTORE_PAYLOAD_MAX + 1];
    struct xsd_sockmsg h;

    raw_send(fd, type, tx, (uint32_t)len, body, len);
    assert_int_equal(raw_recv(fd, &h, answer), XS_ERROR);
    assert_int_equal(h.req_id, 77);
    assert_int_equal(h.tx_id, tx);
    assert_string_equal(answer, error);
}

#define ERRORS(fd, type, tx, body, error) errors(fd, type, tx, body, sizeof(body) - 1, error)

static void malformed_store_requests_get_an_error(void **state)
{
    int fd = connect_to("xenstored.sock", SOCK_STREAM);

    ERRORS(fd, 17 + 200, 0, "/\0", "ENOSYS");
    ERRORS(fd, UINT32_MAX, 0, "/\0", "ENOSYS");
    ERRORS(fd, XS_WATCH_EVENT, 0, "/\0a\0", "ENOSYS");
    ERRORS(fd, XS_ERROR, 0, "EINVAL\0", "ENOSYS");
    ERRORS(fd, 20, 0, "5\0", "ENOSYS"); /* XS_RESTRICT, removed long ago */
    errors(fd, XS_READ, 0, NULL, 0, "EINVAL");
    ERRORS(fd, XS_READ, 0, "/no-nul-at-the-end", "EINVAL");
    ERRORS(fd, XS_READ, 0, "/two\0strings\0", "EINVAL");
    ERRORS(fd, XS_READ, 0, "\0", "EINVAL");
    ERRORS(fd, XS_READ, 0, "@special\0", "ENOENT"); /* a relative path like any other */
    ERRORS(fd, XS_READ, 9, "/\0", "ENOENT");
    ERRORS(fd, XS_WRITE, 0, "/no-nul", "EINVAL");
    ERRORS(fd, XS_RM, 0, "/\0", "EINVAL");
    ERRORS(fd, XS_WATCH, 0, "/a\0", "EINVAL");
    ERRORS(fd, XS_WATCH, 0, "/a\0b\0c\0", "EINVAL");
    ERRORS(fd, XS_WATCH, 0, "@nothing\0t\0", "EINVAL");
    ERRORS(fd, XS_UNWATCH, 0, "/a\0b\0", "ENOENT");
    ERRORS(fd, XS_SET_PERMS, 0, "/\0", "EINVAL");
    ERRORS(fd, XS_SET_PERMS, 0, "/\0x0\0", "EINVAL");
    ERRORS(fd, XS_SET_PERMS, 0, "/\0n\0", "EINVAL");
    ERRORS(fd, XS_SET_PERMS, 0, "/\0n99999999999999\0", "EINVAL");
    ERRORS(fd, XS_SET_PERMS, 0, "/\0n32752\0", "EINVAL");
    ERRORS(fd, XS_TRANSACTION_END, 0, "T\0", "ENOENT");
    ERRORS(fd, XS_TRANSACTION_END, 5, "T\0", "ENOENT");
    ERRORS(fd, XS_TRANSACTION_END, 0, "maybe\0", "EINVAL");
    ERRORS(fd, XS_DIRECTORY_PART, 0, "/\0-1\0", "EINVAL");
    ERRORS(fd, XS_DIRECTORY_PART, 0, "/\0", "EINVAL");
    ERRORS(fd, XS_GET_DOMAIN_PATH, 0, "4294967296\0", "EINVAL");
    ERRORS(fd, XS_INTRODUCE, 0, "400\0001\0001\0", "ENOENT");
    ERRORS(fd, XS_RELEASE, 0, "0\0", "EINVAL");
    ERRORS(fd, XS_SET_TARGET, 0, "1\0", "EINVAL");
    ERRORS(fd, XS_CONTROL, 0, "explode\0", "EINVAL");
    close(fd);
    still_serves();
}

static void message_longer_than_the_protocol_allows_ends_the_connection(void **state)
{
    static const uint32_t lengths[] = {XENSTORE_PAYLOAD_MAX + 1, 65536, 0x80000000u, UINT32_MAX};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int fd = connect_to("xenstored.sock", SOCK_STREAM);

        raw_send(fd, XS_READ, 0, lengths[i], NULL, 0);
        hangs_up(fd);
    }
    still_serves();
}

static void longest_message_is_served(void **state)
{
    char body[XENSTORE_PAYLOAD_MAX], answer[XENSTORE_PAYLOAD_MAX + 1];
    int fd = connect_to("xenstored.sock", SOCK_STREAM);
    struct xsd_sockmsg h;

    memset(body, 'v', sizeof(body));
    memcpy(body, "/big", 5);
    raw_send(fd, XS_WRITE, 0, sizeof(body), body, sizeof(body));
    assert_int_equal(raw_recv(fd, &h, answer), XS_WRITE);
    raw_send(fd, XS_READ, 0, 5, "/big", 5);
    assert_int_equal(raw_recv(fd, &h, answer), XS_READ);
    assert_int_equal(h.len, sizeof(body) - 5);
    close(fd);
}

static void requests_in_pieces_and_in_one_piece_are_all_served(void **state)
{
    char many[64 * (sizeof(struct xsd_sockmsg) + 2)], answer[XENSTORE_PAYLOAD_MAX + 1];
    int fd = connect_to("xenstored.sock", SOCK_STREAM);
    struct xsd_sockmsg h;
    size_t at = 0;

    for (uint32_t i = 0; i < 64; i++) {
        h = (struct xsd_sockmsg){.type = XS_READ, .req_id = i, .len = 2};
        memcpy(many + at, &h, sizeof(h));
        memcpy(many + at + sizeof(h), "/", 2);
        at += sizeof(h) + 2;
    }
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(send(fd, many + i, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(send(fd, many + 200, at - 200, MSG_NOSIGNAL), at - 200);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(raw_recv(fd, &h, answer), XS_READ);
        assert_int_equal(h.req_id, i);
    }
    close(fd);
}

static void half_a_message_and_gone(void **state)
{
    int fd = connect_to("xenstored.sock", SOCK_STREAM);

    assert_int_equal(send(fd, "abc", 3, MSG_NOSIGNAL), 3);
    close(fd);
    fd = connect_to("xenstored.sock", SOCK_STREAM);
    raw_send(fd, XS_WRITE, 0, 100, "/half", 5);
    close(fd);
    still_serves();
}

static void guest_may_not_use_the_toolstacks_requests(void **state)
{
    char name[32];
    uint32_t domid = loopd_create(&loopd, 16);

    snprintf(name, sizeof(name), "store-%u.sock", domid);
    int fd = connect_to(name, SOCK_STREAM);
    ERRORS(fd, XS_INTRODUCE, 0, "1\0001\0001\0", "EACCES");
    ERRORS(fd, XS_RELEASE, 0, "1\0", "EACCES");
    ERRORS(fd, XS_RESUME, 0, "1\0", "EACCES");
    ERRORS(fd, XS_SET_TARGET, 0, "1\0000\0", "EACCES");
    ERRORS(fd, XS_CONTROL, 0, "check\0", "EACCES");
    ERRORS(fd, XS_SET_PERMS, 0, "@releaseDomain\0n1\0", "EACCES");
    ERRORS(fd, XS_WRITE, 0, "/anywhere\0x", "EACCES");
    close(fd);
    loopd_destroy(&loopd, domid);
}

static void guest_owns_what_it_creates_where_others_let_it_write(void **state)
{
    char name[32], perms[32], answer[XENSTORE_PAYLOAD_MAX + 1];
    uint32_t domid = loopd_create(&loopd, 16);
    int dom0 = connect_to("xenstored.sock", SOCK_STREAM);
    struct xsd_sockmsg h;

    snprintf(name, sizeof(name), "store-%u.sock", domid);
    int guest = connect_to(name, SOCK_STREAM);
    raw_send(dom0, XS_MKDIR, 0, 6, "/open", 6);
    assert_int_equal(raw_recv(dom0, &h, answer), XS_MKDIR);
    int len = snprintf(perms, sizeof(perms), "/open%cn0%cb%u", 0, 0, domid) + 1;
    raw_send(dom0, XS_SET_PERMS, 0, (uint32_t)len, perms, (size_t)len);
    assert_int_equal(raw_recv(dom0, &h, answer), XS_SET_PERMS);
    raw_send(guest, XS_WRITE, 0, 12, "/open/mine\0x", 12);
    assert_int_equal(raw_recv(guest, &h, answer), XS_WRITE);
    raw_send(dom0, XS_GET_PERMS, 0, 11, "/open/mine", 11);
    assert_int_equal(raw_recv(dom0, &h, answer), XS_GET_PERMS);
    len = snprintf(perms, sizeof(perms), "n%u%cb%u", domid, 0, domid) + 1;
    assert_int_equal(h.len, len);
    assert_memory_equal(answer, perms, (size_t)len);
    close(guest);
    close(dom0);
    loopd_destroy(&loopd, domid);
}

/* Nobody reads the answers: the requests stop being served, nothing piles up without end. */
static void client_that_never_reads_is_held_back(void **state)
{
    int fd = connect_to("xenstored.sock", SOCK_STREAM), sent = 0;
    struct xsd_sockmsg h = {.type = XS_READ, .len = 5};
    char m[sizeof(h) + 5], body[XENSTORE_PAYLOAD_MAX];

    memset(body, 'v', sizeof(body));
    memcpy(body, "/big", 5);
    raw_send(fd, XS_WRITE, 0, sizeof(body), body, sizeof(body));
    memcpy(m, &h, sizeof(h));
    memcpy(m + sizeof(h), "/big", 5);
    /* Far less than this fits into the sockets' buffers together with the server's own queue. */
    while (sent < 20000) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int more = 0;

        if (send(fd, m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(m)) {
            sent++;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        /* Others are served, and each time the server could have taken more of ours. */
        for (int i = 0; i < 100 && !more; i++) {
            still_serves();
            more = poll(&p, 1, 0);
        }
        if (!more)
            break;
    }
    assert_in_range(sent, 1, 19999);
    close(fd);
    still_serves();
}

/* A guest that watches and never reads, while the watched nodes are written over and over. */
static void unread_events_are_merged_and_in_the_end_cost_the_connection(void **state)
{
    uint32_t domid = loopd_create(&loopd, 16);
    char name[64], path[128];
    struct hv_store *st;
    struct errmsg err;
    int ends = 0;

    snprintf(name, sizeof(name), "store-%u.sock", domid);
    int fd = connect_to(name, SOCK_STREAM);
    raw_send(fd, XS_WATCH, 0, 9, "device\0t", 9);
    assert_int_equal(hv_store_open(loopd.dom0, &st, &err), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/device/%064d", domid, 0);
        assert_int_equal(hv_store_write(st, 0, path, "1"), 0);
    }
    /* The same event 20000 times: some in the socket's buffer, one or so in the queue. */
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&p, 1, 0), 0);
    for (int i = 0; i < 200000 && !ends; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/device/a-name-of-quite-some-length-%06d/n",
                 domid, i);
        assert_int_equal(hv_store_mkdir(st, 0, path), 0);
        ends = i % 64 == 0 ? poll(&p, 1, 0) : 0;
        if (i % 100 == 99) { /* keep the tree small: the events are what matters */
            snprintf(path, sizeof(path), "/local/domain/%u/device", domid);
            assert_int_equal(hv_store_rm(st, 0, path), 0);
            assert_int_equal(hv_store_mkdir(st, 0, path), 0);
        }
    }
    assert_int_equal(ends, 1);
    close(fd);
    hv_store_close(st);
    loopd_destroy(&loopd, domid);
    still_serves();
}

/* ---- hv.sock ---- */

static void lost(const void *m, size_t len)
{
    int fd = connect_to("hv.sock", SOCK_SEQPACKET);

    assert_int_equal(send(fd, m, len, MSG_NOSIGNAL), len);
    hangs_up(fd);
}

static void malformed_hypervisor_messages_end_the_connection(void **state)
{
    struct loop_hello_req q = {.head = {LOOP_MAGIC, LOOP_HELLO, sizeof(q), 0},
                               .version = LOOP_VERSION};
    char big[16384] = "";

    lost("x", 1);
    lost(&q, sizeof(q) - 1);
    lost(big, sizeof(big));
    q.head.magic++;
    lost(&q, sizeof(q));
    q.head.magic--;
    q.head.bytes++;
    lost(&q, sizeof(q));
    q.head.bytes--;
    for (uint32_t op = 0; op < 3; op++) {
        static const uint32_t ops[] = {0, LOOP_OP_COUNT, UINT32_MAX};
        q.head.op = ops[op];
        lost(&q, sizeof(q));
    }
    still_serves();
}

static struct loop_hv *raw_open(uint32_t domid)
{
    struct loop_hv *hv;
    struct errmsg err;

    assert_int_equal(loop_connect(loopd.dir, domid, &hv, &err), 0);
    return hv;
}

static void nothing_is_served_before_hello(void **state)
{
    struct loop_cursor_req q = {.head = {LOOP_MAGIC, LOOP_LIST, sizeof(q), 0}};
    struct loop_head a;
    int fd = connect_to("hv.sock", SOCK_SEQPACKET);

    assert_int_equal(send(fd, &q, sizeof(q), MSG_NOSIGNAL), sizeof(q));
    assert_int_equal(recv(fd, &a, sizeof(a), 0), sizeof(a));
    assert_int_equal(a.err, -ENOTCONN);
    close(fd);
}

static void another_version_is_refused(void **state)
{
    struct loop_hello_req q = {.head = {LOOP_MAGIC, LOOP_HELLO, sizeof(q), 0},
                               .version = LOOP_VERSION + 1};
    struct loop_head a;
    int fd = connect_to("hv.sock", SOCK_SEQPACKET);

    assert_int_equal(send(fd, &q, sizeof(q), MSG_NOSIGNAL), sizeof(q));
    assert_int_equal(recv(fd, &a, sizeof(a), 0), sizeof(a));
    assert_int_equal(a.err, -EPROTO);
    close(fd);
}

static void guest_may_not_play_the_toolstack(void **state)
{
    uint32_t domid = loopd_create(&loopd, 16);
    struct loop_hv *hv = raw_open(domid);
    struct loop_create_msg create = {.pages = 1}, made;
    struct loop_domid_req destroy = {.domid = 0};
    struct loop_limit_req limit = {.value = 0};
    struct loop_fail_req fail = {.rule = {.err = -EIO, .calls_to = 1}};

    assert_int_equal(loop_rpc(hv, LOOP_CREATE, &create, &made, NULL, 0), -EPERM);
    assert_int_equal(loop_rpc(hv, LOOP_DESTROY, &destroy, &made, NULL, 0), -EPERM);
    assert_int_equal(loop_rpc(hv, LOOP_SET_LIMIT, &limit, &made, NULL, 0), -EPERM);
    assert_int_equal(loop_rpc(hv, LOOP_SET_FAIL, &fail, &made, NULL, 0), -EPERM);
    loop_disconnect(hv);
    loopd_destroy(&loopd, domid);
}

static void absurd_numbers_are_refused(void **state)
{
    static const uint32_t odd[] = {0,           LOOP_BATCH + 1, LOOP_REFS,
                                   0x7fffffffu, 0x80000000u,    UINT32_MAX};
    uint32_t domid = loopd_create(&loopd, 16);
    struct loop_hv *hv = raw_open(domid), *dom0 = raw_open(0);
    union {
        struct loop_map_rsp map;
        struct loop_share_rsp share;
        struct loop_ev_rsp ev;
        struct loop_slot_msg slot;
        struct loop_list_rsp list;
        struct loop_report_rsp report;
        struct loop_create_msg create;
    } a;

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        uint32_t n = odd[i];
        struct loop_map_req map = {.domid = domid, .n = n};
        struct loop_unmap_req unmap = {.n = n};
        struct loop_unmap_req unmap1 = {.n = 1, .handles = {n}};
        struct loop_share_req share = {.n = n};
        struct loop_unshare_req un1 = {.last_ref = n, .n = 1}, un2 = {.last_ref = 9, .n = n};
        struct loop_slot_msg slot = {.domid = domid, .slot = n};
        struct loop_ev_req ev = {.domid = domid, .port = n};
        struct loop_cursor_req cursor = {.cursor = n};
        struct loop_create_msg create = {.pages = n};

        assert_int_equal(loop_rpc(dom0, LOOP_MAP, &map, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(dom0, LOOP_UNMAP, &unmap, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(dom0, LOOP_UNMAP, &unmap1, &a, NULL, 0), -EINVAL);
        assert_true(loop_rpc(hv, LOOP_SHARE, &share, &a, NULL, 0) < 0);
        assert_int_equal(loop_rpc(hv, LOOP_UNSHARE, &un1, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(hv, LOOP_UNSHARE, &un2, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(dom0, LOOP_SLOT_CLOSE, &slot, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(hv, LOOP_EV_CLOSE, &ev, &a, NULL, 0), -EINVAL);
        assert_int_equal(loop_rpc(dom0, LOOP_EV_BIND, &ev, &a, NULL, 0), -EINVAL);
        if (n > LOOP_BATCH && n != LOOP_REFS) {
            if (n > LOOP_REFS)
                assert_true(loop_rpc(dom0, LOOP_CREATE, &create, &a, NULL, 0) < 0);
            assert_int_equal(loop_rpc(dom0, LOOP_LIST, &cursor, &a, NULL, 0), 0);
            assert_int_equal(loop_rpc(dom0, LOOP_REPORT, &cursor, &a, NULL, 0), 0);
        }
    }
    loop_disconnect(dom0);
    loop_disconnect(hv);
    loopd_destroy(&loopd, domid);
    still_serves();
}

/* One's own handle named twice in a message, and another connection's handle. */
static void handles_cannot_be_given_back_twice_or_by_others(void **state)
{
    uint32_t domid = loopd_create(&loopd, 16), ref;
    struct hv_share *share;
    void *own;
    struct loop_hv *front = raw_open(domid), *one = raw_open(0), *two = raw_open(0);

    assert_int_equal(hv_share_open(&front->base, &share), 0);
    assert_int_equal(hv_share_pages(share, 0, 1, true, &ref, &own), 0);
    struct loop_map_req map = {.domid = domid, .n = 1, .refs = {ref}};
    struct loop_map_rsp mapped;
    struct loop_head a;
    assert_int_equal(loop_rpc(one, LOOP_MAP, &map, &mapped, NULL, 0), 0);
    struct loop_unmap_req unmap = {.n = 2, .handles = {mapped.handles[0], mapped.handles[0]}};
    assert_int_equal(loop_rpc(two, LOOP_UNMAP, &unmap, &a, NULL, 0), -EINVAL);
    assert_int_equal(loopd_left(&loopd), 1);
    assert_int_equal(loop_rpc(one, LOOP_UNMAP, &unmap, &a, NULL, 0), 0);
    assert_int_equal(loopd_left(&loopd), 0);
    unmap.n = 1;
    assert_int_equal(loop_rpc(one, LOOP_UNMAP, &unmap, &a, NULL, 0), -EINVAL);
    hv_share_close(share);
    loop_disconnect(one);
    loop_disconnect(two);
    loop_disconnect(front);
    loopd_destroy(&loopd, domid);
}

/* The guest writes what it likes into its grant table. */
static void nonsense_in_the_grant_table_maps_nothing(void **state)
{
    uint32_t domid = loopd_create(&loopd, 16), seed = 1;
    struct loop_hv *front = raw_open(domid), *back = raw_open(0);
    struct loop_peer *self;
    struct hv_gnttab *gt;
    void *addr;

    assert_int_equal(loop_peer_get(front, domid, &self), 0);
    assert_int_equal(hv_gnttab_open(&back->base, domid, 16, &gt), 0);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t ref = (seed = seed * 1664525u + 1013904223u) % LOOP_REFS;
        struct loop_grant *g = &self->table->grant[ref];
        char buf[16];
        struct hv_copy op = {.local = buf, .ref = ref, .len = 16, .to_guest = i & 1};

        g->frame = i % 3 ? (seed >> 8) | 16 : UINT32_MAX; /* never one of its 16 pages */
        g->head = i % 5 ? seed : LOOP_GTF_PERMIT;
        assert_int_equal(hv_gnttab_map(gt, &ref, 1, PROT_READ, &addr), -EINVAL);
        assert_int_equal(hv_gnttab_copy(gt, &op, 1), 0);
        assert_int_not_equal(op.status, 0);
    }
    memset(self->table, 0xff, sizeof(*self->table));
    self->table->slots_used = UINT32_MAX;
    hv_gnttab_close(gt);
    loop_disconnect(back);
    loop_disconnect(front);
    loopd_destroy(&loopd, domid);
    still_serves();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_store_requests_get_an_error),
        cmocka_unit_test(message_longer_than_the_protocol_allows_ends_the_connection),
        cmocka_unit_test(longest_message_is_served),
        cmocka_unit_test(requests_in_pieces_and_in_one_piece_are_all_served),
        cmocka_unit_test(half_a_message_and_gone),
        cmocka_unit_test(guest_may_not_use_the_toolstacks_requests),
        cmocka_unit_test(guest_owns_what_it_creates_where_others_let_it_write),
        cmocka_unit_test(client_that_never_reads_is_held_back),
        cmocka_unit_test(unread_events_are_merged_and_in_the_end_cost_the_connection),
        cmocka_unit_test(malformed_hypervisor_messages_end_the_connection),
        cmocka_unit_test(nothing_is_served_before_hello),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(guest_may_not_play_the_toolstack),
        cmocka_unit_test(absurd_numbers_are_refused),
        cmocka_unit_test(handles_cannot_be_given_back_twice_or_by_others),
        cmocka_unit_test(nonsense_in_the_grant_table_maps_nothing),
    };

    loopd_start(&loopd, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loopd_stop(&loopd))
        failed++;
    return failed;
}
