/* SPDX-License-Identifier: MIT
 *
 * See rig.h: the life of the disk and its rings. Threads: one.
 */
#include "rig.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blkif/features.h"
#include "fiber.h"

#define SETTLE_STEPS 20000

struct rig rig;

static struct ring_config shared_config;
static struct ring_gate *gate;
static int event_fd = -1;

bool sabotaged(const char *how)
{
    static const char *named;

    if (!named)
        named = getenv("FUZZ_SABOTAGE") ? getenv("FUZZ_SABOTAGE") : "";
    return strcmp(named, how) == 0;
}

static void forget_all(void)
{
    unsigned char *memory = rig.memory, *shadow = rig.shadow;

    memset(&rig, 0, sizeof(rig));
    rig.memory = memory ? memory : aligned_alloc(HV_PAGE, RIG_PAGES * HV_PAGE);
    rig.shadow = shadow ? shadow : malloc(RIG_PAGES * HV_PAGE);
    memset(rig.memory, 0x5a, RIG_PAGES * HV_PAGE);
    memset(rig.shadow, 0x5a, RIG_PAGES * HV_PAGE);
    if (event_fd < 0)
        event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

bool rig_open(const struct ring_config *config, unsigned rings, unsigned order, uint32_t start)
{
    forget_all();
    rig.hv.ops = &rig_hv_ops;
    rig.engine = &rig_engine_ops;
    rig.nr_rings = rings;
    rig.now_ms = 1000;
    for (unsigned i = RIG_RING_REF; i < RIG_PAGES; i++)
        rig.grant[i] = GRANT_RW;
    shared_config = *config;
    shared_config.nr_refs = 1u << order;
    for (unsigned i = 0; i < rings; i++) {
        struct rig_ring *rr = &rig.rings[i];
        struct blkif_sring head = {start, start + 1, start, start + 1, {0}};
        rr->entries = blkif_ring_entries(config->abi, 1u << order);
        rr->slot_bytes = blkif_slot_bytes(config->abi);
        CHECK(rr->entries == 32u << order);
        rr->req_prod = start;
        guest_store(guest_ring(i), &head, 16);
        rr->tidy = true;
    }
    return true;
}

static int start_ring(unsigned i)
{
    struct rig_ring *rr = &rig.rings[i];
    struct errmsg err = {""};

    rr->config = shared_config;
    rr->config.index = i;
    rr->config.domid = RIG_DOMID;
    rr->config.hv = &rig.hv;
    rr->config.port = RIG_PORT + i;
    for (unsigned p = 0; p < rr->config.nr_refs; p++)
        rr->config.refs[p] = RIG_RING_REF + i * RIG_RING_PAGES + p;
    rr->config.engine = (struct engine *)&rig.engine;
    rr->config.gate = gate;
    rr->config.stats = &rr->stats;
    rr->config.event_fd = event_fd;
    snprintf(rr->config.thread_name, sizeof(rr->config.thread_name), "7.fuzz-%hhu", (uint8_t)i);
    rr->stats = (struct stats_ring){0};
    rr->impossible = rr->answering = rr->paused = false;
    rr->notifies = rr->wanted = 0;
    uint32_t at;
    memcpy(&at, rig.memory + guest_ring(i) + offsetof(struct blkif_sring, rsp_prod), sizeof(at));
    rr->req_cons = rr->rsp_pvt = rr->rsp_pub = at;
    struct ring *ring;
    int ret = ring_start(&rr->config, &ring, &err);
    CHECK(!ret == !err.text[0]);
    rr->up = !ret;
    CHECK(ret || rr->ring == ring);
    return ret;
}

bool rig_connect(void)
{
    CHECK(ring_gate_create(rig.nr_rings, &gate) == 0);
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        if (start_ring(i)) {
            rig_disconnect();
            return false;
        }
    }
    return true;
}

static void let_all_go(void)
{
    rig.hold = false;
    while (rig.nr_held)
        guest_release(0);
}

