/* SPDX-License-Identifier: MIT
 *
 * A guest in this process: pages, a grant table and an event channel behind the tables of
 * hv/impl.h, and a hand that writes any bytes into the ring. It counts what the backend maps, so
 * that a test can say that nothing is left.
 *
 * Threads: the test's thread is the guest; the ring's thread comes in through the hv tables.
 */
#ifndef TESTS_RING_GUEST_H
#define TESTS_RING_GUEST_H

#include <pthread.h>

#include "blkif/layout.h"
#include "hv/impl.h"
#include "ring/ring.h"
#include "store.h"

#define GUEST_PAGES    256
#define GUEST_RING_REF 8  /* the ring's first page; data pages follow from GUEST_DATA_REF on */
#define GUEST_DATA_REF 32 /* grefs 32..255 are granted read-write unless a test says otherwise */

enum grant_kind { GRANT_NONE, GRANT_RO, GRANT_RW };

struct guest {
    struct hv hv;
    unsigned char *memory; /* GUEST_PAGES pages; gref n is page n */
    enum grant_kind grant[GUEST_PAGES];
    pthread_mutex_t lock;
    unsigned mapped[GUEST_PAGES]; /* live mappings of each page */
    unsigned maps;                /* live mappings, in pages */
    unsigned map_calls, copy_calls, notifies;
    bool pins_slowly;        /* what the hypervisor says of its mappings; set before connecting */
    int fail_map, fail_copy; /* a negative errno: every such call fails with it */
    bool bound, pending, masked;
    int to_backend, to_guest; /* eventfds */

    enum blkif_abi abi;
    uint32_t req_prod, rsp_cons;
    struct store *store;
    struct stats_ring stats;
    int event_fd;
    struct ring_gate *gate; /* its own, unless a test gives it another before connecting */
    struct ring *ring;
};

/* A guest whose disk is `store`, not connected yet; index is where the ring's indices start. */
struct guest *guest_new(struct store *store, enum blkif_abi abi, uint32_t index);
/* Starts a ring on it; edit (may be NULL) changes the configuration first. */
void guest_connect(struct guest *g, bool persistent, void (*edit)(struct ring_config *c));
/* Stops the ring and fails the test if a page stays mapped or the port bound. */
void guest_disconnect(struct guest *g);
void guest_free(struct guest *g);

unsigned char *guest_page(struct guest *g, uint32_t gref);

/* Requests: filled in the guest's ABI at req_prod, visible after guest_push(). */
struct blkif_segment guest_seg(uint32_t gref, unsigned first, unsigned last);
void guest_rw(struct guest *g, unsigned op, uint64_t id, uint64_t sector,
              const struct blkif_segment *seg, unsigned n);
void guest_discard(struct guest *g, uint64_t id, uint64_t sector, uint64_t nr, unsigned flag);
/* n segments, of which those that fit are written into the page of gref first. */
void guest_indirect(struct guest *g, unsigned inner, uint64_t id, uint64_t sector, uint32_t gref,
                    const struct blkif_segment *seg, unsigned n);
/* Publishes, and notifies if the backend asked for it. */
void guest_push(struct guest *g);
void guest_notify(struct guest *g);

/* Waits for the next response (fails the test after 10 s without one). */
struct blkif_response guest_response(struct guest *g);
/* One request pushed, its status returned; checks that id and operation come back. */
int guest_do_rw(struct guest *g, unsigned op, uint64_t sector, const struct blkif_segment *seg,
                unsigned n);

#endif
