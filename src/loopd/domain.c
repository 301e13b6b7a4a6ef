/* SPDX-License-Identifier: MIT
 *
 * Domains: made and destroyed by the toolstack. A destroyed one stays as a zombie while somebody
 * has pages of it mapped, as on Xen.
 */
#include "loopd/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "loopd/store.h"

static void domain_free(struct domain *dom)
{
    for (unsigned i = 0; i < LOOP_SLOTS; i++)
        if (dom->slots[i])
            dom->slots[i]->slots--;
    if (dom->table)
        munmap(dom->table, sizeof(*dom->table));
    if (dom->table_fd >= 0)
        close(dom->table_fd);
    if (dom->mem_fd >= 0)
        close(dom->mem_fd);
    free(dom->refs);
    free(dom->frame_used);
    free(dom);
}

static int domain_memory(struct server *srv, struct domain *dom)
{
    char name[32];
    void *table;

    dom->refs = calloc(LOOP_REFS, sizeof(*dom->refs));
    dom->frame_used = calloc(dom->pages, 1);
    if (!dom->refs || !dom->frame_used)
        return -ENOMEM;
    snprintf(name, sizeof(name), "loopd-mem-%u", dom->domid);
    dom->mem_fd = memory_new(name, srv->memory_dir, (size_t)dom->pages * LOOP_PAGE, NULL);
    if (dom->mem_fd < 0)
        return dom->mem_fd;
    snprintf(name, sizeof(name), "loopd-grants-%u", dom->domid);
    dom->table_fd = memory_new(name, NULL, sizeof(*dom->table), &table);
    if (dom->table_fd < 0)
        return dom->table_fd;
    dom->table = table;
    dom->table->magic = LOOP_MAGIC;
    return 0;
}

int domain_create(struct server *srv, uint32_t domid, uint32_t pages, struct domain **out)
{
    struct domain **at = &srv->domains;
    struct domain *dom = calloc(1, sizeof(*dom));

    if (!dom)
        return -ENOMEM;
    dom->domid = domid;
    dom->pages = pages;
    dom->mem_fd = dom->table_fd = -1;
    dom->ref_hint = LOOP_REFS_RESERVED;
    dom->port_hint = 1;
    int err = domain_memory(srv, dom);
    if (!err)
        err = store_domain_new(srv->store, domid);
    if (err) {
        domain_free(dom);
        return err;
    }
    while (*at)
        at = &(*at)->next;
    *at = dom;
    *out = dom;
    return 0;
}

struct domain *domain_find(struct server *srv, uint32_t domid)
{
    struct domain *dom = srv->domains;

    while (dom && (dom->domid != domid || dom->dying))
        dom = dom->next;
    return dom;
}

void domain_put(struct server *srv, struct domain *dom)
{
    struct domain **at = &srv->domains;

    if (!dom->dying || dom->pins)
        return;
    while (*at != dom)
        at = &(*at)->next;
    *at = dom->next;
    domain_free(dom);
}

static void drop_conns(struct server *srv, struct domain *dom)
{
    struct hvconn *c = srv->conns;

    while (c) {
        struct hvconn *next = c->next;

        if (c->dom == dom)
            conn_drop(c);
        c = next;
    }
}

void domain_destroy(struct server *srv, struct domain *dom)
{
    dom->table->dead = 1;
    drop_conns(srv, dom);
    dom->dying = true;
    store_domain_gone(srv->store, dom->domid);
    if (dom->pins)
        log_info("domain %u is destroyed, but %u of its pages are still mapped", dom->domid,
                 dom->pins);
    domain_put(srv, dom);
}
