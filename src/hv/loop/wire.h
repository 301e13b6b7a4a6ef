/* SPDX-License-Identifier: MIT
 *
 * What the client side of the loopback (src/hv/loop) and its server (blkback-loopd) share: the
 * messages on DIR/hv.sock and the layout of the memory both sides map.
 *
 * Messages: SOCK_SEQPACKET, one request and one answer at a time for each connection. Every message
 * is one struct below, whole, of exactly the length its operation has; both sides check that. Same
 * machine, same build: LOOP_VERSION is checked at HELLO, layouts are not negotiated.
 *
 * The server believes nothing that a client sends or writes into shared memory. It keeps its own
 * pin counts and tables; the shared words below are what a guest of Xen could also write.
 *
 * Where this is less faithful than Xen:
 *  - a client says itself which domain it is (the socket's file permissions are the only guard);
 *  - whoever reaches a domain's grants gets descriptors of its whole memory and grant table; the
 *    client library maps single pages with the protection that the server granted;
 *  - the event words of all domains are in one memory that every client can write;
 *  - both ends of a channel hold both eventfds: a hostile peer can clear O_NONBLOCK on ours;
 *  - domain ids are not used again, and a domain's memory is never ballooned or paged out.
 */
#ifndef HV_LOOP_WIRE_H
#define HV_LOOP_WIRE_H

#include <stdint.h>

#define LOOP_MAGIC   0x626b6c70u /* "bklp" */
#define LOOP_VERSION 1u

#define LOOP_PAGE          4096u
#define LOOP_BATCH         256u   /* grants in one message */
#define LOOP_REFS          65536u /* grant references of a domain */
#define LOOP_REFS_RESERVED 8u     /* 0..7 are never given out, as on Xen */
#define LOOP_SLOTS         1024u  /* copying handles at one domain's grant table */
#define LOOP_CHANNELS      16384u
#define LOOP_PORTS         4096u /* of one domain; port 0 is never used */
#define LOOP_FAILS         16u
#define LOOP_DOMID_MAX     32751u
#define LOOP_DOMID_NONE    0xffffffffu
#define LOOP_ROWS          32u /* rows of one LIST or REPORT answer */

/* ---- Shared memory ----------------------------------------------------------------------------*/

/* A grant, as Xen's version 1 entry: flags in the low half of head, the domid that it is for in the
 * high half, so that both change in one atomic operation. The owner sets LOOP_GTF_PERMIT (and
 * READONLY); the server sets READING and WRITING while the page is mapped, with compare-and-swap.
 * The owner may take PERMIT away only while neither is set. */
#define LOOP_GTF_PERMIT    0x0001u
#define LOOP_GTF_TYPE_MASK 0x0003u
#define LOOP_GTF_READONLY  0x0004u
#define LOOP_GTF_READING   0x0008u
#define LOOP_GTF_WRITING   0x0010u
#define LOOP_GTF_IN_USE    (LOOP_GTF_READING | LOOP_GTF_WRITING)

struct loop_grant {
    uint32_t head;
    uint32_t frame; /* of the owner's memory; set before head */
};

/* What a copying handle works on now: its grant reference + 1, or 0. It publishes this, full
 * barrier, then reads the grant; the owner withdraws the grant, full barrier, then reads the slots:
 * so either the copier sees the grant withdrawn or the owner sees the copy. */
struct loop_slot {
    _Alignas(64) uint32_t ref1;
};

/* One per domain, in a memfd of its own. */
struct loop_table {
    uint32_t magic;
    uint32_t dead;       /* 1: the domain has been destroyed; nothing may be copied any more */
    uint32_t slots_used; /* no slot at or above this one has ever been used */
    uint32_t pad[13];
    struct loop_slot slot[LOOP_SLOTS];
    struct loop_grant grant[LOOP_REFS];
};

/* One end of an event channel. PENDING is set by the other end's notify, MASKED by the end's own
 * reader, CONNECTED by the server on both ends while both are bound. Whoever sets PENDING on an end
 * that was neither pending nor masked writes that end's eventfd. */
