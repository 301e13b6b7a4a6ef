/* SPDX-License-Identifier: MIT
 *
 * A blkback-loopd of one's own for a test: in a private temporary folder, gone with the test.
 * meson: dependencies: [loopd_fixture_dep]. Threads: one.
 */
#ifndef TESTS_HV_LOOPD_FIXTURE_H
#define TESTS_HV_LOOPD_FIXTURE_H

#include <stdint.h>
#include <sys/types.h>

struct loopd {
    pid_t pid;
    char dir[96];
    char dom0[112]; /* "loop:DIR" */
    char spec[112]; /* where loopd_spec() last wrote */
};

/* Starts it and waits until it serves; args: further arguments, NULL-terminated, or NULL.
 * Ends the test program with a line when it cannot. */
void loopd_start(struct loopd *d, const char *const *args);
/* SIGTERM, waits, removes the folder. Returns its exit status. */
int loopd_stop(struct loopd *d);

/* "loop:DIR:DOMID", in d->spec. */
const char *loopd_spec(struct loopd *d, uint32_t domid);

/* The toolstack's part: a domain of so many pages of memory, its store directory
 * (/local/domain/ID owned by it, with device/) and its introduction; and the end of one, with its
 * directory. */
uint32_t loopd_create(struct loopd *d, uint32_t pages);
void loopd_destroy(struct loopd *d, uint32_t domid);

/* Rows of the report: pages mapped plus ports bound, anywhere. */
uint32_t loopd_left(struct loopd *d);

/* Sets a rule "CALL:N:ERROR" for everybody; NULL: forgets all rules. */
void loopd_fail(struct loopd *d, const char *rule);

#endif
