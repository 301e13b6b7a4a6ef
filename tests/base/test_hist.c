/* SPDX-License-Identifier: MIT
 *
 * The histogram against the sorted samples themselves.
 */
#include <stdlib.h>

#include "check.h"

#include "base/hist.h"

#define SAMPLES 5000u

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 11;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void without_samples_every_percentile_is_zero(void **state)
{
    static struct hist h;

    for (unsigned p = 0; p <= 1000; p += 100)
        assert_int_equal(hist_percentile(&h, p), 0);
}

static void a_percentile_is_at_most_a_32nd_above_the_true_one(void **state)
{
    static struct hist h;
    static uint64_t v[SAMPLES];
    uint64_t seed = 1, sum = 0;

    for (unsigned i = 0; i < SAMPLES; i++) {
        v[i] = next(&seed) >> (next(&seed) % 50);
        sum += v[i];
        hist_add(&h, v[i]);
    }
    qsort(v, SAMPLES, sizeof(v[0]), compare);
    for (unsigned p = 1; p <= 1000; p++) {
        uint64_t truth = v[(SAMPLES * p + 999) / 1000 - 1];
        uint64_t got = hist_percentile(&h, p);

        if (got < truth || got > truth + truth / 32)
            fail_msg("%u/1000: %llu, truly %llu", p, (unsigned long long)got,
                     (unsigned long long)truth);
    }
    assert_int_equal(h.count, SAMPLES);
    assert_true(h.sum_ns == sum);
    assert_true(h.max_ns == v[SAMPLES - 1]);
}

static void small_values_are_exact(void **state)
{
    for (uint64_t v = 0; v < 64; v++) {
        static struct hist h;

        memset(&h, 0, sizeof(h));
        hist_add(&h, v);
        hist_add(&h, 1000000);
        assert_int_equal(hist_percentile(&h, 500), v);
    }
}

static void the_largest_value_has_a_bucket(void **state)
{
    static struct hist h;

    hist_add(&h, UINT64_MAX);
    assert_true(hist_percentile(&h, 1000) == UINT64_MAX);
    assert_true(hist_percentile(&h, 0) == UINT64_MAX);
}

static void no_percentile_is_above_the_maximum(void **state)
{
    static struct hist h;

    hist_add(&h, 1000001);
    assert_int_equal(hist_percentile(&h, 500), 1000001);
    assert_int_equal(hist_percentile(&h, 1000), 1000001);
}

static void merged_histograms_are_as_if_one_had_seen_all(void **state)
{
    static struct hist one, two, both;
    uint64_t seed = 7;

    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t v = next(&seed) % 100000;

        hist_add(i % 3 ? &one : &two, v);
        hist_add(&both, v);
    }
    hist_merge(&one, &two);
    assert_memory_equal(&one, &both, sizeof(both));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_samples_every_percentile_is_zero),
        cmocka_unit_test(a_percentile_is_at_most_a_32nd_above_the_true_one),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(the_largest_value_has_a_bucket),
        cmocka_unit_test(no_percentile_is_above_the_maximum),
        cmocka_unit_test(merged_histograms_are_as_if_one_had_seen_all),
    };

    return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