#define LOOP_EV_PENDING   1u
#define LOOP_EV_MASKED    2u
#define LOOP_EV_CONNECTED 4u

struct loop_end {
    _Alignas(64) uint32_t word;
};
struct loop_channel {
    struct loop_end end[2]; /* 0: the domain that allocated the channel, 1: the one it is for */
};

/* Calls that can be made to fail on a script. COPY fails a whole call, COPY_OP one grant of it. */
enum loop_call {
    LOOP_CALL_MAP,
    LOOP_CALL_UNMAP,
    LOOP_CALL_COPY,
    LOOP_CALL_COPY_OP,
    LOOP_CALL_BIND,
    LOOP_CALL_ALLOC,
    LOOP_CALL_NOTIFY,
    LOOP_CALL_SHARE,
    LOOP_CALL_END,
    LOOP_CALL_COUNT,
};

#define LOOP_FAIL_EVERY INT32_MAX

struct loop_fail {
    uint32_t call;    /* enum loop_call */
    uint32_t domid;   /* of the caller, or LOOP_DOMID_NONE: any */
    int32_t err;      /* what the call answers; 0: the rule is not in use */
    int32_t calls_to; /* that many calls from now the call fails, once; or LOOP_FAIL_EVERY */
};

/* One for the whole loopback: the memfd that HELLO answers. */
struct loop_shared {
    uint32_t magic, version;
    uint32_t nr_fails; /* rules in use: 0 keeps the check down to one load */
    uint32_t pad[13];
    struct loop_fail fail[LOOP_FAILS];
    struct loop_channel channel[LOOP_CHANNELS];
};

/* ---- Messages ---------------------------------------------------------------------------------*/

enum loop_op {
    LOOP_HELLO = 1, /* first on each connection; answer + fd of struct loop_shared */
    LOOP_PEER,      /* answer + fds of the peer's memory and of its struct loop_table */
    LOOP_SLOT_OPEN, /* a copy slot in the peer's table */
    LOOP_SLOT_CLOSE,
    LOOP_MAP,   /* all or nothing */
    LOOP_UNMAP, /* all or nothing */
    LOOP_SHARE, /* frames and references of our own, for pages to be granted */
    LOOP_UNSHARE,
    LOOP_EV_ALLOC, /* answer + our eventfd + the other end's */
    LOOP_EV_BIND,  /* answer + our eventfd + the other end's */
    LOOP_EV_CLOSE,
    /* The toolstack's; domain 0 only. */
    LOOP_CREATE,
    LOOP_INTRODUCE, /* fires @introduceDomain, as the store's own request does */
    LOOP_DESTROY,
    LOOP_LIST,
    LOOP_REPORT,
    LOOP_SET_FAIL,
    LOOP_SET_LIMIT,
    LOOP_OP_COUNT,
};

struct loop_head {
    uint32_t magic;
    uint32_t op;    /* the answer repeats the request's */
    uint32_t bytes; /* of the whole message */
    int32_t err;    /* 0 in requests; answers: 0 or a negative errno, then the rest is zero */
};

struct loop_hello_req {
    struct loop_head head;
    uint32_t version;
    uint32_t domid; /* who we are */
};

struct loop_domid_req { /* PEER, SLOT_OPEN, INTRODUCE, DESTROY */
    struct loop_head head;
    uint32_t domid;
    uint32_t pad;
};
struct loop_peer_rsp {
    struct loop_head head;
    uint32_t pages; /* of the peer's memory */
    uint32_t pad;
};
struct loop_slot_msg { /* SLOT_OPEN's answer, SLOT_CLOSE's request */
    struct loop_head head;
    uint32_t domid;
    uint32_t slot;
};

struct loop_map_req {
    struct loop_head head;
    uint32_t domid;
    uint32_t writable; /* 0 or 1 */
    uint32_t n;        /* 1..LOOP_BATCH */
    uint32_t refs[LOOP_BATCH];
};
struct loop_map_rsp {
    struct loop_head head;
    uint32_t n;
    uint32_t frames[LOOP_BATCH];
    uint32_t handles[LOOP_BATCH];
};
struct loop_unmap_req {
    struct loop_head head;
    uint32_t n;
    uint32_t handles[LOOP_BATCH];
};

