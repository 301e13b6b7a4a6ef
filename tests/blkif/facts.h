/* SPDX-License-Identifier: MIT
 *
 * Offsets and sizes of the protocol's structures as the installed Xen headers have them, kept apart
 * from our own headers because the names are the same. Threads: none.
 */
#ifndef TESTS_BLKIF_FACTS_H
#define TESTS_BLKIF_FACTS_H

#include <stdbool.h>
#include <stdint.h>

struct fact {
    const char *name;
    long value;
};

extern const struct fact xen_facts_x86_64[];
extern const struct fact xen_facts_x86_32[];

/* Xen's own macros, run on a ring in private memory. */
struct xen_publish {
    bool notify;
    uint32_t rsp_prod;
};
struct xen_publish xen_publish32(uint32_t old, uint32_t new, uint32_t rsp_event);
/* The same rule with indices of 8 bits: every case can be tried. */
bool xen_publish8(uint8_t old, uint8_t new, uint8_t rsp_event);
/* RING_FINAL_CHECK_FOR_REQUESTS of a ring of one page: what it returns and the req_event left. */
struct xen_final {
    bool work;
    uint32_t req_event;
};
struct xen_final xen_final_check(uint32_t req_cons, uint32_t rsp_prod_pvt, uint32_t req_prod);

#endif
