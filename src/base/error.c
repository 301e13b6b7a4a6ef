/* SPDX-License-Identifier: MIT
 *
 * One line of text for the person who reads a failure. Threads: any; no state.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int errmsg_set(struct errmsg *e, int err, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return err;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return err;
}
