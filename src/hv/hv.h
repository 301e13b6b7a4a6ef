/* SPDX-License-Identifier: MIT
 *
 * The seam at the hypervisor. Everything above it runs unchanged on real Xen (hv/xen, over
 * libxengnttab and libxenevtchn) and on the loopback (hv/loop, served by blkback-loopd).
 * The store (hv/store.h) is libxenstore in both cases.
 *
 * A grant table handle and an event channel handle belong to one thread each: gntdev serialises on
 * a mutex per descriptor, so each ring has its own.
 *
 * Pages are 4096 bytes. Domain ids are Xen's (0..32751). Errors are negative errnos.
 */
#ifndef HV_HV_H
#define HV_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HV_PAGE 4096u

struct hv;        /* a way to reach one hypervisor as one domain */
struct hv_gnttab; /* grants of other domains: map, copy */
struct hv_share;  /* pages of this domain, granted to another */
struct hv_evtchn; /* one bound event channel port */

/* spec: "xen", or "loop:DIR" (the running loopd's folder; as domain 0), or "loop:DIR:DOMID" (as
 * that domain). Each process opens its own; nothing here survives fork(). Thread-safe once open.
 * Fails with one line that says what to do when /dev/xen/... or the loopback's socket is missing.
 */
int hv_open(const char *spec, struct hv **out, struct errmsg *err);
void hv_close(struct hv *hv); /* every handle made from it has been closed */

/* ---- Grants of another domain ------------------------------------------------------------------
 */

/* peer: the only domain whose grants this handle will be used for.
 * max_grants: the most pages mapped at one time. */
int hv_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out);
/* Unmaps whatever is still mapped. */
void hv_gnttab_close(struct hv_gnttab *gt);

/* Maps n pages next to each other; prot: PROT_READ, or PROT_READ|PROT_WRITE. All or nothing: when
 * one grant is bad (absent, not for us, read-only for a writable mapping) nothing is mapped and the
 * answer is negative; the caller may then map one by one. -ENOSPC: out of grant frames, handles or
 * max_grants. */
int hv_gnttab_map(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr);
/* addr and n as they came from one hv_gnttab_map(). */
int hv_gnttab_unmap(struct hv_gnttab *gt, void *addr, uint32_t n);

/* True where the kernel pins pages mapped through gt one by one on its slow path (a PV domain's
 * gntdev: measured: some 8000 instructions a page): direct I/O is then cheaper through memory of
 * this process, though the bytes are moved once more. */
bool hv_gnttab_pins_slowly(const struct hv_gnttab *gt);

/* Grant copy. offset + len <= HV_PAGE (gntdev refuses the whole call otherwise). */
struct hv_copy {
    void *local;
    uint32_t ref;
    uint16_t offset; /* bytes into the granted page */
    uint16_t len;    /* bytes */
    bool to_guest;   /* local -> grant; else grant -> local */
    int16_t status;  /* out: 0 (GNTST_okay) or Xen's negative GNTST_* for this one */
};
/* 0: every status is valid (each must still be looked at). Negative: the call failed as a whole and
 * nothing may be assumed copied whatever the statuses say. */
int hv_gnttab_copy(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n);

/* ---- Pages granted to another domain (the frontend's side) -------------------------------------
 */

/* Allocates n zeroed pages next to each other and grants each to domain peer; refs receives n grant
 * references. */
int hv_share_open(struct hv *hv, struct hv_share **out);
void hv_share_close(struct hv_share *sh); /* ends what is still shared, as a dying domain would */
int hv_share_pages(struct hv_share *sh, uint32_t peer, uint32_t n, bool writable, uint32_t *refs,
                   void **addr);
/* Ends the grants and frees the pages. -EBUSY: the peer still has one of them mapped; nothing is
 * freed and the caller may try again. */
int hv_share_end(struct hv_share *sh, void *addr, uint32_t n);

/* ---- Event channels ----------------------------------------------------------------------------
 */

/* Backend: binds to the port that domain peer allocated for us. The handle can do nothing to any
 * other domain afterwards (xenevtchn_restrict). A fresh binding is pending once, as on Xen. */
int hv_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t remote_port, struct hv_evtchn **out);
/* Frontend: allocates a port that domain peer may bind to. */
int hv_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port);
void hv_evtchn_close(struct hv_evtchn *ev); /* unbinds */

/* Readable (poll, epoll, io_uring) while the port is pending and not yet read. */
int hv_evtchn_fd(const struct hv_evtchn *ev);
/* 1: the port was pending; it is now masked and no further event comes until hv_evtchn_unmask().
 * 0: nothing pending. Never blocks. */
int hv_evtchn_pending(struct hv_evtchn *ev);
/* To be called after the events have been dealt with: on Xen this is the late EOI. If an event came
 * while masked the port is pending again at once. */
int hv_evtchn_unmask(struct hv_evtchn *ev);
int hv_evtchn_notify(struct hv_evtchn *ev);

#endif
