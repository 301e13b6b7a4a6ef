/* SPDX-License-Identifier: MIT
 *
 * Bytes arrive where they belong: with persistent grants and with grant copy, in both layouts,
 * whole and partial segments, a full ring, indices that cross 2^32, many passes.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guest.h"

#define DISK_BYTES (1u << 20)

static const struct way {
    const char *name;
    enum blkif_abi abi;
    bool persistent;
    uint32_t index;
    bool pins_slowly;
} ways[] = {
    {"x86_64 persistent", BLKIF_ABI_X86_64, true, 0, false},
    {"x86_64 copy", BLKIF_ABI_X86_64, false, 0, false},
    {"x86_64 persistent, copied from", BLKIF_ABI_X86_64, true, 0, true},
    {"x86_32 persistent, copied from", BLKIF_ABI_X86_32, true, 0x80000000u, true},
    {"x86_32 persistent", BLKIF_ABI_X86_32, true, 5, false},
    {"x86_32 copy near the wrap", BLKIF_ABI_X86_32, false, 0xfffffff0u, false},
    {"x86_64 persistent near the wrap", BLKIF_ABI_X86_64, true, 0xffffffffu, false},
};

static void fill(unsigned char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(seed + i * 7 + (i >> 8) * 13);
}

static void write_then_read_back(struct guest *g)
{
    struct store *s = g->store;
    /* Three segments: the tail of a page, a whole page, one sector in the middle of a third. */
    struct blkif_segment seg[] = {guest_seg(40, 5, 7), guest_seg(41, 0, 7), guest_seg(45, 3, 3)};

    fill(guest_page(g, 40), 4096, 1);
    fill(guest_page(g, 41), 4096, 2);
    fill(guest_page(g, 45), 4096, 3);
    memset(s->bytes, 0xee, s->size_bytes);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 9, seg, 3), BLKIF_RSP_OKAY);
    assert_memory_equal(s->bytes + 9 * 512, guest_page(g, 40) + 5 * 512, 3 * 512);
    assert_memory_equal(s->bytes + 12 * 512, guest_page(g, 41), 4096);
    assert_memory_equal(s->bytes + 20 * 512, guest_page(g, 45) + 3 * 512, 512);
    assert_int_equal(s->bytes[9 * 512 - 1], 0xee);
    assert_int_equal(s->bytes[21 * 512], 0xee);

    struct blkif_segment into[] = {guest_seg(50, 1, 3), guest_seg(51, 0, 7), guest_seg(52, 7, 7)};
    memset(guest_page(g, 50), 0x55, 3 * 4096);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 9, into, 3), BLKIF_RSP_OKAY);
    assert_memory_equal(guest_page(g, 50) + 512, s->bytes + 9 * 512, 3 * 512);
    assert_memory_equal(guest_page(g, 51), s->bytes + 12 * 512, 4096);
    assert_memory_equal(guest_page(g, 52) + 7 * 512, s->bytes + 20 * 512, 512);
    assert_int_equal(guest_page(g, 50)[511], 0x55); /* not a byte outside the segments */
    assert_int_equal(guest_page(g, 50)[4 * 512], 0x55);
    assert_int_equal(guest_page(g, 52)[7 * 512 - 1], 0x55);
}

static void full_ring_at_once(struct guest *g)
{
    bool seen[32] = {false};

    for (unsigned i = 0; i < 32; i++) {
        struct blkif_segment seg = guest_seg(64 + i, 0, 7);
        fill(guest_page(g, 64 + i), 4096, 100 + i);
        guest_rw(g, BLKIF_OP_WRITE, i, i * 8, &seg, 1);
    }
    guest_push(g);
    for (unsigned i = 0; i < 32; i++) {
        struct blkif_response rsp = guest_response(g);
        assert_true(rsp.id < 32);
        assert_false(seen[rsp.id]);
        seen[rsp.id] = true;
        assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
    }
    assert_memory_equal(g->store->bytes, guest_page(g, 64), 32 * 4096);
}

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct store *s = store_new(DISK_BYTES);
        struct guest *g = guest_new(s, ways[i].abi, ways[i].index);
        g->pins_slowly = ways[i].pins_slowly;
        guest_connect(g, ways[i].persistent, NULL);
        write_then_read_back(g);
        for (int round = 0; round < 5; round++)
            full_ring_at_once(g);
        if (!ways[i].persistent)
            assert_int_equal(g->maps, 1); /* the ring itself */
        guest_disconnect(g);
        guest_free(g);
        store_free(s);
    }
}

static void offer_indirect(struct ring_config *c)
{
    c->limits.max_indirect = 128;
}

