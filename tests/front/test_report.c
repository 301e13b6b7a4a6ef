/* SPDX-License-Identifier: MIT
 *
 * What bench prints for figures that are known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "front/report.h"

/* 2000 reads in 2 s: 1990 of 100 us, 8 of 1 ms, 2 of 5 ms; and no writes. */
static struct report *make(void)
{
    struct report *r = calloc(1, sizeof(*r));

    *r = (struct report){.rw = "randread",
                         .bs = 4096,
                         .iodepth = 32,
                         .queues = 1,
                         .ns = 2000000000,
                         .user_us = 250000,
                         .sys_us = 750000};
    for (int i = 0; i < 2000; i++)
        hist_add(&r->side[0].latency, i < 1990 ? 100000 : i < 1998 ? 1000000 : 5000000);
    return r;
}

static void print(void (*fn)(FILE *, const struct report *), const struct report *r, char *text,
                  size_t cap)
{
    FILE *f = fmemopen(text, cap, "w");

    fn(f, r);
    fclose(f);
}

/* The number behind key, which must be there. */
static double after(const char *text, const char *key)
{
    const char *p = strstr(text, key);

    if (p == NULL) {
        fail_msg("'%s' lacks '%s'", text, key);
        return 0;
    }
    return strtod(p + strlen(key), NULL);
}

static void near(double value, double want)
{
    if (value < want * 0.999 || value > want * 1.04)
        fail_msg("%f is not near %f", value, want);
}

static void text_names_rate_bandwidth_and_latency(void **state)
{
    struct report *r = make();
    char text[2000];

    print(report_text, r, text, sizeof(text));
    assert_non_null(
        strstr(text, "randread: 4096 bytes, 32 in flight on 1 queue, sleeping, 2.00 s"));
    assert_non_null(strstr(text, "1000 IOPS, 3.9 MiB/s, 2000 requests, 0 errors"));
    near(after(text, "avg "), 108.5);
    near(after(text, "p50 "), 100);
    near(after(text, "p99 "), 100);
    near(after(text, "p99.9 "), 1000);
    near(after(text, "max "), 5000);
    assert_non_null(strstr(text, "cpu   user 0.25 s, system 0.75 s"));
    assert_null(strstr(text, "write"));
    free(r);
}

static void json_carries_the_same(void **state)
{
    struct report *r = make();
    char text[2000];

    hist_add(&r->side[1].latency, 7000000);
    r->side[1].errors = 1;
    print(report_json, r, text, sizeof(text));
    assert_int_equal(strncmp(text, "{\"schema\": 1, \"rw\": \"randread\"", 30), 0);
    assert_string_equal(text + strlen(text) - 2, "}\n");
    assert_int_equal((int)after(text, "\"read\": {\"requests\": "), 2000);
    near(after(text, "\"iops\": "), 1000.5); /* of both sides */
    near(after(text, "\"bytes_per_second\": "), 4098048);
    near(after(strstr(text, "\"read\""), "\"iops\": "), 1000);
    near(after(text, "\"p999_us\": "), 1000);
    near(after(text, "\"max_us\": "), 5000);
    assert_non_null(strstr(text, "\"write\": {\"requests\": 1, \"errors\": 1,"));
    free(r);
}

static void nothing_measured_is_not_divided_by(void **state)
{
    struct report *r = calloc(1, sizeof(*r));
    char text[2000];

    r->rw = "write";
    print(report_text, r, text, sizeof(text));
    assert_null(strstr(text, "nan"));
    print(report_json, r, text, sizeof(text));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "\"read\""));
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_names_rate_bandwidth_and_latency),
        cmocka_unit_test(json_carries_the_same),
        cmocka_unit_test(nothing_measured_is_not_divided_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
