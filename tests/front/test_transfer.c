/* SPDX-License-Identifier: MIT
 *
 * Data goes through the ring unchanged, whatever shape was negotiated; the other side is written
 * with Xen's own macros.
 */
#include "rig.h"

struct shape {
    const char *protocol;
    uint32_t order, queues, max_indirect, first_index;
    bool persistent, poll, end_grants, reverse;
};

/* Writes all but the edges of the disk from one buffer, looks at the disk itself, reads it back. */
static void write_and_read_back(struct rig *rig)
{
    const size_t bytes = (DISK_SECTORS - 3) * 512u;
    uint8_t *out = malloc(bytes), *in = calloc(1, bytes);

    rig_fill(out, bytes, 7);
    assert_int_equal(blkfront_write(rig->bf, 2, DISK_SECTORS - 3, out), 0);
    assert_memory_equal(rig->be.disk + 1024, out, bytes);
    assert_int_equal(rig->be.disk[1023], 0);
    assert_int_equal(rig->be.disk[DISK_SECTORS * 512 - 1], 0);
    assert_int_equal(blkfront_read(rig->bf, 2, DISK_SECTORS - 3, in), 0);
    assert_memory_equal(in, out, bytes);
    free(out);
    free(in);
}

static void run_shape(const struct shape *s)
{
    struct fake_options opt = rig_usual;
    struct blkfront_options fo = rig_front;
    struct front_raw_options raw = {.first_index = s->first_index};
    struct blkfront_info info;
    struct rig rig;

    opt.max_indirect = s->max_indirect;
    opt.persistent = s->persistent;
    opt.reverse = s->reverse;
    fo.protocol = s->protocol;
    fo.ring_order = s->order;
    fo.queues = s->queues;
    fo.poll = s->poll;
    fo.end_grants = s->end_grants;
    rig_start(&rig, &opt);
    assert_int_equal(front_raw_open(&fo, &raw, &rig.bf, rig.error, sizeof(rig.error)), 0);
    blkfront_get_info(rig.bf, &info);
    assert_int_equal(info.ring_entries, 32u << s->order);
    assert_int_equal(info.queues, s->queues);
    assert_int_equal(info.persistent, s->persistent && !s->end_grants);
    write_and_read_back(&rig);
    assert_int_equal(rig.be.abi32, strcmp(s->protocol, "x86_32-abi") == 0);
    assert_true(rig.be.max_segments == (s->max_indirect > 11 ? s->max_indirect : 11));
    assert_int_equal(rig.be.multi_page != 0, s->max_indirect > 512);
    if (s->first_index != 0)
        assert_true(rig.be.lowest_prod - s->first_index <= info.ring_entries);
    rig_stop(&rig);
}

static void one_page_ring_of_a_64_bit_guest(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 0, .persistent = true});
}

static void one_page_ring_of_a_32_bit_guest(void **state)
{
    run_shape(&(struct shape){"x86_32-abi", .queues = 1, .max_indirect = 0, .persistent = true});
}

static void sixteen_page_ring_four_queues_indirect(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .order = 4, .queues = 4, .max_indirect = 256,
                              .persistent = true});
}

static void indirect_in_the_32_bit_layout(void **state)
{
    run_shape(&(struct shape){"x86_32-abi", .order = 1, .queues = 2, .max_indirect = 32,
                              .persistent = true});
}

static void indirect_with_more_than_one_page_of_segments(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 1000, .persistent = true});
}

static void indices_wrap_through_two_to_the_32(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 0, .persistent = true,
                              .first_index = 0xfffffff5u});
}

static void without_persistent_grants(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 32});
}

static void grants_ended_after_each_request(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 32, .persistent = true,
                              .end_grants = true});
}

static void answers_out_of_order(void **state)
{
    run_shape(&(struct shape){"x86_64-abi", .queues = 1, .max_indirect = 0, .persistent = true,
                              .reverse = true});
}

static void polling_asks_for_no_event(void **state)
{
    struct blkfront_options fo = rig_front;
    struct rig rig;

    fo.poll = true;
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &fo);
    write_and_read_back(&rig);
    assert_true(rig.be.requests > 15);
    assert_int_equal(rig.be.events, 0);
    rig_stop(&rig);
}

static void indirect_requests_can_be_declined(void **state)
{
    struct blkfront_options fo = rig_front;
    struct rig rig;

    fo.no_indirect = true;
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &fo);
    assert_int_equal(blkfront_max_sectors(rig.bf), 88);
    write_and_read_back(&rig);
    assert_int_equal(rig.be.indirect, 0);
    rig_stop(&rig);
}

static void flush_and_discard_reach_the_backend(void **state)
{
    static uint8_t ones[4096];
    struct rig rig;

    memset(ones, 1, sizeof(ones));
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_write(rig.bf, 8, 8, ones), 0);
    assert_int_equal(blkfront_flush(rig.bf), 0);
    assert_int_equal(blkfront_discard(rig.bf, 8, 4, false), 0);
    assert_int_equal(rig.be.disk[8 * 512], 0);
    assert_int_equal(rig.be.disk[12 * 512], 1);
    assert_int_equal(blkfront_discard(rig.bf, 12, 4, true), 0);
    assert_int_equal(rig.be.disk[12 * 512], 0);
    assert_int_equal(rig.be.flushes, 1);
    assert_int_equal(rig.be.discards, 2);
    assert_int_equal(rig.be.secure, 1);
    rig_stop(&rig);
}

