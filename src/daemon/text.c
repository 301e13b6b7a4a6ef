/* SPDX-License-Identifier: MIT
 *
 * Printable text. Threads: any.
 */
#include "daemon/text.h"

void text_printable(char *s)
{
    for (; *s; s++) {
        if (*s < 0x20 || *s > 0x7e)
            *s = '?';
    }
}

void text_copy(char *to, size_t cap, const char *from)
{
    size_t i = 0;

    if (!cap)
        return;
    for (; from[i] && i + 1 < cap; i++)
        to[i] = from[i];
    to[i] = '\0';
    text_printable(to);
}
