/* SPDX-License-Identifier: MIT
 *
 * Grants that are not what they should be. Thread: main.
 */
#include <stdio.h>
#include <string.h>

#include "conform.h"

#define SEGS BLKIF_SEGS_PER_REQUEST

static void bad_ref(struct ctx *c, const void *arg)
{
    const uint32_t *bad = arg;
    struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, bad, 1);

    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    if (c->offer->info.read_only)
        return;
    rq.op = BLKIF_OP_WRITE;
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
}

/* A page granted to a third domain. */
static void foreign(struct ctx *c, const void *arg)
{
    struct rq rq;
    uint32_t gref;
    void *addr;
    int rc = hv_share_pages(c->share, c->dev.peer + 77, 1, true, &gref, &addr);

    (void)arg;
    if (rc != 0)
        skip(c, "no page can be granted to another domain: %s", strerror(-rc));
    rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
}

static void ended(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, true, &gref);
    struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

    (void)arg;
    pages_want_end(c, page, "unused");
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
}

static void read_only_page(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, false, &gref);
    struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, &gref, 1);

    (void)arg;
    memset(page, 0x3c, HV_PAGE);
    rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
    for (unsigned i = 0; i < HV_PAGE; i++)
        require(c, page[i] == 0x3c, "a read went into a read-only page");
}

static void read_only_page_written(struct ctx *c, const void *arg)
{
    uint32_t gref;
    uint8_t *page = pages_new(c, 1, false, &gref);
    struct rq rq = rq_rw(BLKIF_OP_WRITE, SCRATCH, &gref, 1);

    (void)arg;
    fill(page, SCRATCH, PAGE_SECTORS, 5);
    rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
    disk_want(c, SCRATCH, PAGE_SECTORS, 5);
}

/* Of 11 pages the one at this position is bad: the others are let go. */
static void one_bad(struct ctx *c, const void *arg)
{
    unsigned n = times(c, 20, 100000);

    (void)arg;
    for (unsigned bad = 0; bad < SEGS; bad++) {
        uint32_t gref[SEGS];
        uint8_t *pages = pages_new(c, SEGS, true, gref);

        for (unsigned i = 0; i < n; i++) {
            struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, gref, SEGS);

            rq.seg[bad].gref = GREF_NEVER;
            rq_want(c, 0, &rq, BLKIF_RSP_ERROR);
        }
        if (c->how.no_persistent)
            pages_want_end(c, pages, "after errors");
        else
            pages_end(c, pages);
    }
}

