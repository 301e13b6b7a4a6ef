/* SPDX-License-Identifier: MIT
 *
 * cmocka with the headers it wants before it. Threads: none.
 */
#ifndef TESTS_DAEMON_CHECK_H
#define TESTS_DAEMON_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "<TMPDIR>/blkbackd-test-XXXXXX", for mkstemp() and mkdtemp(). */
static inline const char *temporary(char *out, size_t cap)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(out, cap, "%s/blkbackd-test-XXXXXX", tmp ? tmp : "/tmp");
    return out;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
