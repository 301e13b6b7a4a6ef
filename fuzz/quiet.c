/* SPDX-License-Identifier: MIT
 *
 * The log of a fuzz target: every line is put together, as AddressSanitizer should see, and none is
 * written.
 */
#include <stdarg.h>

#include "base/log.h"
#include "input.h"

void __wrap_log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void __wrap_log_line(enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    CHECK(vsnprintf(line, sizeof(line), fmt, ap) >= 0);
    va_end(ap);
}
