/* SPDX-License-Identifier: MIT
 *
 * Text that somebody else wrote, made fit for a log line, a terminal or JSON. Threads: any.
 */
#ifndef DAEMON_TEXT_H
#define DAEMON_TEXT_H

#include <stddef.h>

/* Replaces every byte that is not printable ASCII by '?', in place. */
void text_printable(char *s);

/* Copies at most cap-1 bytes and makes them printable. */
void text_copy(char *to, size_t cap, const char *from);

#endif
