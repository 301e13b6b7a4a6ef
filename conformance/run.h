/* SPDX-License-Identifier: MIT
 *
 * From the table of cases to TAP. Thread: main.
 */
#ifndef CONFORM_RUN_H
#define CONFORM_RUN_H

#include "conform.h"

/* Calls each() for the cases whose id matches glob, in order. */
void cases_each(const char *glob, void (*each)(const struct conform_case *k, void *arg), void *arg);
/* Runs them. The exit status: 0 all passed, 1 some failed, 3 no hypervisor, 4 no disk. */
int cases_run(const struct settings *set, const char *glob);

#endif
