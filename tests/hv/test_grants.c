/* SPDX-License-Identifier: MIT
 *
 * Grants on the loopback: what Xen refuses is refused, what is mapped cannot be taken back, what is
 * unmapped faults, and a process that dies leaves nothing mapped.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/hv.h"
#include "hv/loop/client.h"
#include "hv/loop/toolstack.h"
#include "loopd_fixture.h"

#define PAGES 1024u

static struct loopd loopd;

struct world {
    uint32_t domid;
    struct hv *front, *back;
    struct hv_share *share;
    struct hv_gnttab *gt;
};

static struct hv *open_hv(const char *spec)
{
    struct hv *hv;
    struct errmsg err;

    if (hv_open(spec, &hv, &err))
        fail_msg("%s", err.text);
    return hv;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->domid = loopd_create(&loopd, PAGES);
    w->front = open_hv(loopd_spec(&loopd, w->domid));
    w->back = open_hv(loopd.dom0);
    assert_int_equal(hv_share_open(w->front, &w->share), 0);
    assert_int_equal(hv_gnttab_open(w->back, w->domid, 32, &w->gt), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    hv_gnttab_close(w->gt);
    hv_share_close(w->share);
    hv_close(w->back);
    hv_close(w->front);
    assert_int_equal(loopd_left(&loopd), 0);
    loopd_destroy(&loopd, w->domid);
    free(w);
    return 0;
}

/* ---- Mapping ---- */

static void mapped_pages_are_the_frontends_in_the_order_asked(void **state)
{
    struct world *w = *state;
    uint32_t refs[8], mixed[8];
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 8, true, refs, &own), 0);
    for (int i = 0; i < 8; i++) {
        memset((char *)own + i * 4096, 'a' + i, 4096);
        mixed[i] = refs[(i * 3) % 8];
    }
    assert_int_equal(hv_gnttab_map(w->gt, mixed, 8, PROT_READ | PROT_WRITE, &addr), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(((char *)addr)[i * 4096 + 4095], 'a' + (i * 3) % 8);
        ((char *)addr)[i * 4096] = (char)i;
        assert_int_equal(((char *)own)[(i * 3) % 8 * 4096], i);
    }
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 8), 0);
    assert_int_equal(hv_share_end(w->share, own, 8), 0);
}

static void shared_pages_start_zeroed_even_when_used_before(void **state)
{
    struct world *w = *state;
    uint32_t refs[PAGES];
    static const char zero[4096];
    void *own;

    for (int round = 0; round < 2; round++) {
        assert_int_equal(hv_share_pages(w->share, 0, PAGES, true, refs, &own), 0);
        for (uint32_t i = 0; i < PAGES; i++) {
            assert_memory_equal((char *)own + i * 4096, zero, 4096);
            assert_true(refs[i] >= 8);
        }
        memset(own, 'x', PAGES * 4096);
        assert_int_equal(hv_share_end(w->share, own, PAGES), 0);
    }
    assert_int_equal(hv_share_pages(w->share, 0, PAGES + 1, true, refs, &own), -ENOSPC);
}

static void one_bad_grant_in_any_place_maps_nothing(void **state)
{
    struct world *w = *state;
    uint32_t refs[11], bad[11];
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 11, true, refs, &own), 0);
    for (int i = 0; i < 11; i++) {
        memcpy(bad, refs, sizeof(refs));
        bad[i] = 60000;
        assert_int_equal(hv_gnttab_map(w->gt, bad, 11, PROT_READ, &addr), -EINVAL);
        assert_int_equal(loopd_left(&loopd), 0);
    }
    assert_int_equal(hv_share_end(w->share, own, 11), 0);
}

static void refused(struct world *w, uint32_t ref, int prot)
{
    void *addr;

    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, prot, &addr), -EINVAL);
}

static void absent_reserved_and_huge_references_are_refused(void **state)
{
    refused(*state, 0, PROT_READ);
    refused(*state, 7, PROT_READ);
    refused(*state, 4711, PROT_READ);
    refused(*state, LOOP_REFS, PROT_READ);
    refused(*state, UINT32_MAX, PROT_READ | PROT_WRITE);
}

