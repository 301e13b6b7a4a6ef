/* SPDX-License-Identifier: MIT
 *
 * See report.h.
 */
#include "front/report.h"

#include <inttypes.h>

static const char *const names[2] = {"read", "write"};

static const struct {
    const char *text, *json;
    unsigned permille;
} percentiles[] = {
    {"p50", "p50_us", 500},
    {"p99", "p99_us", 990},
    {"p99.9", "p999_us", 999},
};
#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static double per_second(const struct report *r, uint64_t n)
{
    return r->ns != 0 ? (double)n * 1e9 / (double)r->ns : 0;
}

static double average_us(const struct hist *h)
{
    return h->count != 0 ? (double)h->sum_ns / (double)h->count / 1000 : 0;
}

void report_text(FILE *out, const struct report *r)
{
    fprintf(out,
            "%s: %" PRIu64 " bytes, %" PRIu64 " in flight on %" PRIu32 " queue%s, %s, %.2f s\n",
            r->rw, r->bs, r->iodepth, r->queues, r->queues == 1 ? "" : "s",
            r->poll ? "polling" : "sleeping", (double)r->ns / 1e9);
    for (int i = 0; i < 2; i++) {
        const struct hist *h = &r->side[i].latency;

        if (h->count == 0)
            continue;
        fprintf(out, "  %-5s %.0f IOPS, %.1f MiB/s, %" PRIu64 " requests, %" PRIu64 " errors\n",
                names[i], per_second(r, h->count), per_second(r, h->count * r->bs) / 1048576,
                h->count, r->side[i].errors);
        fprintf(out, "        latency (us): avg %.1f", average_us(h));
        for (size_t p = 0; p < PERCENTILES; p++)
            fprintf(out, ", %s %.1f", percentiles[p].text,
                    (double)hist_percentile(h, percentiles[p].permille) / 1000);
        fprintf(out, ", max %.1f\n", (double)h->max_ns / 1000);
    }
    fprintf(out, "  cpu   user %.2f s, system %.2f s\n", (double)r->user_us / 1e6,
            (double)r->sys_us / 1e6);
}

static void side_json(FILE *out, const struct report *r, int i)
{
    const struct hist *h = &r->side[i].latency;

    fprintf(out,
            ", \"%s\": {\"requests\": %" PRIu64 ", \"errors\": %" PRIu64
            ", \"iops\": %.1f, \"bytes_per_second\": %.0f, \"latency\": {\"avg_us\": %.3f",
            names[i], h->count, r->side[i].errors, per_second(r, h->count),
            per_second(r, h->count * r->bs), average_us(h));
    for (size_t p = 0; p < PERCENTILES; p++)
        fprintf(out, ", \"%s\": %.3f", percentiles[p].json,
                (double)hist_percentile(h, percentiles[p].permille) / 1000);
    fprintf(out, ", \"max_us\": %.3f}}", (double)h->max_ns / 1000);
}

void report_json(FILE *out, const struct report *r)
{
    uint64_t requests = r->side[0].latency.count + r->side[1].latency.count;

    fprintf(out,
            "{\"schema\": 1, \"rw\": \"%s\", \"bs\": %" PRIu64 ", \"iodepth\": %" PRIu64
            ", \"queues\": %" PRIu32 ", \"poll\": %s, \"seconds\": %.6f, \"cpu_user_seconds\": %.6f"
            ", \"cpu_system_seconds\": %.6f, \"iops\": %.1f, \"bytes_per_second\": %.0f",
            r->rw, r->bs, r->iodepth, r->queues, r->poll ? "true" : "false", (double)r->ns / 1e9,
            (double)r->user_us / 1e6, (double)r->sys_us / 1e6, per_second(r, requests),
            per_second(r, requests * r->bs));
    for (int i = 0; i < 2; i++)
        if (r->side[i].latency.count != 0)
            side_json(out, r, i);
    fputs("}\n", out);
}