static void indirect_segments(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct store *s = store_new(DISK_BYTES);
        struct guest *g = guest_new(s, ways[w].abi, ways[w].index);
        struct blkif_segment seg[128];
        static const unsigned counts[] = {1, 11, 12, 128};
        g->grant[33] = GRANT_RO; /* a frontend may grant the segment page read-only */
        g->pins_slowly = ways[w].pins_slowly;
        guest_connect(g, ways[w].persistent, offer_indirect);
        for (size_t c = 0; c < 4; c++) {
            unsigned n = counts[c];
            for (unsigned i = 0; i < n; i++) {
                seg[i] = guest_seg(40 + (i * 37) % 128, 0, 7); /* scattered pages */
                fill(guest_page(g, seg[i].gref), 4096, i + n);
            }
            memset(s->bytes, 0xee, DISK_BYTES);
            guest_indirect(g, BLKIF_OP_WRITE, 7, 8, 33, seg, n);
            guest_push(g);
            struct blkif_response rsp = guest_response(g);
            assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
            assert_int_equal(rsp.operation, BLKIF_OP_WRITE); /* the inner one */
            for (unsigned i = 0; i < n; i++)
                assert_memory_equal(s->bytes + (i + 1) * 4096, guest_page(g, seg[i].gref), 4096);
            assert_int_equal(s->bytes[4095], 0xee);
            assert_int_equal(s->bytes[(n + 1) * 4096], 0xee);
            for (unsigned i = 0; i < n; i++)
                memset(guest_page(g, seg[i].gref), 0, 4096);
            guest_indirect(g, BLKIF_OP_READ, 8, 8, 33, seg, n);
            guest_push(g);
            assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
            for (unsigned i = 0; i < n; i++)
                assert_memory_equal(s->bytes + (i + 1) * 4096, guest_page(g, seg[i].gref), 4096);
        }
        guest_free(g);
        store_free(s);
    }
}

static void last_sector_and_eleven_segments(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg[BLKIF_SEGS_PER_REQUEST];

    (void)state;
    guest_connect(g, true, NULL);
    for (unsigned i = 0; i < BLKIF_SEGS_PER_REQUEST; i++) {
        seg[i] = guest_seg(200 - i, 0, 7); /* pages in falling order: nothing to merge */
        fill(guest_page(g, 200 - i), 4096, i);
    }
    uint64_t first = DISK_BYTES / 512 - 88;
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, first, seg, 11), BLKIF_RSP_OKAY);
    for (unsigned i = 0; i < BLKIF_SEGS_PER_REQUEST; i++)
        assert_memory_equal(s->bytes + first * 512 + i * 4096, guest_page(g, 200 - i), 4096);
    guest_free(g);
    store_free(s);
}

static void response_leaks_nothing_of_ours(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg = guest_seg(40, 0, 7);

    (void)state;
    guest_connect(g, true, NULL);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, &seg, 1), BLKIF_RSP_OKAY);
    /* XSA-216: bytes 9 and 12..15 of the slot are what the guest itself had put there. */
    const unsigned char *slot = guest_page(g, GUEST_RING_REF) + 64;
    assert_int_equal(slot[9], 0x77); /* of the request's id, which guest_do_rw() chose */
    assert_int_equal(slot[12], 0x44);
    guest_free(g);
    store_free(s);
}

static void kernel_compatible_statistics(void **state)
{
    struct store *s = store_new(DISK_BYTES);
    struct guest *g = guest_new(s, BLKIF_ABI_X86_64, 0);
    struct blkif_segment seg[2] = {guest_seg(40, 0, 7), guest_seg(41, 0, 3)};

    (void)state;
    guest_connect(g, true, NULL);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_READ, 0, seg, 2), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_WRITE, 0, seg, 1), BLKIF_RSP_OKAY);
    assert_int_equal(guest_do_rw(g, BLKIF_OP_FLUSH, 0, NULL, 0), BLKIF_RSP_OKAY);
    guest_discard(g, 1, 0, 8, 0);
    guest_push(g);
    assert_int_equal(guest_response(g).status, BLKIF_RSP_OKAY);
    guest_disconnect(g);
    assert_int_equal(g->stats.rd_req, 1);
    assert_int_equal(g->stats.rd_sect, 12);
    assert_int_equal(g->stats.wr_req, 1);
    assert_int_equal(g->stats.wr_sect, 8);
    assert_int_equal(g->stats.f_req, 1);
    assert_int_equal(g->stats.ds_req, 1);
    assert_int_equal(g->stats.inflight, 0);
    assert_int_equal(g->stats.responses, 4);
    guest_free(g);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(indirect_segments),
        cmocka_unit_test(last_sector_and_eleven_segments),
        cmocka_unit_test(response_leaks_nothing_of_ours),
        cmocka_unit_test(kernel_compatible_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
