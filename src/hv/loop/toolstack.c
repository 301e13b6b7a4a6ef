/* SPDX-License-Identifier: MIT
 *
 * The toolstack's requests to blkback-loopd. Threads: see toolstack.h.
 */
#include "hv/loop/toolstack.h"

#include <stdio.h>
#include <string.h>

#include "hv/loop/client.h"

int loop_toolstack_open(const char *dir, struct loop_hv **out, struct errmsg *err)
{
    return loop_connect(dir, 0, out, err);
}

void loop_toolstack_close(struct loop_hv *ts)
{
    loop_disconnect(ts);
}

int loop_domain_create(struct loop_hv *ts, uint32_t pages, uint32_t *domid)
{
    struct loop_create_msg req = {.pages = pages}, rsp;
    int r = loop_rpc(ts, LOOP_CREATE, &req, &rsp, NULL, 0);

    if (!r)
        *domid = rsp.domid;
    return r;
}

static int domain_request(struct loop_hv *ts, uint32_t op, uint32_t domid)
{
    struct loop_domid_req req = {.domid = domid};
    struct loop_head rsp;

    return loop_rpc(ts, op, &req, &rsp, NULL, 0);
}

int loop_domain_introduce(struct loop_hv *ts, uint32_t domid)
{
    return domain_request(ts, LOOP_INTRODUCE, domid);
}

int loop_domain_destroy(struct loop_hv *ts, uint32_t domid)
{
    return domain_request(ts, LOOP_DESTROY, domid);
}

int loop_domain_list(struct loop_hv *ts, int (*row)(const struct loop_list_row *, void *),
                     void *arg)
{
    struct loop_cursor_req req = {0};
    struct loop_list_rsp rsp;

    do {
        int r = loop_rpc(ts, LOOP_LIST, &req, &rsp, NULL, 0);

        if (!r && rsp.n > LOOP_ROWS)
            r = -EPROTO;
        for (uint32_t i = 0; !r && i < rsp.n; i++)
            r = row(&rsp.row[i], arg);
        if (r)
            return r;
        req.cursor = rsp.next;
    } while (req.cursor);
    return 0;
}

int loop_report(struct loop_hv *ts, int (*row)(const struct loop_report_row *, void *), void *arg)
{
    struct loop_cursor_req req = {0};
    struct loop_report_rsp rsp;

    do {
        int r = loop_rpc(ts, LOOP_REPORT, &req, &rsp, NULL, 0);

        if (!r && rsp.n > LOOP_ROWS)
            r = -EPROTO;
        for (uint32_t i = 0; !r && i < rsp.n; i++)
            r = row(&rsp.row[i], arg);
        if (r)
            return r;
        req.cursor = rsp.next;
    } while (req.cursor);
    return 0;
}

void loop_report_text(const struct loop_report_row *row, char *buf, size_t cap)
{
    const char *gone = row->peer_dying ? ", destroyed" : "";

    if (row->kind == LOOP_REPORT_GRANT)
        snprintf(buf, cap, "grant: domain %u (pid %d) has reference %u of domain %u mapped, %s%s",
                 row->domid, row->pid, row->ref, row->peer,
                 row->writable ? "read-write" : "read-only", gone);
    else if (row->connected)
        snprintf(buf, cap, "port: domain %u (pid %d) has port %u bound to port %u of domain %u",
                 row->domid, row->pid, row->port, row->peer_port, row->peer);
    else
        snprintf(buf, cap,
                 "port: domain %u (pid %d) has port %u open, its end at domain %u is closed%s",
                 row->domid, row->pid, row->port, row->peer, gone);
}

int loop_set_fail(struct loop_hv *ts, const char *rule, uint32_t domid, struct errmsg *err)
{
    struct loop_fail_req req = {0};
    struct loop_head rsp;
    int r = rule ? loop_fail_parse(rule, strlen(rule), &req.rule, err) : 0;

    if (r)
        return r;
    if (rule)
        req.rule.domid = domid;
    r = loop_rpc(ts, LOOP_SET_FAIL, &req, &rsp, NULL, 0);
    return r ? errmsg_set(err, r, "blkback-loopd refused the rule: %s", strerror(-r)) : 0;
}

int loop_set_limit(struct loop_hv *ts, enum loop_limit limit, uint32_t value)
{
    struct loop_limit_req req = {.limit = limit, .value = value};
    struct loop_head rsp;

    return loop_rpc(ts, LOOP_SET_LIMIT, &req, &rsp, NULL, 0);
}
