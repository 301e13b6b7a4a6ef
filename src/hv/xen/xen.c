/* SPDX-License-Identifier: MIT
 *
 * The seam on real Xen. There is no connection to hold: each grant table, shared page and event
 * channel handle opens its own descriptor, so this object only answers whether Xen is reachable.
 *
 * Threads: any, once open.
 */
#include "hv/xen/xen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void quiet_message(struct xentoollog_logger *logger, xentoollog_level level, int errnoval,
                          const char *context, const char *format, va_list al)
{
}

static void quiet_progress(struct xentoollog_logger *logger, const char *context,
                           const char *doing_what, int percent, unsigned long done,
                           unsigned long total)
{
}

static void quiet_destroy(struct xentoollog_logger *logger)
{
}

/* What failed is in errno, and whoever called knows for whom. */
struct xentoollog_logger xen_quiet_logger = {
    .vmessage = quiet_message,
    .progress = quiet_progress,
    .destroy = quiet_destroy,
};

static int check_device(const char *path, const char *module, struct errmsg *err)
{
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    int e = errno;
    if (e == EACCES || e == EPERM)
        return errmsg_set(err, -e, "no permission for %s: run as root", path);
    return errmsg_set(err, -e,
                      "%s: %s: this is not a Xen domain, or the module %s is not loaded: "
                      "modprobe %s; to try without Xen use the loopback (make demo)",
                      path, strerror(e), module, module);
}

/* Only a PV domain maps grants with special page table entries, which the kernel's fast way of
 * pinning refuses (Linux drivers/xen/gntdev.c, use_ptemod). */
static bool is_pv_domain(void)
{
    char type[8] = "";
    FILE *f = fopen("/sys/hypervisor/guest_type", "re");

    if (!f)
        return false;
    bool pv = fgets(type, sizeof(type), f) && strcmp(type, "PV\n") == 0;
    fclose(f);
    return pv;
}

static int xen_open(const char *rest, struct hv **out, struct errmsg *err)
{
    if (rest && *rest)
        return errmsg_set(err, -EINVAL, "the hypervisor \"xen\" takes no arguments, not \"%s\"",
                          rest);
    int r = check_device("/dev/xen/gntdev", "xen-gntdev", err);
    if (r == 0)
        r = check_device("/dev/xen/evtchn", "xen-evtchn", err);
    if (r < 0)
        return r;
    struct hv *hv = calloc(1, sizeof(*hv));
    if (!hv)
        return errmsg_set(err, -ENOMEM, "out of memory");
    hv->ops = &hv_xen_ops;
    hv->pins_slowly = is_pv_domain();
    *out = hv;
    return 0;
}

static void xen_close(struct hv *hv)
{
    free(hv);
}

const struct hv_ops hv_xen_ops = {
    .name = "xen",
    .open = xen_open,
    .close = xen_close,
    .gnttab_open = xen_gnttab_open,
    .share_open = xen_share_open,
    .evtchn_bind = xen_evtchn_bind,
    .evtchn_alloc = xen_evtchn_alloc,
};
