/* SPDX-License-Identifier: MIT
 *
 * What is still mapped and bound, row by row. A cursor counts map handles first, channels after
 * them; rows that come or go between two answers may be missed, nothing worse.
 */
#include "loopd/server.h"

#include "base/log.h"
#include "hv/loop/toolstack.h"

static bool is_dying(struct server *srv, uint32_t domid)
{
    return domain_find(srv, domid) == NULL;
}

static bool grant_row(struct server *srv, uint32_t handle, struct loop_report_row *row)
{
    const struct track *t = &srv->tracks[handle];

    if (!t->conn)
        return false;
    *row = (struct loop_report_row){.kind = LOOP_REPORT_GRANT,
                                    .domid = t->conn->dom->domid,
                                    .pid = t->conn->pid,
                                    .peer = t->dom->domid,
                                    .ref = t->ref,
                                    .writable = t->writable,
                                    .peer_dying = t->dom->dying};
    return true;
}

/* The end that bound to the other's port is the one that may be forgotten; an end that was only
 * allocated is its owner's offer and no leak. */
static bool port_row(struct server *srv, uint32_t n, struct loop_report_row *row)
{
    const struct chan *ch = &srv->chans[n];
    const struct chan_end *own = &ch->end[1], *other = &ch->end[0];

    if (!ch->used || !own->owner)
        return false;
    *row = (struct loop_report_row){.kind = LOOP_REPORT_PORT,
                                    .domid = own->domid,
                                    .pid = own->owner->pid,
                                    .port = own->port,
                                    .peer = other->domid,
                                    .peer_port = other->port,
                                    .connected = other->owner != NULL,
                                    .peer_dying = is_dying(srv, other->domid)};
    return true;
}

void report_rows(struct server *srv, uint32_t cursor, struct loop_report_rsp *rsp)
{
    uint32_t end = srv->nr_tracks + LOOP_CHANNELS, i = cursor;

    for (; i < end && rsp->n < LOOP_ROWS; i++) {
        struct loop_report_row *row = &rsp->row[rsp->n];

        rsp->n +=
            i < srv->nr_tracks ? grant_row(srv, i, row) : port_row(srv, i - srv->nr_tracks, row);
    }
    rsp->next = i < end ? i : 0;
}

void report_list(struct server *srv, uint32_t cursor, struct loop_list_rsp *rsp)
{
    uint32_t i = 0;

    for (struct domain *dom = srv->domains; dom; dom = dom->next, i++) {
        if (i < cursor)
            continue;
        if (rsp->n == LOOP_ROWS) {
            rsp->next = i;
            return;
        }
        struct loop_list_row *row = &rsp->row[rsp->n++];
        *row = (struct loop_list_row){.domid = dom->domid,
                                      .pages = dom->pages,
                                      .dying = dom->dying,
                                      .granted = dom->granted,
                                      .mapped = dom->pins,
                                      .ports = dom->nr_ports};
        for (const struct hvconn *c = srv->conns; c; c = c->next)
            row->clients += c->dom == dom;
    }
}

void report_log(struct server *srv)
{
    struct loop_report_rsp rsp = {0};
    char line[160];

    do {
        uint32_t cursor = rsp.next;

        rsp = (struct loop_report_rsp){0};
        report_rows(srv, cursor, &rsp);
        for (uint32_t i = 0; i < rsp.n; i++) {
            loop_report_text(&rsp.row[i], line, sizeof(line));
            log_warn("left at exit: %s", line);
        }
    } while (rsp.next);
}
