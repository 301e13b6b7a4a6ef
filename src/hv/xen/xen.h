/* SPDX-License-Identifier: MIT
 *
 * Private to hv/xen: the constructors that xen.c puts into hv_xen_ops, and the logger that keeps
 * libxen* from writing to stderr by itself (a guest that offers bad grants would fill the log).
 */
#ifndef HV_XEN_XEN_H
#define HV_XEN_XEN_H

#include <xentoollog.h>

#include "hv/impl.h"

extern struct xentoollog_logger xen_quiet_logger;

int xen_gnttab_open(struct hv *hv, uint32_t peer, uint32_t max_grants, struct hv_gnttab **out);
int xen_share_open(struct hv *hv, struct hv_share **out);
int xen_evtchn_bind(struct hv *hv, uint32_t peer, uint32_t remote_port, struct hv_evtchn **out);
int xen_evtchn_alloc(struct hv *hv, uint32_t peer, struct hv_evtchn **out, uint32_t *port);

#endif
