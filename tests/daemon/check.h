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
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
