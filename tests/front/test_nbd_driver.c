/* SPDX-License-Identifier: MIT
 *
 * Many threads ask, one drives the ring: each gets its own data and its own outcome.
 */
#include <errno.h>

#include "rig.h"
#include "front/nbd_driver.h"

#define ASKERS 6
#define ROUNDS 40
#define AREA   (1u << 20) /* bytes of the disk for each asker */

struct asker {
    struct driver *d;
    pthread_t thread;
    unsigned index;
    int bad;
};

static struct driver *start(struct rig *rig, const struct fake_options *opt, bool poll)
{
    struct blkfront_options fo = rig_front;
    struct driver *d;

    fo.poll = poll;
    rig_start(rig, opt);
    rig_open(rig, &fo);
    assert_int_equal(driver_start(rig->bf, poll, &d), 0);
    rig->bf = NULL; /* the driver's now */
    return d;
}

static void *ask(void *arg)
{
    struct asker *a = arg;
    uint8_t *out = malloc(AREA), *in = malloc(AREA);

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t at = (uint64_t)a->index * AREA + i * 1024u;
        uint64_t bytes = 512u << (i % 11); /* 512 bytes to 512 KiB */

        rig_fill(out, bytes, a->index * 1000 + i);
        if (driver_run(a->d, BLKFRONT_WRITE, at, bytes, out) != 0 ||
            driver_run(a->d, BLKFRONT_FLUSH, 0, 0, NULL) != 0 ||
            driver_run(a->d, BLKFRONT_READ, at, bytes, in) != 0 || memcmp(in, out, bytes) != 0)
            a->bad++;
    }
    free(out);
    free(in);
    return NULL;
}

static void ask_from_many_threads(bool poll)
{
    struct asker askers[ASKERS] = {{0}};
    struct rig rig;
    struct driver *d = start(&rig, &rig_usual, poll);

    for (unsigned i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.d = d, .index = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].bad, 0);
    }
    driver_stop(d);
    assert_int_equal(rig.be.flushes, ASKERS * ROUNDS);
    rig_stop(&rig);
}

static void many_threads_sleeping(void **state)
{
    ask_from_many_threads(false);
}

static void many_threads_polling(void **state)
{
    ask_from_many_threads(true);
}

static void one_answer_for_a_job_of_many_pieces(void **state)
{
    struct rig rig;
    struct driver *d = start(&rig, &rig_usual, false);
    uint8_t *buf = calloc(1, 6 << 20);

    /* The last of its pieces lies beyond the end of the disk. */
    assert_int_equal(driver_run(d, BLKFRONT_WRITE, (DISK_SECTORS - 4096) * 512ull, 6 << 20, buf),
                     -EIO);
    assert_int_equal(driver_run(d, BLKFRONT_WRITE, 0, 6 << 20, buf), 0);
    driver_stop(d);
    free(buf);
    rig_stop(&rig);
}

static void what_is_not_offered_is_not_supported(void **state)
{
    struct fake_options opt = rig_usual;
    struct rig rig;
    struct driver *d;

    opt.no_flush = true;
    d = start(&rig, &opt, false);
    assert_int_equal(driver_run(d, BLKFRONT_FLUSH, 0, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(driver_run(d, BLKFRONT_DISCARD, 0, 4096, NULL), -EOPNOTSUPP);
    driver_stop(d);
    rig_stop(&rig);
}

static void nobody_waits_for_a_backend_that_left(void **state)
{
    static uint8_t buf[512];
    struct fake_options opt = rig_usual;
    struct asker asker;
    struct rig rig;
    struct driver *d;

    opt.sin = SIN_NEVER_ANSWER;
    d = start(&rig, &opt, false);
    asker = (struct asker){.d = d, .index = 1};
    assert_int_equal(pthread_create(&asker.thread, NULL, ask, &asker), 0);
    fake_store_set(FAKE_BACKEND "/state", "5");
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.bad, ROUNDS);
    assert_int_equal(driver_run(d, BLKFRONT_READ, 0, 512, buf), -ESHUTDOWN);
    driver_stop(d);
    rig_stop(&rig);
}

static void a_broken_backend_fails_everybody(void **state)
{
    static uint8_t buf[512];
    struct fake_options opt = rig_usual;
    struct rig rig;
    struct driver *d;

    opt.sin = SIN_WRONG_ID;
    d = start(&rig, &opt, false);
    assert_int_equal(driver_run(d, BLKFRONT_READ, 0, 512, buf), -EIO);
    assert_int_equal(driver_run(d, BLKFRONT_READ, 0, 512, buf), -ESHUTDOWN);
    driver_stop(d);
    rig_stop(&rig);
}

static void a_new_size_is_seen(void **state)
{
    struct rig rig;
    struct driver *d = start(&rig, &rig_usual, false);
    static uint8_t buf[512];

    assert_int_equal(driver_size(d), DISK_SECTORS * 512);
    fake_store_set(FAKE_BACKEND "/sectors", "99");
    fake_store_set(FAKE_BACKEND "/state", "4");
    while (driver_size(d) != 99 * 512)
        assert_int_equal(driver_run(d, BLKFRONT_READ, 0, 512, buf), 0);
    driver_stop(d);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_sleeping),
        cmocka_unit_test(many_threads_polling),
        cmocka_unit_test(one_answer_for_a_job_of_many_pieces),
        cmocka_unit_test(what_is_not_offered_is_not_supported),
        cmocka_unit_test(nobody_waits_for_a_backend_that_left),
        cmocka_unit_test(a_broken_backend_fails_everybody),
        cmocka_unit_test(a_new_size_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
