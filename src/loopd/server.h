/* SPDX-License-Identifier: MIT
 *
 * blkback-loopd, the loopback hypervisor's server: domains, their memory and grants, event channels
 * and the store. One process, one thread, one event loop.
 *
 * Everything that comes from a client's message or from shared memory is input to be judged: it may
 * get its sender an error or lose it its connection, nothing more.
 */
#ifndef LOOPD_SERVER_H
#define LOOPD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "hv/loop/wire.h"

struct store;
struct hvconn;

/* What the server itself knows of a grant reference; the shared entry is the guest's. */
struct ref {
    uint32_t owner; /* id of the connection that shares it; 0: free, or orphan */
    bool orphan;    /* revoked while mapped: frame and reference are freed by the last unpin */
    bool allocated; /* frame belongs to it */
    uint32_t frame;
    uint32_t pin_frame; /* what is mapped; as it was when the first pin was taken */
    uint32_t readers, writers;
};

struct domain {
    struct domain *next;
    uint32_t domid;
    uint32_t pages;
    bool dying; /* destroyed; kept while others have pages of it mapped */
    int mem_fd, table_fd;
    struct loop_table *table;
    struct ref *refs;                 /* LOOP_REFS */
    uint8_t *frame_used;              /* pages */
    uint32_t frame_hint, ref_hint;    /* where the next search starts */
    uint32_t granted;                 /* references allocated */
    uint32_t pins;                    /* mappings of its pages by others */
    uint32_t mapped;                  /* mappings by it of others' pages */
    uint32_t nr_ports, port_hint;     /* ports in use */
    uint32_t ports[LOOP_PORTS];       /* (channel * 2 + end) + 1, or 0 */
    struct hvconn *slots[LOOP_SLOTS]; /* who copies through its grants */
};

/* A connection to hv.sock. */
struct hvconn {
    struct hvconn *next;
    struct server *srv;
    struct loop_source *source;
    struct domain *dom; /* NULL before HELLO */
    uint32_t id;        /* never 0, never used again */
    int fd;
    int32_t pid;
    uint32_t maps;  /* pages mapped */
    uint32_t slots; /* copy slots open */
};

/* One page mapped: what a map handle names. */
struct track {
    struct hvconn *conn; /* NULL: free */
    struct domain *dom;
    uint32_t ref;
    bool writable;
};

struct chan_end {
    struct hvconn *owner; /* NULL: not bound */
    uint32_t domid;       /* whose end it is, bound or not */
    uint32_t port;        /* of that domain, while bound */
    int fd;               /* the end's eventfd; lives as long as the channel */
};
struct chan {
    bool used;
    struct chan_end end[2];
};

struct server {
    struct loop *loop;
    const char *dir;
    const char *memory_dir; /* NULL: memfds */
    int shared_fd;
    struct loop_shared *shared;
    int listen_fd;
    struct domain *domains; /* 0 first, then in order of age */
    struct hvconn *conns;
    uint32_t next_domid, next_conn;
    struct track *tracks;
    uint32_t nr_tracks, track_hint;
    struct chan *chans; /* LOOP_CHANNELS */
    uint32_t chan_hint;
    uint32_t limits[LOOP_LIMIT_COUNT];
    struct store *store;
};

/* memory.c: an anonymous file of len bytes that cannot shrink, and its mapping (map may be NULL:
 * not mapped). Returns the descriptor or a negative errno. */
int memory_new(const char *name, const char *dir, size_t len, void **map);

/* domain.c */
int domain_create(struct server *srv, uint32_t domid, uint32_t pages, struct domain **out);
/* NULL when there is none, or when it is dying. */
struct domain *domain_find(struct server *srv, uint32_t domid);
/* Closes its connections, revokes its grants, closes its ports; the memory goes with the last
 * mapping of it. */
void domain_destroy(struct server *srv, struct domain *dom);
void domain_put(struct server *srv, struct domain *dom); /* frees it if dying and not mapped */

/* grant.c */
int grant_map(struct hvconn *c, struct domain *dom, const struct loop_map_req *req,
              struct loop_map_rsp *rsp);
int grant_unmap(struct hvconn *c, const uint32_t *handles, uint32_t n);
int share_new(struct hvconn *c, uint32_t n, struct loop_share_rsp *rsp);
int share_end(struct hvconn *c, uint32_t last_ref, uint32_t n, bool force);
int slot_open(struct hvconn *c, struct domain *dom, uint32_t *slot);
int slot_close(struct hvconn *c, uint32_t domid, uint32_t slot);
void grant_conn_gone(struct hvconn *c);

/* event.c */
int event_alloc(struct hvconn *c, uint32_t peer, struct loop_ev_rsp *rsp, int fds[2]);
int event_bind(struct hvconn *c, uint32_t peer, uint32_t port, struct loop_ev_rsp *rsp, int fds[2]);
int event_close(struct hvconn *c, uint32_t port);
void event_conn_gone(struct hvconn *c);

/* conn.c: hv.sock. */
int conns_open(struct server *srv, struct errmsg *err);
void conns_close(struct server *srv);
void conn_drop(struct hvconn *c);

/* report.c: one row for each page mapped and each port bound. */
void report_list(struct server *srv, uint32_t cursor, struct loop_list_rsp *rsp);
void report_rows(struct server *srv, uint32_t cursor, struct loop_report_rsp *rsp);
/* The rows in words, to the log. */
void report_log(struct server *srv);

#endif