static void grant_for_another_domain_is_refused(void **state)
{
    struct world *w = *state;
    struct hv_copy op = {.local = &op, .len = 8};
    uint32_t ref;
    void *own;

    assert_int_equal(hv_share_pages(w->share, 77, 1, true, &ref, &own), 0);
    refused(w, ref, PROT_READ);
    op.ref = ref;
    assert_int_equal(hv_gnttab_copy(w->gt, &op, 1), 0);
    assert_int_equal(op.status, -1);
    assert_int_equal(hv_share_end(w->share, own, 1), 0);
}

static void readonly_grant_maps_only_for_reading(void **state)
{
    struct world *w = *state;
    uint32_t ref;
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 1, false, &ref, &own), 0);
    refused(w, ref, PROT_READ | PROT_WRITE);
    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, PROT_READ, &addr), 0);
    memcpy(own, "seen", 5);
    assert_string_equal(addr, "seen");
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
    assert_int_equal(hv_share_end(w->share, own, 1), 0);
}

static void ended_grant_is_refused(void **state)
{
    struct world *w = *state;
    uint32_t ref;
    void *own;

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    assert_int_equal(hv_share_end(w->share, own, 1), 0);
    refused(w, ref, PROT_READ);
}

static void mapped_grant_cannot_be_ended(void **state)
{
    struct world *w = *state;
    uint32_t refs[3];
    void *own, *one, *two;

    assert_int_equal(hv_share_pages(w->share, 0, 3, true, refs, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &refs[1], 1, PROT_READ, &one), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &refs[1], 1, PROT_READ | PROT_WRITE, &two), 0);
    assert_int_equal(hv_share_end(w->share, own, 3), -EBUSY);
    assert_int_equal(hv_gnttab_unmap(w->gt, two, 1), 0);
    assert_int_equal(hv_share_end(w->share, own, 3), -EBUSY);
    /* The refusal has changed nothing: the others can still be mapped. */
    assert_int_equal(hv_gnttab_map(w->gt, refs, 1, PROT_READ | PROT_WRITE, &two), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, two, 1), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, one, 1), 0);
    assert_int_equal(hv_share_end(w->share, own, 3), 0);
}

static void closing_the_share_while_mapped_leaves_the_mapping_alive(void **state)
{
    struct world *w = *state;
    uint32_t ref;
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, PROT_READ | PROT_WRITE, &addr), 0);
    hv_share_close(w->share);
    assert_int_equal(hv_share_open(w->front, &w->share), 0);
    memcpy(addr, "still there", 12);
    assert_string_equal(addr, "still there");
    refused(w, ref, PROT_READ);
    /* Its page is not given to anybody else while it is mapped. */
    uint32_t refs[PAGES];
    void *rest;
    assert_int_equal(hv_share_pages(w->share, 0, PAGES, true, refs, &rest), -ENOSPC);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
    assert_int_equal(hv_share_pages(w->share, 0, PAGES, true, refs, &rest), 0);
}

static void more_than_max_grants_is_enospc(void **state)
{
    struct world *w = *state;
    uint32_t refs[33];
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 33, true, refs, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, refs, 33, PROT_READ, &addr), -ENOSPC);
    assert_int_equal(hv_gnttab_map(w->gt, refs, 32, PROT_READ, &addr), 0);
    void *more;
    assert_int_equal(hv_gnttab_map(w->gt, refs, 1, PROT_READ, &more), -ENOSPC);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 32), 0);
    assert_int_equal(hv_gnttab_map(w->gt, refs, 1, PROT_READ, &more), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, more, 1), 0);
}

static void more_than_one_message_maps_at_once(void **state)
{
    struct world *w = *state;
    struct hv_gnttab *gt;
    uint32_t refs[700];
    void *own, *addr;

    assert_int_equal(hv_gnttab_open(w->back, w->domid, 700, &gt), 0);
    assert_int_equal(hv_share_pages(w->share, 0, 700, true, refs, &own), 0);
    for (uint32_t i = 0; i < 700; i++)
        ((uint32_t *)own)[i * 1024] = i;
    assert_int_equal(hv_gnttab_map(gt, refs, 700, PROT_READ, &addr), 0);
    for (uint32_t i = 0; i < 700; i++)
        assert_int_equal(((uint32_t *)addr)[i * 1024], i);
    assert_int_equal(hv_gnttab_unmap(gt, addr, 700), 0);
    refs[699] = 0;
    assert_int_equal(hv_gnttab_map(gt, refs, 700, PROT_READ, &addr), -EINVAL);
    assert_int_equal(loopd_left(&loopd), 0);
    hv_gnttab_close(gt);
}

