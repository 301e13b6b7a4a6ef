/* SPDX-License-Identifier: MIT
 *
 * A guest's mistakes get their status, change no byte, keep nothing, and the ring goes on.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <cmocka.h>

#include "base/barrier.h"
#include "guest.h"

#define DISK_BYTES (1u << 20)
#define SECTORS    (DISK_BYTES / 512)

static void read_only(struct ring_config *c)
{
    c->limits.read_only = true;
}

static bool untouched(const struct store *s)
{
    for (uint64_t i = 0; i < s->size_bytes; i++)
        if (s->bytes[i] != 0xee)
            return false;
    return true;
}

struct fixture {
    struct store *s;
    struct guest *g;
};

static struct fixture up(void (*edit)(struct ring_config *))
{
    struct fixture f;

    f.s = store_new(DISK_BYTES);
    memset(f.s->bytes, 0xee, DISK_BYTES);
    f.g = guest_new(f.s, BLKIF_ABI_X86_64, 0);
    guest_connect(f.g, true, edit);
    return f;
}

static void down(struct fixture f)
{
    struct blkif_segment ok = guest_seg(40, 0, 7);

    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_READ, 0, &ok, 1), BLKIF_RSP_OKAY);
    assert_int_equal(f.g->stats.halted, RING_RUNNING);
    guest_free(f.g);
    store_free(f.s);
}

static void bad_requests(void **state)
{
    static const struct {
        unsigned op, n;
        uint64_t sector;
        unsigned first, last;
        int status;
    } rows[] = {
        {BLKIF_OP_RESERVED_1, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP},
        {7, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP},
        {255, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP},
        {BLKIF_OP_INDIRECT, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP}, /* not offered */
        {BLKIF_OP_READ, 0, 0, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 0, 0, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_READ, 12, 0, 0, 7, BLKIF_RSP_ERROR}, /* CVE-2007-5498 */
        {BLKIF_OP_WRITE, 255, 0, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, 0, 4, 3, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, 0, 0, 8, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, 0, 255, 255, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, SECTORS - 7, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, SECTORS, 0, 0, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, UINT64_MAX, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE, 1, (uint64_t)1 << 55, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_FLUSH, 1, SECTORS, 0, 7, BLKIF_RSP_ERROR},
        {BLKIF_OP_WRITE_BARRIER, 1, SECTORS, 0, 7, BLKIF_RSP_ERROR},
    };
    struct fixture f = up(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];
        for (unsigned k = 0; k < BLKIF_SEGS_PER_REQUEST; k++)
            seg[k] = guest_seg(40 + k, rows[i].first, rows[i].last);
        guest_rw(f.g, rows[i].op, i, rows[i].sector, seg, rows[i].n);
        guest_push(f.g);
        struct blkif_response rsp = guest_response(f.g);
        if (rsp.status != rows[i].status || rsp.id != i)
            fail_msg("row %zu: status %d", i, rsp.status);
    }
    assert_true(untouched(f.s));
    assert_int_equal(f.g->maps, 1);
    down(f);
}

static void discard_out_of_range(void **state) /* CVE-2013-2140 */
{
    static const uint64_t rows[][2] = {
        {SECTORS, 1}, {0, SECTORS + 1}, {1, UINT64_MAX}, {UINT64_MAX, 2}, {SECTORS - 1, 2}};
    struct fixture f = up(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guest_discard(f.g, i, rows[i][0], rows[i][1], 0);
        guest_push(f.g);
        assert_int_equal(guest_response(f.g).status, BLKIF_RSP_ERROR);
    }
    guest_discard(f.g, 9, 5, 0, 0); /* nothing asked */
    guest_push(f.g);
    assert_int_equal(guest_response(f.g).status, BLKIF_RSP_OKAY);
    assert_true(untouched(f.s));
    assert_int_equal(store_logged(f.s), 0);
    down(f);
}

static void changes_to_a_read_only_disk(void **state) /* XSA-142 */
{
    struct blkif_segment seg = guest_seg(40, 0, 7);
    struct fixture f = up(read_only);

    (void)state;
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_WRITE, 0, &seg, 1), BLKIF_RSP_ERROR);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_WRITE_BARRIER, 0, &seg, 1), BLKIF_RSP_ERROR);
    assert_int_equal(guest_do_rw(f.g, BLKIF_OP_FLUSH, 0, &seg, 1), BLKIF_RSP_ERROR);
    guest_discard(f.g, 1, 0, 8, 0);
    guest_push(f.g);
    assert_int_equal(guest_response(f.g).status, BLKIF_RSP_ERROR);
    assert_true(untouched(f.s));
    assert_int_equal(store_logged(f.s), 0);
    down(f);
}

