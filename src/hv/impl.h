/* SPDX-License-Identifier: MIT
 *
 * What an implementation of the seam provides: five small tables. The functions of hv.h check
 * nothing and forward to them; each object starts with a pointer to its table.
 */
#ifndef HV_IMPL_H
#define HV_IMPL_H

#include "hv/hv.h"

struct hv_gnttab_ops {
    void (*close)(struct hv_gnttab *gt);
    int (*map)(struct hv_gnttab *gt, const uint32_t *refs, uint32_t n, int prot, void **addr);
    int (*unmap)(struct hv_gnttab *gt, void *addr, uint32_t n);
    int (*copy)(struct hv_gnttab *gt, struct hv_copy *ops, uint32_t n);
};

struct hv_share_ops {
    void (*close)(struct hv_share *sh);
    int (*pages)(struct hv_share *sh, uint32_t peer, uint32_t n, bool writable, uint32_t *refs,
                 void **addr);
    int (*end)(struct hv_share *sh, void *addr, uint32_t n);
};

struct hv_evtchn_ops {
    void (*close)(struct hv_evtchn *ev);
    int (*pending)(struct hv_evtchn *ev);
    int (*unmask)(struct hv_evtchn *ev);
    int (*notify)(struct hv_evtchn *ev);
};

struct hv_ops {
    const char *name; /* what stands before the first ':' of the spec */
    int (*open)(const char *rest_of_spec, struct hv **out, struct errmsg *err);
    void (*close)(struct hv *hv);
    int (*gnttab_open)(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out);
    int (*share_open)(struct hv *hv, struct hv_share **out);
    int (*evtchn_bind)(struct hv *hv, uint32_t peer, uint32_t remote_port, struct hv_evtchn **out);
    int (*evtchn_alloc)(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port);
};

struct hv {
    const struct hv_ops *ops;
    bool pins_slowly; /* see hv_gnttab_pins_slowly() */
};
struct hv_gnttab {
    const struct hv_gnttab_ops *ops;
    bool pins_slowly; /* as its hv */
};
struct hv_share {
    const struct hv_share_ops *ops;
};
struct hv_evtchn {
    const struct hv_evtchn_ops *ops;
    int fd;
};

extern const struct hv_ops hv_xen_ops;
extern const struct hv_ops hv_loop_ops;

#endif