static void fragmented_window_still_finds_room(void **state)
{
    struct world *w = *state;
    uint32_t refs[32];
    void *own, *one[32], *many;

    assert_int_equal(hv_share_pages(w->share, 0, 32, true, refs, &own), 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 32; i++)
            assert_int_equal(hv_gnttab_map(w->gt, &refs[i], 1, PROT_READ, &one[i]), 0);
        for (int i = 0; i < 32; i += 2)
            assert_int_equal(hv_gnttab_unmap(w->gt, one[i], 1), 0);
        assert_int_equal(hv_gnttab_map(w->gt, refs, 16, PROT_READ, &many), 0);
        assert_int_equal(hv_gnttab_unmap(w->gt, many, 16), 0);
        for (int i = 1; i < 32; i += 2)
            assert_int_equal(hv_gnttab_unmap(w->gt, one[i], 1), 0);
    }
}

static void unmap_of_what_is_not_mapped_so_is_refused(void **state)
{
    struct world *w = *state;
    uint32_t refs[4];
    void *own, *addr;
    char page[1];

    assert_int_equal(hv_share_pages(w->share, 0, 4, true, refs, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, refs, 4, PROT_READ, &addr), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 3), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(w->gt, (char *)addr + 4096, 3), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(w->gt, page, 1), -EINVAL);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 4), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 4), -EINVAL);
}

/* ---- Faults: in a child, which must die of SIGSEGV ---- */

static void touch_faults(volatile char *p, bool write)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        signal(SIGSEGV, SIG_DFL);
        if (write)
            *p = 1;
        else
            (void)*p;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void touching_an_unmapped_page_faults(void **state)
{
    struct world *w = *state;
    uint32_t ref;
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, PROT_READ | PROT_WRITE, &addr), 0);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
    touch_faults(addr, false);
    /* The next mapping goes elsewhere, so the stale address goes on faulting. */
    void *other;
    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, PROT_READ | PROT_WRITE, &other), 0);
    assert_ptr_not_equal(other, addr);
    touch_faults(addr, true);
    assert_int_equal(hv_gnttab_unmap(w->gt, other, 1), 0);
}

static void writing_a_page_mapped_for_reading_faults(void **state)
{
    struct world *w = *state;
    uint32_t ref;
    void *own, *addr;

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    assert_int_equal(hv_gnttab_map(w->gt, &ref, 1, PROT_READ, &addr), 0);
    touch_faults(addr, true);
    assert_int_equal(hv_gnttab_unmap(w->gt, addr, 1), 0);
}

/* ---- Copying ---- */

static void copy_moves_exactly_the_bytes_asked_both_ways(void **state)
{
    struct world *w = *state;
    char in[4096], out[4096];
    uint32_t refs[2];
    void *own;

    assert_int_equal(hv_share_pages(w->share, 0, 2, true, refs, &own), 0);
    memset(own, 'g', 8192);
    memset(in, 'l', sizeof(in));
    memset(out, '-', sizeof(out));
    struct hv_copy ops[] = {
        {.local = in, .ref = refs[0], .offset = 512, .len = 1024, .to_guest = true, .status = 9},
        {.local = out, .ref = refs[1], .offset = 4095, .len = 1, .status = 9},
        {.local = out + 1, .ref = refs[1], .offset = 4096, .len = 0, .status = 9},
    };
    assert_int_equal(hv_gnttab_copy(w->gt, ops, 3), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ops[i].status, 0);
    for (int i = 0; i < 8192; i++)
        assert_int_equal(((char *)own)[i], i >= 512 && i < 1536 ? 'l' : 'g');
    assert_int_equal(out[0], 'g');
    assert_int_equal(out[1], '-');
    assert_int_equal(hv_share_end(w->share, own, 2), 0);
}