static void note_status(struct blkfront_io *io, int status)
{
    *(int *)io->user = status;
}

static int run_one(struct blkfront *bf, uint32_t queue, struct blkfront_io *io)
{
    int status = 1;

    io->done = note_status;
    io->user = &status;
    assert_int_equal(blkfront_submit(bf, queue, io), 0);
    assert_int_equal(status, 1);
    blkfront_kick(bf, queue);
    assert_int_equal(blkfront_poll(bf, queue, -1), 1);
    return status;
}

static void barrier_with_and_without_data(void **state)
{
    static uint8_t buf[88 * 512];
    struct blkfront_io bare = {.op = BLKFRONT_BARRIER};
    struct blkfront_io full = {.op = BLKFRONT_BARRIER, .sector = 100, .nr_sectors = 88, .buf = buf};
    struct blkfront_io too_long = {
        .op = BLKFRONT_BARRIER, .sector = 100, .nr_sectors = 89, .buf = buf};
    struct rig rig;

    rig_fill(buf, sizeof(buf), 3);
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    assert_int_equal(run_one(rig.bf, 0, &bare), 0);
    assert_int_equal(run_one(rig.bf, 0, &full), 0);
    assert_int_equal(rig.be.barriers, 2);
    assert_memory_equal(rig.be.disk + 100 * 512, buf, sizeof(buf));
    assert_int_equal(blkfront_submit(rig.bf, 0, &too_long), -EINVAL);
    rig_stop(&rig);
}

static void each_queue_works(void **state)
{
    static uint8_t buf[4][512];
    struct blkfront_options fo = rig_front;
    struct rig rig;

    fo.queues = 4;
    rig_start(&rig, &rig_usual);
    rig_open(&rig, &fo);
    for (uint32_t q = 0; q < 4; q++) {
        struct blkfront_io io = {.op = BLKFRONT_WRITE, .sector = q, .nr_sectors = 1, .buf = buf[q]};

        memset(buf[q], (int)q + 1, 512);
        assert_int_equal(run_one(rig.bf, q, &io), 0);
        assert_int_equal(rig.be.disk[q * 512], q + 1);
    }
    rig_stop(&rig);
}

static void count_done(struct blkfront_io *io, int status)
{
    ++*(int *)io->user;
}

static void full_ring_says_again(void **state)
{
    struct blkfront_io io[33] = {0};
    struct rig rig;
    int done = 0;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    for (int i = 0; i < 33; i++) {
        io[i] = (struct blkfront_io){
            .op = BLKFRONT_READ, .nr_sectors = 8, .done = count_done, .user = &done};
        assert_int_equal(blkfront_submit(rig.bf, 0, &io[i]), i < 32 ? 0 : -EAGAIN);
    }
    blkfront_kick(rig.bf, 0);
    while (done < 32)
        assert_true(blkfront_poll(rig.bf, 0, -1) > 0);
    assert_int_equal(blkfront_submit(rig.bf, 0, &io[32]), 0);
    blkfront_kick(rig.bf, 0);
    assert_int_equal(blkfront_poll(rig.bf, 0, -1), 1);
    assert_int_equal(done, 33);
    rig_stop(&rig);
}

static void statuses_become_errnos(void **state)
{
    static uint8_t buf[512];
    struct fake_options opt = rig_usual;
    struct rig rig;

    opt.no_flush = true;
    rig_start(&rig, &opt);
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_flush(rig.bf), -EOPNOTSUPP);
    assert_int_equal(blkfront_discard(rig.bf, 0, 8, false), -EOPNOTSUPP);
    assert_int_equal(blkfront_read(rig.bf, DISK_SECTORS, 1, buf), -EIO);
    assert_int_equal(blkfront_read(rig.bf, DISK_SECTORS - 1, 1, buf), 0);
    rig_stop(&rig);
}

static void no_grants_left_is_an_error_not_a_hang(void **state)
{
    static uint8_t buf[4096];
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    fake_hv_fail_grants(-ENOSPC);
    assert_int_equal(blkfront_write(rig.bf, 0, 8, buf), -ENOSPC);
    fake_hv_fail_grants(0);
    assert_int_equal(blkfront_write(rig.bf, 0, 8, buf), 0);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_page_ring_of_a_64_bit_guest),
        cmocka_unit_test(one_page_ring_of_a_32_bit_guest),
        cmocka_unit_test(sixteen_page_ring_four_queues_indirect),
        cmocka_unit_test(indirect_in_the_32_bit_layout),
        cmocka_unit_test(indirect_with_more_than_one_page_of_segments),
        cmocka_unit_test(indices_wrap_through_two_to_the_32),
        cmocka_unit_test(without_persistent_grants),
        cmocka_unit_test(grants_ended_after_each_request),
        cmocka_unit_test(answers_out_of_order),
        cmocka_unit_test(polling_asks_for_no_event),
        cmocka_unit_test(indirect_requests_can_be_declined),
        cmocka_unit_test(flush_and_discard_reach_the_backend),
        cmocka_unit_test(barrier_with_and_without_data),
        cmocka_unit_test(each_queue_works),
        cmocka_unit_test(full_ring_says_again),
        cmocka_unit_test(statuses_become_errnos),
        cmocka_unit_test(no_grants_left_is_an_error_not_a_hang),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
