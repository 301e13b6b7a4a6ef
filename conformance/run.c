/* SPDX-License-Identifier: MIT
 *
 * Runs cases: a legal start, the case, a legal end, then proof that the disk still works.
 * Thread: main.
 */
#include "run.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const struct suite *const suites[] = {
    &suite_negotiation,
    &suite_io,
    &suite_segments,
    &suite_indirect,
    &suite_abis,
    &suite_flush_barrier,
    &suite_discard,
    &suite_persistent,
    &suite_multi_queue,
    &suite_resize,
    &suite_teardown,
    &suite_pairs,
    &suite_hostile_requests,
    &suite_hostile_flips,
    &suite_hostile_indices,
    &suite_hostile_xenstore,
    &suite_grants,
    &suite_storms,
    &suite_leaks,
};

#define LOST_MAX 3 /* so many cases in a row that left no working disk: the rest would too */

void cases_each(const char *glob, void (*each)(const struct conform_case *k, void *arg), void *arg)
{
    for (size_t s = 0; s < sizeof(suites) / sizeof(suites[0]); s++)
        for (unsigned i = 0; i < suites[s]->n; i++)
            if (fnmatch(glob, suites[s]->cases[i].id, 0) == 0)
                each(&suites[s]->cases[i], arg);
}

struct run {
    struct settings set;
    struct offer offer;
    unsigned done, failed, skipped, lost;
};

static const char *missing(const struct run *r, const struct conform_case *k)
{
    const struct blkfront_info *info = &r->offer.info;
    const struct {
        unsigned need;
        bool have;
        const char *why;
    } rows[] = {
        {NEED_WRITE, !info->read_only, "the disk is read-only"},
        {NEED_READ_ONLY, info->read_only, "the disk is not read-only"},
        {NEED_FLUSH, info->flush, "the backend offers no flush"},
        {NEED_BARRIER, info->barrier, "the backend offers no barrier"},
        {NEED_DISCARD, info->discard, "the backend offers no discard"},
        {NEED_INDIRECT, info->max_indirect != 0, "the backend offers no indirect requests"},
        {NEED_PERSISTENT, info->persistent, "the backend offers no persistent grants"},
        {NEED_QUEUES, r->offer.max_queues > 1, "the backend offers one queue"},
        {NEED_RINGS, r->offer.max_order > 0, "the backend offers rings of one page"},
        {NEED_HOST, r->set.host != NULL, "needs --host"},
        {NEED_NO_FLUSH, !info->flush, "the backend offers flush"},
        {NEED_NO_BARRIER, !info->barrier, "the backend offers barriers"},
        {NEED_NO_DISCARD, !info->discard, "the backend offers discard"},
        {NEED_NO_INDIRECT, info->max_indirect == 0, "the backend offers indirect requests"},
        {NEED_SECURE, info->discard_secure, "the backend offers no secure discard"},
        {NEED_NO_SECURE, !info->discard_secure, "the backend offers secure discard"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if ((k->needs & rows[i].need) != 0 && !rows[i].have)
            return rows[i].why;
    if (k->how.queues > r->offer.max_queues)
        return "the backend offers fewer queues";
    if (k->how.order > r->offer.max_order)
        return "the backend offers smaller rings";
    return NULL;
}

static void body(struct ctx *c)
{
    const struct conform_case *k = c->now;

    link_open(c, &k->how);
    k->run(c, k->arg);
}

/* What the host sees of us: as before the first case. */
static void baseline(struct ctx *c)
{
    if (c->set->host != NULL)
        host(c, "check", NULL, 0);
}

struct verdict {
    bool failed, skipped;
    char why[500];
};

/* Takes what a stage of the case left in c; what went wrong first is what is told. */
static bool note(struct verdict *v, struct ctx *c, const char *when)
{
    bool failed = c->failed;

    if (!v->failed && (failed || c->skipped)) {
        v->failed = failed;
        v->skipped = !failed;
        snprintf(v->why, sizeof(v->why), "%s%s", when, c->why);
    }
    c->failed = c->skipped = false;
    return failed;
}

static void print(struct run *r, const struct conform_case *k, const struct verdict *v)
{
    r->done++;
    r->failed += v->failed;
    r->skipped += v->skipped;
    printf("%s %u - %s: %s (%s, %s)%s%s\n", v->failed ? "not ok" : "ok", r->done, k->id, k->what,
           k->level == MUST ? "MUST" : "SHOULD", k->clause, v->skipped ? " # SKIP " : "",
           v->skipped ? v->why : "");
    if (v->failed)
        printf("# %s: %s\n", k->id, v->why);
    fflush(stdout);
}

static void run_stages(struct run *r, struct ctx *c, struct verdict *v)
{
    guarded(c, body);
    note(v, c, "");
    link_restore(c);
    note(v, c, "at its end: ");
    guarded(c, link_proves);
    r->lost = note(v, c, "afterwards: ") ? r->lost + 1 : 0;
    link_restore(c);
    c->failed = false;
    guarded(c, baseline);
    note(v, c, "on the host: ");
}

static void run_case(const struct conform_case *k, void *arg)
{
    struct run *r = arg;
    static struct ctx c; /* large; one at a time */
    struct verdict v = {0};
    const char *without = missing(r, k);

    if (r->lost == LOST_MAX)
        return;
    c = (struct ctx){.set = &r->set, .offer = &r->offer, .now = k};
    if (without != NULL) {
        v.skipped = true;
        snprintf(v.why, sizeof(v.why), "%s", without);
    } else {
        run_stages(r, &c, &v);
    }
    print(r, k, &v);
    if (r->lost == LOST_MAX)
        printf("Bail out! no legal connection after %d cases in a row\n", LOST_MAX);
}

static struct offer offer; /* of the backend; probe() is called with a ctx only */

static void probe(struct ctx *c)
{
    int rc = link_read_offer(c, &offer);

    if (rc != 0) {
        c->refused = rc;
        longjmp(c->out, 1);
    }
    link_close(c);
    baseline(c);
}

int cases_run(const struct settings *set, const char *glob)
{
    struct run r = {.set = *set};
    static struct ctx c;

    c = (struct ctx){.set = &r.set, .offer = &offer};
    if (!guarded(&c, probe)) {
        fprintf(stderr, "blkif-conform: %s\n", c.why);
        return c.refused == -EHOSTUNREACH ? 3 : c.refused == -ENOENT ? 4 : 1;
    }
    r.offer = offer;
    cases_each(glob, run_case, &r);
    printf("1..%u\n# %u failed, %u skipped\n", r.done, r.failed, r.skipped);
    return r.failed == 0 && r.lost != LOST_MAX ? 0 : 1;
}