static void check_nothing_left(void)
{
    for (unsigned i = 0; i < RIG_PAGES; i++)
        CHECK(rig.mapped[i] == 0 && rig.direct[0][i] == 0 && rig.direct[1][i] == 0);
    CHECK(rig.handles == 0 && rig.nr_live == 0 && rig.in_storage == 0 && !rig.barrier);
    for (unsigned i = 0; i < rig.nr_rings; i++)
        CHECK(!rig.rings[i].bound);
    CHECK(!memcmp(rig.memory, rig.shadow, RIG_PAGES * HV_PAGE));
}

void rig_disconnect(void)
{
    struct ring *rings[RIG_RINGS];

    let_all_go();
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        rings[i] = rig.rings[i].ring;
        if (rig.rings[i].up)
            ring_stop(rings[i]);
    }
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        if (rig.rings[i].up)
            ring_destroy(rings[i]);
        rig.rings[i].up = false;
    }
    fibers_forget();
    ring_gate_destroy(gate);
    gate = NULL;
    check_nothing_left();
}

void rig_settle(void)
{
    uint64_t quiet = 0, before = rig.progress;

    for (unsigned n = 0; quiet < 3; n++) {
        CHECK(n < SETTLE_STEPS); /* something keeps a ring busy for ever */
        fibers_step();
        quiet = rig.progress == before ? quiet + 1 : 0;
        before = rig.progress;
    }
    for (unsigned i = 0; i < rig.nr_rings; i++)
        CHECK(!rig.rings[i].up || rig.rings[i].waiting);
}

void rig_pass_time(uint64_t ms)
{
    rig.now_ms += ms;
    for (unsigned i = 0; i < rig.nr_rings; i++)
        rig.rings[i].timeout = true;
}

void rig_pause(unsigned ring, bool on)
{
    struct rig_ring *rr = &rig.rings[ring];

    rr->paused = on;
    ring_pause(rr->ring, on);
}

void rig_resize(uint64_t sectors)
{
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        rig.rings[i].config.limits.nr_sectors = sectors;
        ring_resize(rig.rings[i].ring, sectors);
    }
    shared_config.limits.nr_sectors = sectors;
}

/* No request uses a grant any more. */
static void check_grants(const struct grant_table *t)
{
    for (uint32_t i = 0; t->slot && i <= t->mask; i++)
        CHECK(!t->slot[i] || !t->slot[i]->busy);
}

static void check_rings(bool all)
{
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        struct rig_ring *rr = &rig.rings[i];
        CHECK(!rr->stats.halted || rr->impossible);
        if (rr->stats.halted)
            continue;
        CHECK(rr->rsp_pub == rr->rsp_pvt && rr->req_cons == rr->rsp_pvt);
        CHECK(rr->notifies == rr->wanted);
        check_grants(&rr->ring->grants);
        if (all || rr->tidy) /* else nobody has told the ring of its work */
            CHECK(judge_pending(rr) == 0);
    }
}

/* A ring that was stormed with events listens again after a moment. */
static void come_to_rest(void)
{
    let_all_go();
    rig_settle();
    rig_pass_time(20);
    rig_settle();
    CHECK(rig.nr_live == 0);
}

static void check_pauses(void)
{
    for (unsigned i = 0; i < rig.nr_rings; i++) {
        CHECK(ring_resting(rig.rings[i].ring) == rig.rings[i].paused);
        if (rig.rings[i].paused)
            rig_pause(i, false);
    }
}

void rig_rest(void)
{
    come_to_rest();
    rig.strike_in = 0; /* from here on the guest keeps still */
    check_pauses();
    come_to_rest();
    check_rings(false);
    for (unsigned i = 0; i < rig.nr_rings; i++)
        guest_notify(i);
    come_to_rest();
    check_rings(true);
    CHECK(!memcmp(rig.memory, rig.shadow, RIG_PAGES * HV_PAGE));
}

void rig_close(void)
{
    uint64_t count;

    rig_disconnect();
    while (read(event_fd, &count, sizeof(count)) > 0)
        ;
}
