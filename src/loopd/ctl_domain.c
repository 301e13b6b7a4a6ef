/* SPDX-License-Identifier: MIT
 *
 * Domains: their directories in the store as libxl makes them, lists and reports.
 */
#include "loopd/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB_PAGES (1048576u / LOOP_PAGE)

/* Directories below the domain's own that the guest may write, and that it may read. */
static const char *const guest_dirs[] = {"data", "drivers", "feature", "attr", "error"};
static const char *const toolstack_dirs[] = {"cpu", "memory", "device", "control"};

static int make_dir(struct ctl *c, hv_tx tx, const char *path, uint32_t owner, uint32_t reader)
{
    int r = hv_store_mkdir(c->store, tx, path);

    return r ? r : hv_store_set_perms(c->store, tx, path, owner, reader);
}

static int domain_nodes(struct ctl *c, hv_tx tx, uint32_t domid)
{
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    r = make_dir(c, tx, path, 0, domid);
    for (size_t i = 0; !r && i < sizeof(toolstack_dirs) / sizeof(toolstack_dirs[0]); i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, toolstack_dirs[i]);
        r = make_dir(c, tx, path, 0, domid);
    }
    for (size_t i = 0; !r && i < sizeof(guest_dirs) / sizeof(guest_dirs[0]); i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, guest_dirs[i]);
        r = make_dir(c, tx, path, domid, domid);
    }
    snprintf(path, sizeof(path), "/local/domain/%u/domid", domid);
    if (!r)
        r = hv_store_printf(c->store, tx, path, "%u", domid);
    snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
    if (!r)
        r = hv_store_printf(c->store, tx, path, "guest-%u", domid);
    snprintf(path, sizeof(path), "/local/domain/%u/memory/target", domid);
    return r ? r : hv_store_printf(c->store, tx, path, "%u", c->memory_mib * 1024);
}

static int write_domain(struct ctl *c, uint32_t domid)
{
    int r;

    do {
        hv_tx tx;

        r = hv_store_begin(c->store, &tx);
        if (r)
            return r;
        r = domain_nodes(c, tx, domid);
        if (r) {
            hv_store_abort(c->store, tx);
            return r;
        }
        r = hv_store_commit(c->store, tx);
    } while (r == -EAGAIN);
    return r;
}

enum ctl_status domain_create_cmd(struct ctl *c)
{
    uint32_t domid;
    int r = loop_domain_create(c->ts, c->memory_mib * MIB_PAGES, &domid);

    if (r)
        return ctl_fail(CTL_FAILED, "cannot make a domain of %u MiB: %s", c->memory_mib,
                        strerror(-r));
    r = write_domain(c, domid);
    if (!r)
        r = loop_domain_introduce(c->ts, domid);
    if (r) {
        loop_domain_destroy(c->ts, domid);
        return ctl_fail(CTL_FAILED, "cannot write the domain's nodes: %s", strerror(-r));
    }
    printf("%" PRIu32 "\n", domid);
    return CTL_OK;
}

/* ---- Destroy ---- */

static enum ctl_status detach_kind(struct ctl *c, uint32_t domid, const char *kind)
{
    char path[96], **names;
    enum ctl_status worst = CTL_OK;

    snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", kind, domid);
    int n = hv_store_list(c->store, 0, path, &names);
    for (int i = 0; i < n; i++) {
        struct disk d;

        if (disk_name(&d, domid, names[i], kind))
            continue;
        enum ctl_status s = disk_detach(c, &d, true);
        if (s != CTL_OK)
            worst = s;
    }
    if (n >= 0)
        free(names);
    return worst;
}

static enum ctl_status detach_all(struct ctl *c, uint32_t domid)
{
    char **kinds;
    enum ctl_status worst = CTL_OK;
    int n = hv_store_list(c->store, 0, "/local/domain/0/backend", &kinds);

    for (int i = 0; i < n; i++) {
        enum ctl_status s = detach_kind(c, domid, kinds[i]);
        if (s != CTL_OK)
            worst = s;
    }
    if (n >= 0)
        free(kinds);
    return worst;
}

enum ctl_status domain_destroy_cmd(struct ctl *c, uint32_t domid)
{
    enum ctl_status status = CTL_OK;
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    if (!c->abrupt)
        status = detach_all(c, domid);
    int r = loop_domain_destroy(c->ts, domid);
    if (r == -ESRCH)
        return ctl_fail(CTL_NOT_FOUND, "there is no domain %u (see blkback-loopctl list)", domid);
    if (r)
        return ctl_fail(CTL_FAILED, "cannot destroy domain %u: %s", domid, strerror(-r));
    r = hv_store_rm(c->store, 0, path);
    if (c->abrupt)
        status = detach_all(c, domid);
    return r ? ctl_fail(CTL_FAILED, "cannot remove %s: %s", path, strerror(-r)) : status;
}

/* ---- List and report ---- */

static int list_row(const struct loop_list_row *row, void *arg)
{
    printf("%5" PRIu32 " %7" PRIu32 "M %-9s %7" PRIu32 " %7" PRIu32 " %7" PRIu32 " %5" PRIu32 "\n",
           row->domid, row->pages / MIB_PAGES, row->dying ? "destroyed" : "running", row->clients,
           row->granted, row->mapped, row->ports);
    return 0;
}

enum ctl_status list_cmd(struct ctl *c)
{
    printf("DOMID   MEMORY STATE     CLIENTS GRANTED  MAPPED PORTS\n");
    int r = loop_domain_list(c->ts, list_row, NULL);
    return r ? ctl_fail(CTL_FAILED, "cannot list domains: %s", strerror(-r)) : CTL_OK;
}

static int report_row(const struct loop_report_row *row, void *arg)
{
    char line[200];

    loop_report_text(row, line, sizeof(line));
    puts(line);
    ++*(uint32_t *)arg;
    return 0;
}

enum ctl_status report_cmd(struct ctl *c)
{
    uint32_t rows = 0;
    int r = loop_report(c->ts, report_row, &rows);

    if (r)
        return ctl_fail(CTL_FAILED, "cannot get the report: %s", strerror(-r));
    if (!rows)
        puts("nothing is mapped or bound");
    return rows ? CTL_FAILED : CTL_OK;
}
