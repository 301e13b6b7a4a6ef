/* SPDX-License-Identifier: MIT
 *
 * Reading and writing: data, ids, answers, events, units. Thread: main.
 */
#include <inttypes.h>
#include <string.h>

#include "conform.h"

static void write_read(struct ctx *c, const void *arg)
{
    const unsigned *sectors = arg;

    disk_fill(c, SCRATCH, *sectors, 11);
    disk_want(c, SCRATCH, *sectors, 11);
    disk_fill(c, SCRATCH, *sectors, 12);
    disk_want(c, SCRATCH, *sectors, 12);
}

/* Sector n of the protocol is byte n * 512 of the disk, whatever sector-size says. */
static void units(struct ctx *c, const void *arg)
{
    (void)arg;
    disk_fill(c, SCRATCH, 3 * PAGE_SECTORS, 21);
    disk_fill(c, SCRATCH + 9, 1, 22);
    disk_want(c, SCRATCH, 9, 21);
    disk_want(c, SCRATCH + 9, 1, 22);
    disk_want(c, SCRATCH + 10, 14, 21);
}

static void whole_request(struct ctx *c, const void *arg)
{
    uint32_t gref[BLKIF_SEGS_PER_REQUEST];
    uint8_t *pages = pages_new(c, BLKIF_SEGS_PER_REQUEST, true, gref);
    unsigned sectors = BLKIF_SEGS_PER_REQUEST * PAGE_SECTORS;
    struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH, gref, BLKIF_SEGS_PER_REQUEST);

    (void)arg;
    fill(pages, SCRATCH, sectors, 31);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    memset(pages, 0, (size_t)sectors * BLKIF_SECTOR);
    rq.op = BLKIF_OP_READ;
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    require(c, filled(pages, SCRATCH, sectors, 31), "11 pages read back differ");
    disk_want(c, SCRATCH, sectors, 31);
}

static void last_sectors(struct ctx *c, const void *arg)
{
    uint64_t end = disk_sectors(c);

    (void)arg;
    disk_fill(c, end - 1, 1, 41);
    disk_fill(c, end - 9, PAGE_SECTORS, 42);
    disk_want(c, end - 1, 1, 41);
    disk_want(c, end - 9, PAGE_SECTORS, 42);
}

/* Fills the ring as often as told, each request on its own page and sector. */
static void full_ring(struct ctx *c, const void *arg)
{
    const unsigned *rounds = arg;
    uint32_t entries = c->q[0].raw.entries;
    uint32_t gref[1024];
    uint8_t *pages;

    require(c, entries <= 1024, "a ring of %" PRIu32 " entries", entries);
    pages = pages_new(c, entries, true, gref);
    for (unsigned round = 0; round < *rounds; round++) {
        uint8_t op = round % 2 == 0 ? BLKIF_OP_WRITE : BLKIF_OP_READ;

        for (uint32_t i = 0; i < entries; i++) {
            uint64_t sector = SCRATCH + (uint64_t)i * PAGE_SECTORS;
            struct rq rq = rq_rw(op, sector, &gref[i], 1);

            if (op == BLKIF_OP_WRITE)
                fill(pages + (size_t)i * HV_PAGE, sector, PAGE_SECTORS, round);
            else
                memset(pages + (size_t)i * HV_PAGE, 0, HV_PAGE);
            rq_put(c, 0, &rq);
        }
        rq_push(c, 0);
        require(c, rq_answers(c, 0, BLKIF_RSP_OKAY) == 0, "a request of a full ring fails");
        if (op == BLKIF_OP_READ)
            require(c, filled(pages, SCRATCH, entries * PAGE_SECTORS, round - 1),
                    "what a full ring wrote is not what it reads");
    }
}

static void ids(struct ctx *c, const void *arg)
{
    static const uint64_t odd[] = {1,           UINT64_MAX, 1ull << 63, 0xdeadbeef00000000u,
                                   0xffffffffu, 7,          7,          7};
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

        rq.id = odd[i];
        rq_put(c, 0, &rq);
    }
    rq_push(c, 0);
    rq_answers(c, 0, BLKIF_RSP_OKAY);
}

static void handles(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (unsigned h = 0; h < 0x10000; h += 0x3fff) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

        rq.handle = (uint16_t)h;
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    }
}

/* The backend asks for an event before it sleeps: req_event comes to stand behind req_cons. */
static void rearms(struct ctx *c, const void *arg)
{
    uint32_t gref;

    (void)arg;
    pages_new(c, 1, true, &gref);
    for (unsigned i = 0; i < 20; i++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
        uint64_t start = now_ms();

        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        while (READ_ONCE(c->q[0].raw.shared->req_event) != c->q[0].req_prod + 1)
            wait_a_little(c, start, "an idle backend does not ask for an event (req_event)");
    }
}

static void spin_answer(struct ctx *c)
{
    uint64_t start = now_ms();

    while (load_acquire(&c->q[0].raw.shared->rsp_prod) == c->q[0].rsp_cons)
        wait_a_little(c, start, "no answer");
    rq_answer(c, 0);
}

static void quiet(struct ctx *c, const struct rq *rq)
{
    WRITE_ONCE(c->q[0].raw.shared->rsp_event, c->q[0].rsp_cons);
    rq_put(c, 0, rq);
    rq_push(c, 0);
    spin_answer(c);
}

