/* SPDX-License-Identifier: MIT
 *
 * A hypervisor that exists only inside a test program: it defines the functions of hv/hv.h and
 * hv/store.h that a frontend uses, over plain memory and eventfds, and shows the test's backend the
 * other side. One domain (1) with one backend domain (0).
 *
 * Threads: all of it may be called from any thread.
 */
#ifndef TESTS_FRONT_FAKE_HV_H
#define TESTS_FRONT_FAKE_HV_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_GRANTS 16384
#define FAKE_PORTS  64

/* Forgets all nodes, grants, ports. Nothing may be open. */
void fake_hv_reset(void);
/* How many grants and ports the frontend still has. */
unsigned fake_hv_grants(void);
unsigned fake_hv_ports(void);
/* The next commits answer -EAGAIN; as on a store where somebody else writes. */
void fake_hv_fail_commits(unsigned n);
/* Every page granted from now on fails with err (a negative errno); 0: works again. */
void fake_hv_fail_grants(int err);

/* The store as domain 0 sees it; absolute paths. get returns false when there is no such node. */
bool fake_store_get(const char *path, char *value, unsigned cap);
void fake_store_set(const char *path, const char *value);
void fake_store_rm(const char *path);
/* Readable when some node has changed since fake_store_ack(). */
int fake_store_change_fd(void);
void fake_store_ack(void);

/* A granted page, or NULL when there is no such grant, it is for another domain, or it is
 * read-only and write is wanted. */
void *fake_grant_page(uint32_t ref, bool write);
/* n pages next to each other in the frontend's memory, as a mapping would put them. */
void *fake_grant_pages(const uint32_t *refs, unsigned n);
/* Keeps the grant mapped: ending it answers -EBUSY from now on. */
void fake_grant_hold(uint32_t ref);

/* The backend's end of a port: readable when the frontend has notified. -1: no such port. */
int fake_port_fd(uint32_t port);
void fake_port_notify(uint32_t port);

#endif
