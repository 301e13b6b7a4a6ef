/* SPDX-License-Identifier: MIT
 *
 * A libxengnttab and libxenevtchn that only remember what they were asked. Threads: one.
 */
#ifndef TESTS_XEN_FAKE_LIBXEN_H
#define TESTS_XEN_FAKE_LIBXEN_H

#include <stdbool.h>
#include <stdint.h>

struct fake_libxen {
    int handles;           /* open ones of any kind */
    uint32_t mapped_pages; /* and not unmapped, or shared and not unshared */
    uint32_t unmap_calls;
    int map_errno;          /* the next map fails with it */
    uint32_t copy_calls;    /* ioctls */
    uint32_t copy_segments; /* all of them together */
    uint32_t copy_fails_at; /* this ioctl fails, counted from 1; its statuses say okay */
    uint32_t bad_ref;       /* a copy of it gets GNTST_bad_gntref */
    int restrict_errno;
    int bind_errno;
    uint32_t restricted_to;
    bool restricted_first; /* before the port was bound */
    uint32_t notified, unmasked;
};
extern struct fake_libxen fake;

void fake_reset(void);
void fake_event(void); /* makes the open event channel pending */

#endif
