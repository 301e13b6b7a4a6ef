/* SPDX-License-Identifier: MIT
 *
 * What bench prints, apart from how it is measured, so that a test can look at it.
 */
#ifndef FRONT_REPORT_H
#define FRONT_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/hist.h"

struct report_side {
    struct hist latency; /* of each request; its count is the number of requests */
    uint64_t errors;     /* of them */
};

struct report {
    const char *rw;
    uint64_t bs, iodepth; /* bytes; on each queue */
    uint32_t queues;
    bool poll;
    uint64_t ns;                /* how long it ran */
    uint64_t user_us, sys_us;   /* processor time of this process meanwhile */
    struct report_side side[2]; /* reads, writes; one without requests is left out */
};

void report_text(FILE *out, const struct report *r);
void report_json(FILE *out, const struct report *r);

#endif