/* rsp_event left behind: no event for the answer. The next answer comes from the same thread, so
 * whatever it sent for the one before has arrived. */
static void unasked(struct ctx *c, const void *arg)
{
    uint32_t gref;
    struct rq rq;

    (void)arg;
    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    quiet(c, &rq);
    while (hv_evtchn_pending(c->q[0].raw.ev) == 1)
        hv_evtchn_unmask(c->q[0].raw.ev);
    for (unsigned i = 0; i < 8; i++)
        quiet(c, &rq);
    require(c, hv_evtchn_pending(c->q[0].raw.ev) == 0, "an event came that nobody asked for");
}

/* One at a time, an event only when req_event asks for it: neither side may miss the other. */
static void ping_pong(struct ctx *c, const void *arg)
{
    uint32_t gref;
    struct rq rq;

    (void)arg;
    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    for (unsigned i = 0, n = times(c, 3000, 1000000); i < n; i++)
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
}

/* The next request is put on the ring while answers are still coming. */
static void pipeline(struct ctx *c, const void *arg)
{
    uint32_t gref, left = times(c, 5000, 1000000);
    struct rq rq;

    (void)arg;
    pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    while (left != 0 || c->q[0].in_flight != 0) {
        for (; left != 0 && c->q[0].req_prod - c->q[0].rsp_cons < c->q[0].raw.entries; left--)
            rq_put(c, 0, &rq);
        rq_push(c, 0);
        require(c, rq_answer(c, 0).status == BLKIF_RSP_OKAY, "a read fails");
    }
}

static void not_an_image(struct ctx *c, const void *arg)
{
    static const uint8_t qcow2[] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
    static const struct connect plain;
    uint64_t sectors = node_number(c, "sectors", 0);
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct rq rq = rq_rw(BLKIF_OP_WRITE, 0, &gref, 1);

    (void)arg;
    memcpy(page, qcow2, sizeof(qcow2));
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    link_close(c);
    host(c, "reattach", NULL, 0);
    link_open(c, &plain);
    require(c, node_number(c, "sectors", 0) == sectors, "the disk has another size now");
    page = pages_new(c, 1, true, &gref);
    rq = rq_rw(BLKIF_OP_READ, 0, &gref, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    require(c, memcmp(page, qcow2, sizeof(qcow2)) == 0, "sector 0 reads as something else");
    memset(page, 0, HV_PAGE);
    rq.op = BLKIF_OP_WRITE;
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
}

#define N(n)   (&(const unsigned){n})
#define ANSWER "PROTOCOL §3.5"

// clang-format off
static const struct conform_case cases[] = {
    {"io.one-sector", "PROTOCOL §3.10", MUST, "one sector is written and read back", NEED_WRITE,
     {0}, write_read, N(1)},
    {"io.many-sectors", "PROTOCOL §3.10", MUST, "300 sectors are written and read back",
     NEED_WRITE, {0}, write_read, N(300)},
    {"io.whole-request", "PROTOCOL §3.10", MUST, "11 whole pages in a request", NEED_WRITE, {0},
     whole_request, NULL},
    {"io.units", "PROTOCOL §3.9", MUST, "sector numbers count 512 bytes", NEED_WRITE, {0}, units,
     NULL},
    {"io.last-sectors", "PROTOCOL §3.10", MUST, "the last sectors of the disk can be used",
     NEED_WRITE, {0}, last_sectors, NULL},
    {"io.full-ring", "HOSTILE §3 indices: full ring", MUST,
     "a ring filled to the last slot is answered, each request once", NEED_WRITE, {0}, full_ring,
     N(8)},
    {"io.full-ring-32", "HOSTILE §3 indices: full ring", MUST, "the same with the 32-bit layout",
     NEED_WRITE, {.protocol = "x86_32-abi"}, full_ring, N(8)},
    {"io.ids", ANSWER, MUST, "any id comes back, also several times the same", 0, {0}, ids, NULL},
    {"io.ids-32", ANSWER, MUST, "64-bit ids come back to a 32-bit frontend", 0, {.protocol =
     "x86_32-abi"}, ids, NULL},
    {"io.handles", "HOSTILE §3 fields: handle", MUST, "the handle is ignored", 0, {0}, handles,
     NULL},
    {"io.rearms", "PROTOCOL §3.7", MUST, "an idle backend asks for an event", 0, {0}, rearms,
     NULL},
    {"io.no-event-unasked", "PROTOCOL §3.6", SHOULD, "no event for an answer nobody waits for", 0,
     {0}, unasked, NULL},
    {"io.ping-pong", "PROTOCOL §3.7", MUST, "no wake-up is lost, one request at a time", 0, {0},
     ping_pong, NULL},
    {"io.ping-pong-32", "PROTOCOL §3.7", MUST, "the same with the 32-bit layout", 0, {.protocol =
     "x86_32-abi"}, ping_pong, NULL},
    {"io.pipeline", "HOSTILE §2 req_cons first", MUST,
     "no wake-up is lost, requests following answers", 0, {0}, pipeline, NULL},
    {"io.image-not-guessed", "HOSTILE §1 XSA-48", MUST,
     "a guest that writes an image's header gets no image", NEED_WRITE | NEED_HOST, {0},
     not_an_image, NULL},
};
// clang-format on
SUITE(io);
