/* SPDX-License-Identifier: MIT
 *
 * See fake_libxen.h. An event channel is a pipe, so that polling and O_NONBLOCK are real.
 */
#include "fake_libxen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

struct fake_libxen fake;

#define FAKE_PORT 77
#define PAGE      4096u

struct xengntdev_handle {
    int unused;
};
struct xenevtchn_handle {
    int fds[2];
};
static struct xenevtchn_handle *channel;

void fake_reset(void)
{
    fake = (struct fake_libxen){0};
}

void fake_event(void)
{
    evtchn_port_t port = FAKE_PORT;
    if (write(channel->fds[1], &port, sizeof(port)) != (ssize_t)sizeof(port))
        abort();
}

/* At addresses far apart, as those of a long life are. */
static void *pages(uint32_t count)
{
    void *hint = (void *)(uintptr_t)(0x100000000000u + (uint64_t)random() % (1u << 30) * PAGE);
    void *p = mmap(hint, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    fake.mapped_pages += count;
    return p == MAP_FAILED ? NULL : p;
}

static int release(void *p, uint32_t count)
{
    fake.mapped_pages -= count;
    fake.unmap_calls++;
    return munmap(p, (size_t)count * PAGE);
}

static xengnttab_handle *open_handle(void)
{
    fake.handles++;
    return calloc(1, sizeof(xengnttab_handle));
}

static int close_handle(xengnttab_handle *h)
{
    fake.handles--;
    free(h);
    return 0;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    return open_handle();
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return close_handle(xgt);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    if (fake.map_errno) {
        errno = fake.map_errno;
        return NULL;
    }
    return pages(count);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
    return release(start_address, count);
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t *segs)
{
    fake.copy_calls++;
    fake.copy_segments += count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ref = segs[i].flags & GNTCOPY_source_gref ? segs[i].source.foreign.ref
                                                           : segs[i].dest.foreign.ref;
        segs[i].status = ref == fake.bad_ref ? GNTST_bad_gntref : GNTST_okay;
    }
    if (fake.copy_calls == fake.copy_fails_at) {
        errno = EFAULT;
        return -1;
    }
    return 0;
}

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    return open_handle();
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return close_handle(xgs);
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                            int writable)
{
    for (int i = 0; i < count; i++)
        refs[i] = 100 + (uint32_t)i;
    return pages((uint32_t)count);
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    return release(start_address, count);
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    channel = calloc(1, sizeof(*channel));
    if (!channel || pipe(channel->fds) < 0)
        abort();
    fake.handles++;
    return channel;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    close(xce->fds[0]);
    close(xce->fds[1]);
    free(xce);
    fake.handles--;
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->fds[0];
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
    if (fake.restrict_errno) {
        errno = fake.restrict_errno;
        return -1;
    }
    fake.restricted_to = domid;
    return 0;
}

static xenevtchn_port_or_error_t bound(uint32_t domid)
{
    fake.restricted_first = fake.restricted_to == domid;
    if (fake.bind_errno) {
        errno = fake.bind_errno;
        return -1;
    }
    return FAKE_PORT;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    return bound(domid);
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
    return bound(domid);
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    evtchn_port_t port;
    return read(xce->fds[0], &port, sizeof(port)) == (ssize_t)sizeof(port) ? (int)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    fake.unmasked = port;
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    fake.notified = port;
    return 0;
}