struct loop_share_req {
    struct loop_head head;
    uint32_t n;
};
/* n frames next to each other, not cleared, and n references for them: page i has last_ref - i
 * (downwards, so that nobody comes to rely on consecutive ones). Their grant entries are zero; the
 * client fills them in. */
struct loop_share_rsp {
    struct loop_head head;
    uint32_t first_frame;
    uint32_t last_ref;
    uint32_t n;
};
/* Gives back the references last_ref - n + 1 .. last_ref and the frames that belong to them since
 * LOOP_SHARE. -EBUSY, and nothing given back, while one of them is mapped; with force they are
 * revoked, and what is mapped is given back when it is unmapped. */
struct loop_unshare_req {
    struct loop_head head;
    uint32_t force; /* 0 or 1 */
    uint32_t last_ref;
    uint32_t n;
};

struct loop_ev_req { /* EV_ALLOC: port unused. EV_BIND: the peer's port. EV_CLOSE: our port */
    struct loop_head head;
    uint32_t domid;
    uint32_t port;
};
struct loop_ev_rsp {
    struct loop_head head;
    uint32_t port; /* ours */
    uint32_t channel;
    uint32_t end; /* which end of it is ours: 0 or 1 */
    uint32_t pad;
};

struct loop_create_msg { /* request: pages; answer: domid */
    struct loop_head head;
    uint32_t pages;
    uint32_t domid;
};

struct loop_cursor_req { /* LIST, REPORT: start at 0, go on with the answer's next until it is 0 */
    struct loop_head head;
    uint32_t cursor;
    uint32_t pad;
};
struct loop_list_row {
    uint32_t domid;
    uint32_t pages;
    uint32_t dying;   /* 1: destroyed, but pages of it are still mapped elsewhere */
    uint32_t clients; /* connections to hv.sock as this domain */
    uint32_t granted; /* references in use */
    uint32_t mapped;  /* pins on them */
    uint32_t ports;
    uint32_t pad;
};
struct loop_list_rsp {
    struct loop_head head;
    uint32_t n;
    uint32_t next;
    struct loop_list_row row[LOOP_ROWS];
};

enum loop_report_kind { LOOP_REPORT_GRANT = 1, LOOP_REPORT_PORT = 2 };

struct loop_report_row {
    uint32_t kind;
    uint32_t domid; /* who has it mapped or bound */
    int32_t pid;
    uint32_t port;       /* PORT: of domid */
    uint32_t peer;       /* GRANT: whose page it is; PORT: the other domain */
    uint32_t ref;        /* GRANT */
    uint32_t writable;   /* GRANT */
    uint32_t peer_port;  /* PORT */
    uint32_t connected;  /* PORT: 0: the other end has been closed */
    uint32_t peer_dying; /* the peer has been destroyed */
};
struct loop_report_rsp {
    struct loop_head head;
    uint32_t n;
    uint32_t next;
    struct loop_report_row row[LOOP_ROWS];
};

struct loop_fail_req { /* rule.err 0: forget all rules */
    struct loop_head head;
    struct loop_fail rule;
};

enum loop_limit {
    LOOP_LIMIT_MAPTRACK, /* pages that one domain may have mapped */
    LOOP_LIMIT_GRANTS,   /* references that one domain may have in use */
    LOOP_LIMIT_PORTS,    /* event channel ports of one domain */
    LOOP_LIMIT_COUNT,
};
struct loop_limit_req {
    struct loop_head head;
    uint32_t limit; /* enum loop_limit */
    uint32_t value;
};

/* Bytes of the request, and of a successful answer, of each operation; 0: no such operation.
 * A failed answer is a struct loop_head alone. */
uint32_t loop_req_bytes(uint32_t op);
uint32_t loop_rsp_bytes(uint32_t op);

#endif