static void offer_indirect(struct ring_config *c)
{
    c->limits.max_indirect = 64;
}

static void bad_indirect_requests(void **state)
{
    static const struct {
        unsigned inner, n, last;
        uint64_t sector;
        uint32_t gref;
    } rows[] = {
        {BLKIF_OP_READ, 0, 7, 0, 40},
        {BLKIF_OP_READ, 65, 7, 0, 40}, /* more than offered: no page may be read */
        {BLKIF_OP_WRITE, 65535, 7, 0, 40},
        {BLKIF_OP_WRITE_BARRIER, 1, 7, 0, 40},
        {BLKIF_OP_DISCARD, 1, 7, 0, 40},
        {BLKIF_OP_INDIRECT, 1, 7, 0, 40},
        {BLKIF_OP_WRITE, 2, 8, 0, 40},
        {BLKIF_OP_WRITE, 2, 7, SECTORS - 15, 40},
        {BLKIF_OP_WRITE, 2, 7, UINT64_MAX - 3, 40},
        {BLKIF_OP_WRITE, 2, 7, 0, 9999},
        {BLKIF_OP_WRITE, 2, 7, 0, 0},
    };

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct fixture f;
        struct blkif_segment seg[64];
        f.s = store_new(DISK_BYTES);
        memset(f.s->bytes, 0xee, DISK_BYTES);
        f.g = guest_new(f.s, BLKIF_ABI_X86_64, 0);
        guest_connect(f.g, persistent, offer_indirect);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            for (unsigned k = 0; k < 64; k++)
                seg[k] = guest_seg(41 + k, 0, rows[i].last);
            guest_indirect(f.g, rows[i].inner, i, rows[i].sector, rows[i].gref, seg,
                           rows[i].n < 64 ? rows[i].n : 64);
            if (rows[i].n > 64) { /* the count in the slot, beyond what is in the page */
                struct blkif_indirect_x86_64 *r =
                    (void *)(guest_page(f.g, GUEST_RING_REF) + 64 +
                             ((f.g->req_prod - 1) & 31) * BLKIF_SLOT_BYTES_X86_64);
                r->nr_segments = (uint16_t)rows[i].n;
            }
            guest_push(f.g);
            struct blkif_response rsp = guest_response(f.g);
            if (rsp.status != BLKIF_RSP_ERROR || rsp.id != i)
                fail_msg("row %zu: status %d", i, rsp.status);
        }
        assert_true(untouched(f.s));
        down(f);
    }
}

static void whole_rings_of_garbage(void **state)
{
    struct fixture f = up(NULL);

    (void)state;
    for (int round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 32; i++)
            guest_rw(f.g, 77, i, 0, NULL, 200);
        guest_push(f.g);
        for (unsigned i = 0; i < 32; i++)
            assert_int_equal(guest_response(f.g).status, BLKIF_RSP_EOPNOTSUPP);
    }
    assert_int_equal(f.g->stats.refused, 200 * 32);
    down(f);
}

static void impossible_index_halts_the_ring(void **state) /* CVE-2010-4247 */
{
    static const uint32_t ahead[] = {33, 0x80000000u, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture f = up(NULL);
        uint64_t n;
        f.g->req_prod += ahead[i];
        guest_push(f.g);
        guest_notify(f.g);
        while (read(f.g->event_fd, &n, sizeof(n)) != sizeof(n))
            usleep(1000);
        assert_int_equal(READ_ONCE(f.g->stats.halted), RING_HALT_OVERFLOW);
        struct blkif_sring *ring = (void *)guest_page(f.g, GUEST_RING_REF);
        assert_int_equal(ring->rsp_prod, 0); /* no answer */
        guest_free(f.g);
        store_free(f.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(discard_out_of_range),
        cmocka_unit_test(changes_to_a_read_only_disk),
        cmocka_unit_test(bad_indirect_requests),
        cmocka_unit_test(whole_rings_of_garbage),
        cmocka_unit_test(impossible_index_halts_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
