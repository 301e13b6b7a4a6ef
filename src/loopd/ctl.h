/* SPDX-License-Identifier: MIT
 *
 * blkback-loopctl, the loopback's toolstack: what xl and libxl do on Xen, as far as disks need it.
 * One command for each run. One thread.
 */
#ifndef LOOPD_CTL_H
#define LOOPD_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "hv/loop/toolstack.h"
#include "hv/store.h"

enum ctl_status { /* exit status */
                  CTL_OK = 0,
                  CTL_FAILED = 1,
                  CTL_USAGE = 2,
                  CTL_UNREACHABLE = 3,
                  CTL_NOT_FOUND = 4,
                  CTL_TIMEOUT = 5,
                  CTL_BUSY = 6,
};

struct ctl {
    const char *dir;
    struct loop_hv *ts;
    struct hv_store *store; /* as domain 0 */
    /* Options of one command or another. */
    uint32_t memory_mib;
    bool readonly, force, abrupt;
    const char *script, *kind;
};

/* Writes one line to standard error and returns status. */
enum ctl_status ctl_fail(enum ctl_status status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct disk {
    uint32_t domid, devid;
    const char *vdev, *kind;
    char back[96], front[96]; /* absolute paths */
};

/* ctl_vdev.c: "xvda", "sdb3", "hda", "d0p1" or the number itself, as libxl numbers them. */
int vdev_parse(const char *vdev, uint32_t *devid);

/* ctl_disk.c */
int disk_name(struct disk *d, uint32_t domid, const char *vdev, const char *kind);
enum ctl_status disk_attach(struct ctl *c, const struct disk *d, const char *target);
enum ctl_status disk_detach(struct ctl *c, const struct disk *d, bool force);

/* ctl_script.c: runs "script add" or "script remove" as libxl does; waits at most 40 s. */
enum ctl_status script_run(struct ctl *c, const struct disk *d, const char *script,
                           const char *action);

/* ctl_wait.c */
#define WAIT_STATE_MS 10000u
/* Waits until path reads as the number; -ETIMEDOUT. *last: the last value seen, -1: none. */
int wait_state(struct ctl *c, const char *path, int state, unsigned timeout_ms, int *last);

/* ctl_domain.c */
enum ctl_status domain_create_cmd(struct ctl *c);
enum ctl_status domain_destroy_cmd(struct ctl *c, uint32_t domid);
enum ctl_status list_cmd(struct ctl *c);
enum ctl_status report_cmd(struct ctl *c);

#endif
