/* SPDX-License-Identifier: MIT
 *
 * What a toolstack asks of blkback-loopd: domains made and destroyed, the report of what is still
 * mapped and bound, failures on a script. For blkback-loopctl and for tests.
 *
 * Threads: one for each handle.
 */
#ifndef HV_LOOP_TOOLSTACK_H
#define HV_LOOP_TOOLSTACK_H

#include <stddef.h>

#include "base/error.h"
#include "hv/loop/wire.h"

struct loop_hv;

int loop_toolstack_open(const char *dir, struct loop_hv **out, struct errmsg *err);
void loop_toolstack_close(struct loop_hv *ts);

/* A domain with that many pages of memory, nothing of it in the store yet. */
int loop_domain_create(struct loop_hv *ts, uint32_t pages, uint32_t *domid);
/* Tells the store's clients (@introduceDomain) once its directories are there. */
int loop_domain_introduce(struct loop_hv *ts, uint32_t domid);
/* Ends its connections; @releaseDomain fires. Its directories in the store stay. */
int loop_domain_destroy(struct loop_hv *ts, uint32_t domid);

/* Calls row() for each; a negative answer of it ends the walk and is returned. */
int loop_domain_list(struct loop_hv *ts, int (*row)(const struct loop_list_row *, void *),
                     void *arg);
int loop_report(struct loop_hv *ts, int (*row)(const struct loop_report_row *, void *), void *arg);
/* The row in words, without a newline. */
void loop_report_text(const struct loop_report_row *row, char *buf, size_t cap);

/* rule: "CALL:N:ERROR" as in BLKBACK_LOOP_FAIL; domid: of the caller, or LOOP_DOMID_NONE.
 * NULL: forget all rules. -ENOSPC: LOOP_FAILS rules are waiting already. */
int loop_set_fail(struct loop_hv *ts, const char *rule, uint32_t domid, struct errmsg *err);
int loop_set_limit(struct loop_hv *ts, enum loop_limit limit, uint32_t value);

#endif
