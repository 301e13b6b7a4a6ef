/* SPDX-License-Identifier: MIT
 *
 * The error convention of the whole tree.
 *
 *  - A function that can fail returns int: 0 (or a count) on success, a negative errno on failure.
 *    That is a failure of ours (or of the machine) and travels up.
 *  - A mistake of the guest is never an errno: it is a named positive code (see blkif/check.h) and
 *    is handled on the spot.
 *  - Where a person will read the outcome, the function also takes a struct errmsg and leaves one
 *    line there: what is wrong, and what to do about it. No newline, no trailing full stop.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>

#define ERRMSG_MAX 320 /* bytes, with the terminating NUL */

struct errmsg {
    char text[ERRMSG_MAX];
};

/* Formats into e->text (truncating) and returns err unchanged, so that a failing function can say
 * `return errmsg_set(e, -EINVAL, "...")`. e may be NULL: then only err is returned. */
int errmsg_set(struct errmsg *e, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