static void copy_beyond_the_page_refuses_the_whole_call(void **state)
{
    struct world *w = *state;
    char buf[4096] = "untouched";
    uint32_t ref;
    void *own;

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    struct hv_copy ops[] = {
        {.local = buf, .ref = ref, .len = 4096},
        {.local = buf, .ref = ref, .offset = 1, .len = 4096},
    };
    assert_int_equal(hv_gnttab_copy(w->gt, ops, 2), -EINVAL);
    assert_string_equal(buf, "untouched");
}

static void bad_copies_fail_one_by_one_and_the_good_ones_succeed(void **state)
{
    struct world *w = *state;
    uint32_t ref, ro, gone;
    void *own, *p;
    char a[8] = "", b[8] = "bbbbbbb";

    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &gone, &p), 0);
    assert_int_equal(hv_share_end(w->share, p, 1), 0);
    assert_int_equal(hv_share_pages(w->share, 0, 1, true, &ref, &own), 0);
    assert_int_equal(hv_share_pages(w->share, 0, 1, false, &ro, &p), 0);
    memcpy(own, "good", 5);
    struct hv_copy ops[] = {
        {.local = a, .ref = 70000, .len = 8}, {.local = b, .ref = ro, .len = 8, .to_guest = true},
        {.local = a, .ref = gone, .len = 8},  {.local = a, .ref = 0, .len = 8},
        {.local = a, .ref = ref, .len = 8},   {.local = b, .ref = ro, .len = 8},
    };
    assert_int_equal(hv_gnttab_copy(w->gt, ops, 6), 0);
    assert_int_equal(ops[0].status, -3);
    assert_int_equal(ops[1].status, -1);
    assert_int_equal(ops[2].status, -1);
    assert_int_equal(ops[3].status, -1);
    assert_int_equal(ops[4].status, 0);
    assert_int_equal(ops[5].status, 0);
    assert_string_equal(a, "good");
    assert_string_equal(b, ""); /* the read-only page was not written before */
}

/* As if another thread were in the middle of a copy: its slot says so. */
static void grant_being_copied_cannot_be_ended(void **state)
{
    struct world *w = *state;
    struct loop_peer *self;
    uint32_t refs[2];
    char buf[8] = "";
    void *own;

    assert_int_equal(hv_share_pages(w->share, 0, 2, true, refs, &own), 0);
    struct hv_copy op = {.local = buf, .ref = refs[1], .len = 8, .to_guest = true};
    assert_int_equal(hv_gnttab_copy(w->gt, &op, 1), 0);
    assert_int_equal(loop_peer_get((struct loop_hv *)w->front, w->domid, &self), 0);
    self->table->slot[0].ref1 = refs[1] + 1;
    assert_int_equal(hv_share_end(w->share, own, 2), -EBUSY);
    self->table->slot[0].ref1 = 0;
    assert_int_equal(hv_gnttab_copy(w->gt, &op, 1), 0);
    assert_int_equal(op.status, 0); /* the grant is as it was */
    assert_int_equal(hv_share_end(w->share, own, 2), 0);
}

/* ---- Death ---- */