/* Every pattern of good and bad: error, unless all are good. */
static void every_pattern(struct ctx *c, const void *arg)
{
    uint32_t gref[SEGS];
    uint8_t *pages = pages_new(c, SEGS, true, gref);
    struct queue *q = &c->q[0];

    (void)arg;
    for (unsigned pattern = 0; pattern < 1u << SEGS; pattern++) {
        struct rq rq = rq_rw(BLKIF_OP_READ, SCRATCH, gref, SEGS);

        for (unsigned i = 0; i < SEGS; i++)
            if (pattern & BIT(i))
                rq.seg[i].gref = GREF_NEVER + i;
        rq_want(c, 0, &rq, pattern == 0 ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
    }
    require(c, q->in_flight == 0, "requests are left");
    if (c->how.no_persistent)
        pages_want_end(c, pages, "after every pattern");
}

/* Grants ended while a request uses them: refused or not, nothing breaks. */
static void revoked(struct ctx *c, const void *arg)
{
    (void)arg;
    for (unsigned n = times(c, 100, 50000); n != 0; n--) {
        uint32_t gref[SEGS];
        uint8_t *pages = pages_new(c, SEGS, true, gref);
        struct rq rq =
            rq_rw(n % 2 == 0 && !c->offer->info.read_only ? BLKIF_OP_WRITE : BLKIF_OP_READ, SCRATCH,
                  gref, SEGS);
        int status, ended_early;

        rq_put(c, 0, &rq);
        rq_push(c, 0);
        ended_early = pages_end(c, pages);
        status = rq_answer(c, 0).status;
        require(c, status == BLKIF_RSP_OKAY || status == BLKIF_RSP_ERROR, "status %d", status);
        if (ended_early != 0 && pages_end(c, pages) != 0)
            require(c, !c->how.no_persistent, "the grants stay mapped after the answer");
        if (c->how.no_persistent)
            continue;
        link_close(c); /* kept grants would fill the case's list */
        link_open(c, &c->now->how);
        n = n > 10 ? n - 9 : 1;
    }
}

static void ring_page(struct ctx *c, const void *arg)
{
    const struct front_raw_queue *raw = &c->q[0].raw;

    (void)arg;
    /* On the loopback the hypervisor says no; on Xen it waits until the backend unmaps. Only the
     * first leaves a ring to go on with. */
    if (strncmp(c->set->hv, "loop:", 5) != 0)
        skip(c, "ending the grant of a mapped page cannot be refused here");
    require(c, hv_share_end(raw->share, raw->shared, raw->pages) != 0,
            "the ring's page is not mapped");
    bad_ref(c, &(const uint32_t){GREF_NEVER});
}

/* Rules for the host's hypervisor, and what the next requests must say. */
static void host_fails(struct ctx *c, const void *arg)
{
    uint32_t gref[2];
    char verb[64];
    struct rq rq;

    snprintf(verb, sizeof(verb), "fail %s", (const char *)arg);
    disk_fill(c, SCRATCH, 2 * PAGE_SECTORS, 3);
    for (unsigned n = 0; n < 4; n++) {
        uint8_t *pages = pages_new(c, 2, true, gref);
        int status;

        fill(pages, n % 2 == 0 ? 0 : SCRATCH, 2 * PAGE_SECTORS, 3);
        host(c, verb, NULL, 0);
        rq = rq_rw(n % 2 == 0 ? BLKIF_OP_READ : BLKIF_OP_WRITE, SCRATCH, gref, 2);
        status = rq_do(c, 0, &rq);
        require(c, status == BLKIF_RSP_OKAY || status == BLKIF_RSP_ERROR, "status %d", status);
        require(c, status != BLKIF_RSP_OKAY || filled(pages, SCRATCH, 2 * PAGE_SECTORS, 3),
                "a read is answered with OKAY and nothing was read");
        host(c, "fail clear", NULL, 0);
        rq_want(c, 0, &rq, BLKIF_RSP_OKAY);
        pages_end(c, pages);
    }
}

#define REF(n) (&(const uint32_t){n})
#define BAD    "HOSTILE §3 grants: bad"
#define RO     "HOSTILE §3 grants: read-only"
#define GNTST  "HOSTILE §1 XSA-362"
#define HOST   (NEED_WRITE | NEED_HOST)
#define OFF                                                                                        \
    {                                                                                              \
        .no_persistent = true                                                                      \
    }
#define MIXED "HOSTILE §1 XSA-365"

// clang-format off
static const struct conform_case cases[] = {
    {"grants.zero", BAD, MUST, "reference 0 is an error", 0, {0}, bad_ref, REF(0)},
    {"grants.never-granted", BAD, MUST, "a reference nobody granted is an error", 0, {0}, bad_ref,
     REF(GREF_NEVER)},
    {"grants.beyond", BAD, MUST, "reference 2^32 - 1 is an error", 0, {0}, bad_ref,
     REF(UINT32_MAX)},
    {"grants.beyond-unkept", BAD, MUST, "the same without persistent grants", 0, OFF, bad_ref,
     REF(UINT32_MAX)},
    {"grants.foreign", BAD, MUST, "a page granted to another domain is an error", 0, {0}, foreign,
     NULL},
    {"grants.ended", BAD, MUST, "a grant that has ended is an error", 0, {0}, ended, NULL},
    {"grants.read-only-read", RO, MUST, "a read into a read-only page is an error", 0, {0},
     read_only_page, NULL},
    {"grants.read-only-read-unkept", RO, MUST, "the same without persistent grants", 0, OFF,
     read_only_page, NULL},
    {"grants.read-only-written", RO, SHOULD, "a write from a read-only page works", NEED_WRITE,
     {0}, read_only_page_written, NULL},
    {"grants.read-only-written-unkept", RO, MUST, "the same without persistent grants", NEED_WRITE,
     OFF, read_only_page_written, NULL},
    {"grants.one-bad", "HOSTILE §1 XSA-71", MUST, "one bad page of 11: the others are let go", 0,
     OFF, one_bad, NULL},
    {"grants.one-bad-kept", "HOSTILE §1 XSA-71", MUST, "the same with persistent grants", 0, {0},
     one_bad, NULL},
    {"grants.patterns", MIXED, MUST, "every pattern of good and bad pages", 0, OFF, every_pattern,
     NULL},
    {"grants.patterns-kept", MIXED, MUST, "the same with persistent grants", 0, {0}, every_pattern,
     NULL},
    {"grants.revoked", "HOSTILE §3 grants: revoked", MUST, "grants ended during the request", 0,
     OFF, revoked, NULL},
    {"grants.revoked-kept", "HOSTILE §3 grants: revoked", MUST, "the same with persistent grants",
     0, {0}, revoked, NULL},
    {"grants.ring-page", "HOSTILE §3 grants: revoked", MUST, "the ring's page is held", 0, {0},
     ring_page, NULL},
    {"grants.copy-fails", "HOSTILE §2 grant-copy ioctl", MUST,
     "the host's grant copy fails as a whole: an error, later recovery", HOST, OFF, host_fails,
     "copy:1:EFAULT"},
    {"grants.map-fails", "HOSTILE §3 grants: maptrack", MUST,
     "the host is out of map handles: done otherwise or an error, later recovery", HOST, {0},
     host_fails, "map:1:ENOSPC"},
    {"grants.status-bad-page", GNTST, MUST, "GNTST_bad_page is an error", HOST, OFF, host_fails,
     "copy:1:GNTST_bad_page"},
    {"grants.status-general", GNTST, MUST, "GNTST_general_error is an error", HOST, OFF,
     host_fails, "copy:1:GNTST_general_error"},
    {"grants.status-permission", GNTST, MUST, "GNTST_permission_denied is an error", HOST, OFF,
     host_fails, "copy:1:GNTST_permission_denied"},
};
// clang-format on
SUITE(grants);
