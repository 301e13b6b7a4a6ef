/* SPDX-License-Identifier: MIT
 *
 * The backend's states, and its thread. Each change of the store makes it look at the frontend's
 * state again, as a watch would.
 */
#include "fake_backend.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_hv.h"

static void set_number(const char *name, uint64_t value)
{
    char path[200], text[32];

    snprintf(path, sizeof(path), "%s/%s", FAKE_BACKEND, name);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    fake_store_set(path, text);
}

static bool get_number(const char *name, uint32_t *value)
{
    char path[200], text[64];

    snprintf(path, sizeof(path), "%s/%s", FAKE_FRONTEND, name);
    if (!fake_store_get(path, text, sizeof(text)))
        return false;
    *value = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

static void go(struct fake_backend *be, int state)
{
    size_t n = strlen(be->states);

    be->state = state;
    if (n + 1 < sizeof(be->states))
        be->states[n] = (char)('0' + state);
    set_number("state", (uint64_t)state);
}

static void offer(struct fake_backend *be)
{
    set_number("multi-queue-max-queues", be->opt.max_queues);
    set_number("max-ring-page-order", be->opt.max_order);
    go(be, 2);
}

static void publish(struct fake_backend *be)
{
    set_number("sectors", be->opt.sectors);
    set_number("sector-size", 512);
    set_number("physical-sector-size", 4096);
    set_number("info", be->opt.read_only ? 4 : 0);
    set_number("feature-persistent", be->opt.persistent);
    if (be->opt.max_indirect != 0)
        set_number("feature-max-indirect-segments", be->opt.max_indirect);
    if (!be->opt.no_flush) {
        set_number("feature-flush-cache", 1);
        set_number("feature-barrier", 1);
        set_number("feature-discard", 1);
        set_number("discard-granularity", 4096);
        set_number("discard-alignment", 0);
        set_number("discard-secure", 1);
    }
}

/* The ring whose nodes stand under prefix. */
static bool attach(struct fake_backend *be, unsigned i, const char *prefix)
{
    uint32_t order = 0, refs[16];
    char name[64];
    void *pages;

    get_number("ring-page-order", &order);
    for (unsigned p = 0; p < 1u << order; p++) {
        if (order == 0)
            snprintf(name, sizeof(name), "%sring-ref", prefix);
        else
            snprintf(name, sizeof(name), "%sring-ref%u", prefix, p);
        if (!get_number(name, &refs[p]))
            return false;
    }
    snprintf(name, sizeof(name), "%sevent-channel", prefix);
    if (!get_number(name, &be->port[i]) || fake_port_fd(be->port[i]) < 0)
        return false;
    pages = fake_grant_pages(refs, 1u << order);
    if (pages == NULL)
        return false;
    be->ring[i] =
        be->abi32 ? fake_attach_32(pages, 4096u << order) : fake_attach_64(pages, 4096u << order);
    return true;
}

static bool attach_all(struct fake_backend *be)
{
    char text[64], prefix[24];
    uint32_t queues = 1, persistent = 0, dummy;
    bool ok = true;

    if (!fake_store_get(FAKE_FRONTEND "/protocol", text, sizeof(text)))
        return false;
    be->abi32 = strcmp(text, "x86_32-abi") == 0;
    get_number("multi-queue-num-queues", &queues);
    get_number("feature-persistent", &persistent);
    be->persistent = be->opt.persistent && persistent == 1;
    be->nr_rings = 0;
    if (queues > 1 && (get_number("ring-ref", &dummy) || get_number("event-channel", &dummy)))
        be->complaints++;
    for (unsigned i = 0; i < queues && ok; i++) {
        snprintf(prefix, sizeof(prefix), "queue-%u/", i);
        ok = attach(be, i, queues > 1 ? prefix : "");
        be->nr_rings += ok;
    }
    return ok;
}

static void detach_all(struct fake_backend *be)
{
    for (unsigned i = 0; i < be->nr_rings; i++)
        free(be->ring[i]);
    be->nr_rings = 0;
}

static void connect_frontend(struct fake_backend *be)
{
    if (be->opt.sin == SIN_IGNORE)
        return;
    if (be->opt.sin == SIN_REFUSE) {
        fake_store_set(FAKE_ERROR, "5 the storage is on fire");
        go(be, 5);
        return;
    }
    if (!attach_all(be)) {
        be->complaints++;
        detach_all(be);
        go(be, 5);
        return;
    }
    publish(be);
    go(be, 4);
}

static void frontend_changed(struct fake_backend *be)
{
    uint32_t theirs;

    if (!get_number("state", &theirs))
        return;
    if ((theirs == 3 || theirs == 4) && be->state == 2)
        connect_frontend(be);
    else if (theirs == 5 && be->state != 5 && be->state != 6)
        go(be, 5);
    else if (theirs == 6 && be->state != 6) {
        detach_all(be);
        go(be, 6);
    } else if (theirs == 1 && be->state == 6)
        offer(be);
}

static void serve(struct fake_backend *be, unsigned i)
{
    uint64_t n;

    if (read(fake_port_fd(be->port[i]), &n, sizeof(n)) < 0)
        return;
    if (be->abi32)
        fake_serve_32(be, i);
    else
        fake_serve_64(be, i);
}

static void *run(void *arg)
{
    struct fake_backend *be = arg;
    struct pollfd pfd[2 + FAKE_RINGS];

    offer(be);
    for (;;) {
        unsigned n = be->nr_rings;

        pfd[0] = (struct pollfd){.fd = be->stop_fd, .events = POLLIN};
        pfd[1] = (struct pollfd){.fd = fake_store_change_fd(), .events = POLLIN};
        for (unsigned i = 0; i < n; i++)
            pfd[2 + i] = (struct pollfd){.fd = fake_port_fd(be->port[i]), .events = POLLIN};
        poll(pfd, 2 + n, -1);
        if (pfd[0].revents != 0)
            break;
        for (unsigned i = 0; i < n; i++)
            if (pfd[2 + i].revents & POLLIN)
                serve(be, i);
        if (pfd[1].revents != 0) {
            fake_store_ack();
            frontend_changed(be);
        }
    }
    detach_all(be);
    return NULL;
}

void fake_backend_start(struct fake_backend *be, const struct fake_options *opt)
{
    memset(be, 0, sizeof(*be));
    be->opt = *opt;
    be->disk = calloc(opt->sectors, 512);
    be->stop_fd = eventfd(0, EFD_CLOEXEC);
    fake_store_set(FAKE_FRONTEND "/backend", FAKE_BACKEND);
    fake_store_set(FAKE_FRONTEND "/backend-id", "0");
    fake_store_set(FAKE_FRONTEND "/state", "1");
    set_number("state", 1);
    be->state = 1;
    if (pthread_create(&be->thread, NULL, run, be) != 0)
        abort();
}

void fake_backend_stop(struct fake_backend *be)
{
    uint64_t one = 1;

    if (write(be->stop_fd, &one, sizeof(one)) < 0)
        abort();
    pthread_join(be->thread, NULL);
    close(be->stop_fd);
    free(be->disk);
    be->disk = NULL;
}