static void process_that_dies_leaves_nothing_mapped(void **state)
{
    struct world *w = *state;
    uint32_t refs[4];
    void *own;
    int status;

    assert_int_equal(hv_share_pages(w->share, 0, 4, true, refs, &own), 0);
    pid_t pid = fork();
    if (!pid) {
        struct errmsg err;
        struct hv *hv;
        struct hv_gnttab *gt;
        void *addr;

        if (hv_open(loopd.dom0, &hv, &err) || hv_gnttab_open(hv, w->domid, 8, &gt) ||
            hv_gnttab_map(gt, refs, 4, PROT_READ | PROT_WRITE, &addr))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (hv_share_end(w->share, own, 4) == -EBUSY)
        usleep(1000); /* the server has yet to hear of the death */
    assert_int_equal(loopd_left(&loopd), 0);
}

static int count_dying(const struct loop_list_row *row, void *arg)
{
    *(uint32_t *)arg += row->dying;
    return 0;
}

static uint32_t zombies(void)
{
    struct loop_hv *ts;
    struct errmsg err;
    uint32_t n = 0;

    assert_int_equal(loop_toolstack_open(loopd.dir, &ts, &err), 0);
    assert_int_equal(loop_domain_list(ts, count_dying, &n), 0);
    loop_toolstack_close(ts);
    return n;
}

static void destroyed_domain_stays_a_zombie_until_unmapped(void **state)
{
    struct world *w = *state;
    uint32_t domid = loopd_create(&loopd, 16), refs[2];
    struct hv *front = open_hv(loopd_spec(&loopd, domid));
    struct hv_share *share;
    struct hv_gnttab *gt;
    void *own, *addr, *more;
    char buf[8];

    assert_int_equal(hv_share_open(front, &share), 0);
    assert_int_equal(hv_share_pages(share, 0, 2, true, refs, &own), 0);
    assert_int_equal(hv_gnttab_open(w->back, domid, 8, &gt), 0);
    assert_int_equal(hv_gnttab_map(gt, refs, 1, PROT_READ | PROT_WRITE, &addr), 0);
    loopd_destroy(&loopd, domid);
    assert_int_equal(zombies(), 1);
    memcpy(addr, "alive", 6);
    assert_string_equal(own, "alive");
    assert_int_equal(hv_gnttab_map(gt, &refs[1], 1, PROT_READ, &more), -EINVAL);
    struct hv_copy op = {.local = buf, .ref = refs[1], .len = 8};
    assert_int_equal(hv_gnttab_copy(gt, &op, 1), 0);
    assert_int_equal(op.status, -2);
    assert_int_equal(hv_share_pages(share, 0, 1, true, refs, &own), -EPIPE);
    assert_int_equal(hv_gnttab_unmap(gt, addr, 1), 0);
    assert_int_equal(zombies(), 0);
    hv_gnttab_close(gt);
    hv_share_close(share);
    hv_close(front);
}

static void unknown_domain_cannot_be_opened(void **state)
{
    struct world *w = *state;
    struct hv_gnttab *gt;
    struct errmsg err;
    struct hv *hv;

    assert_int_equal(hv_gnttab_open(w->back, 4000, 1, &gt), -ESRCH);
    assert_int_equal(hv_open(loopd_spec(&loopd, 4000), &hv, &err), -ENOENT);
    assert_non_null(strstr(err.text, "blkback-loopctl create"));
    assert_int_equal(hv_open("loop:/nonexistent", &hv, &err), -ENOENT);
    assert_non_null(strstr(err.text, "blkback-loopd --dir"));
    assert_int_equal(hv_open("loop:", &hv, &err), -EINVAL);
    assert_int_equal(hv_open("kvm", &hv, &err), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(mapped_pages_are_the_frontends_in_the_order_asked),
        T(shared_pages_start_zeroed_even_when_used_before),
        T(one_bad_grant_in_any_place_maps_nothing),
        T(absent_reserved_and_huge_references_are_refused),
        T(grant_for_another_domain_is_refused),
        T(readonly_grant_maps_only_for_reading),
        T(ended_grant_is_refused),
        T(mapped_grant_cannot_be_ended),
        T(closing_the_share_while_mapped_leaves_the_mapping_alive),
        T(more_than_max_grants_is_enospc),
        T(more_than_one_message_maps_at_once),
        T(fragmented_window_still_finds_room),
        T(unmap_of_what_is_not_mapped_so_is_refused),
        T(touching_an_unmapped_page_faults),
        T(writing_a_page_mapped_for_reading_faults),
        T(copy_moves_exactly_the_bytes_asked_both_ways),
        T(copy_beyond_the_page_refuses_the_whole_call),
        T(bad_copies_fail_one_by_one_and_the_good_ones_succeed),
        T(grant_being_copied_cannot_be_ended),
        T(process_that_dies_leaves_nothing_mapped),
        T(destroyed_domain_stays_a_zombie_until_unmapped),
        T(unknown_domain_cannot_be_opened),
    };

    loopd_start(&loopd, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loopd_stop(&loopd))
        failed++;
    return failed;
}
