/* SPDX-License-Identifier: MIT
 *
 * A backend that answers what was not asked is caught at once: -EPROTO, a line that says what it
 * did, everything in flight completed with -EIO exactly once, nothing more accepted.
 */
#include "rig.h"

struct seen {
    int done, status;
};

static void note(struct blkfront_io *io, int status)
{
    struct seen *seen = io->user;

    seen->done++;
    seen->status = status;
}

/* Three requests are asked; the sinner answers. */
static void caught(enum fake_sin sin, const char *text, bool end_grants)
{
    struct fake_options opt = rig_usual;
    struct blkfront_options fo = rig_front;
    struct seen seen[3] = {{0}};
    struct blkfront_io io[3];
    struct rig rig;
    int rc;

    opt.sin = sin;
    fo.end_grants = end_grants;
    rig_start(&rig, &opt);
    rig_open(&rig, &fo);
    for (int i = 0; i < 3; i++) {
        io[i] = (struct blkfront_io){.op = BLKFRONT_READ,
                                     .sector = (uint64_t)i,
                                     .nr_sectors = 1,
                                     .done = note,
                                     .user = &seen[i]};
        assert_int_equal(blkfront_submit(rig.bf, 0, &io[i]), 0);
    }
    blkfront_kick(rig.bf, 0);
    do {
        rc = blkfront_poll(rig.bf, 0, 5000);
    } while (rc > 0);
    assert_int_equal(rc, -EPROTO);
    if (strstr(blkfront_error(rig.bf, 0), text) == NULL)
        fail_msg("'%s' lacks '%s'", blkfront_error(rig.bf, 0), text);
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen[i].done, 1);
    assert_int_equal(seen[2].status, -EIO);
    assert_int_equal(blkfront_in_flight(rig.bf, 0), 0);
    assert_int_equal(blkfront_submit(rig.bf, 0, &io[0]), -EPROTO);
    assert_int_equal(blkfront_poll(rig.bf, 0, 0), -EPROTO);
    rig_stop(&rig);
}

static void answers_an_id_of_an_earlier_life(void **state)
{
    caught(SIN_WRONG_ID, "which is not in flight", false);
}

static void answers_an_id_no_request_had(void **state)
{
    caught(SIN_ID_NEVER_USED, "which no request had", false);
}

static void answers_another_operation(void **state)
{
    caught(SIN_WRONG_OPERATION, "answered operation 1 to a request of operation 0", false);
}

static void answers_one_request_instead_of_all(void **state)
{
    caught(SIN_SAME_ID, "which is not in flight", false);
}

static void answers_twice(void **state)
{
    caught(SIN_ANSWER_TWICE, "more responses than it had requests", false);
}

static void publishes_more_than_was_asked(void **state)
{
    caught(SIN_TOO_MANY_RESPONSES, "more responses than it had requests", false);
}

static void answers_an_unknown_status(void **state)
{
    caught(SIN_UNKNOWN_STATUS, "answered status -77", false);
}

static void answers_while_it_still_maps_the_page(void **state)
{
    caught(SIN_KEEP_MAPPED, "whose pages it still maps", true);
}

static void answers_what_nobody_asked(void **state)
{
    struct front_raw_queue raw;
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    front_raw_queue(rig.bf, 0, &raw);
    raw.shared->rsp_prod++;
    assert_int_equal(blkfront_poll(rig.bf, 0, 0), -EPROTO);
    assert_string_equal(blkfront_error(rig.bf, 0),
                        "the backend published more responses than it had requests");
    rig_stop(&rig);
}

static void takes_a_response_index_back(void **state)
{
    static uint8_t buf[512];
    struct front_raw_queue raw;
    struct rig rig;

    rig_start(&rig, &rig_usual);
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_read(rig.bf, 0, 1, buf), 0);
    front_raw_queue(rig.bf, 0, &raw);
    raw.shared->rsp_prod--;
    assert_int_equal(blkfront_poll(rig.bf, 0, 0), -EPROTO);
    rig_stop(&rig);
}

static void failing_by_hand_completes_everything(void **state)
{
    struct fake_options opt = rig_usual;
    struct seen seen = {0};
    struct blkfront_io io = {.op = BLKFRONT_FLUSH, .done = note, .user = &seen};
    struct rig rig;

    opt.sin = SIN_NEVER_ANSWER;
    rig_start(&rig, &opt);
    rig_open(&rig, &rig_front);
    assert_int_equal(blkfront_submit(rig.bf, 0, &io), 0);
    blkfront_kick(rig.bf, 0);
    assert_int_equal(blkfront_poll(rig.bf, 0, 1), 0);
    blkfront_fail(rig.bf, 0);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.status, -EIO);
    rig_stop(&rig);
    assert_int_equal(seen.done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_an_id_of_an_earlier_life),
        cmocka_unit_test(answers_an_id_no_request_had),
        cmocka_unit_test(answers_another_operation),
        cmocka_unit_test(answers_one_request_instead_of_all),
        cmocka_unit_test(answers_twice),
        cmocka_unit_test(publishes_more_than_was_asked),
        cmocka_unit_test(answers_an_unknown_status),
        cmocka_unit_test(answers_while_it_still_maps_the_page),
        cmocka_unit_test(answers_what_nobody_asked),
        cmocka_unit_test(takes_a_response_index_back),
        cmocka_unit_test(failing_by_hand_completes_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
