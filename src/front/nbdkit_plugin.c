/* SPDX-License-Identifier: MIT
 *
 * An nbdkit plugin: serves a disk of this domain, through the ring, to NBD clients.
 *
 * Threads: nbdkit's call in from any number; each waits in driver_run().
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "blkfront.h"
#include "front/nbd_driver.h"
#include "front/vdev.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* One disk for the life of the process: nothing of it survives a fork, so it is opened after. */
static struct blkfront_options options = {.hv = "xen"};
static const char *disk;
static struct driver *driver;
static struct blkfront_info info;

static const struct {
    const char *key;
    uint32_t *number;
    bool *flag;
    const char **text;
} keys[] = {
    {.key = "hv", .text = &options.hv},
    {.key = "disk", .text = &disk},
    {.key = "protocol", .text = &options.protocol},
    {.key = "ring-order", .number = &options.ring_order},
    {.key = "timeout", .number = &options.timeout_ms},
    {.key = "no-persistent", .flag = &options.no_persistent},
    {.key = "no-indirect", .flag = &options.no_indirect},
    {.key = "poll", .flag = &options.poll},
};

static int set_key(size_t i, const char *value)
{
    int on;

    if (keys[i].number != NULL)
        return nbdkit_parse_uint32_t(keys[i].key, value, keys[i].number);
    if (keys[i].flag != NULL) {
        on = nbdkit_parse_bool(value);
        *keys[i].flag = on == 1;
        return on < 0 ? -1 : 0;
    }
    *keys[i].text = nbdkit_strdup_intern(value);
    return *keys[i].text != NULL ? 0 : -1;
}

static int front_config(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i].key, key) == 0)
            return set_key(i, value);
    nbdkit_error("unknown parameter '%s': hv, disk, protocol, ring-order, timeout, no-persistent, "
                 "no-indirect, poll",
                 key);
    return -1;
}

static int front_config_complete(void)
{
    if (disk == NULL) {
        nbdkit_error("disk=DEV is missing: xvda, sda1, d0p2, or a number");
        return -1;
    }
    if (vdev_parse(disk, &options.devid) < 0) {
        nbdkit_error("disk=%s is no disk: a name like xvda, sda1, d0p2, or a number", disk);
        return -1;
    }
    return 0;
}

static int front_after_fork(void)
{
    struct blkfront *bf;
    char error[400] = "";
    int rc = blkfront_open(&options, &bf, error, sizeof(error));

    if (rc < 0) {
        nbdkit_error("%s: %s", disk, error[0] != '\0' ? error : strerror(-rc));
        return -1;
    }
    blkfront_get_info(bf, &info);
    rc = driver_start(bf, options.poll, &driver);
    if (rc < 0) {
        nbdkit_error("the driver's thread cannot be started: %s", strerror(-rc));
        blkfront_close(bf);
        return -1;
    }
    return 0;
}

static void front_cleanup(void)
{
    if (driver != NULL)
        driver_stop(driver);
    driver = NULL;
}

static void *front_open(int readonly)
{
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t front_get_size(void *handle)
{
    return (int64_t)driver_size(driver);
}

static int front_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    *minimum = 512;
    *preferred = info.physical_sector_size > 4096 ? info.physical_sector_size : 4096;
    *maximum = 32u << 20; /* longer ones are cut for the ring; this is nbdkit's own limit */
    return 0;
}

static int front_can_write(void *handle)
{
    return !info.read_only;
}

static int front_can_flush(void *handle)
{
    return info.flush;
}

static int front_can_trim(void *handle)
{
    return info.discard && !info.read_only;
}

/* blkif has no such flag on a write: nbdkit flushes after it. */
static int front_can_fua(void *handle)
{
    return info.flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
}

/* Nothing is kept on this side: a flush on one connection covers what all have written. */
static int front_can_multi_conn(void *handle)
{
    return 1;
}

static int run(enum blkfront_op op, uint64_t offset, uint64_t bytes, void *buf, const char *what)
{
    int rc;

    if (offset % 512 != 0 || bytes % 512 != 0) {
        nbdkit_error("%s of %" PRIu64 " bytes at %" PRIu64 ": not a multiple of 512", what, bytes,
                     offset);
        nbdkit_set_error(EINVAL);
        return -1;
    }
    rc = driver_run(driver, op, offset, bytes, buf);
    if (rc < 0) {
        nbdkit_error("%s of %" PRIu64 " bytes at %" PRIu64 ": %s", what, bytes, offset,
                     strerror(-rc));
        nbdkit_set_error(-rc);
        return -1;
    }
    return 0;
}

static int front_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    return run(BLKFRONT_READ, offset, count, buf, "read");
}

static int front_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
                        uint32_t flags)
{
    return run(BLKFRONT_WRITE, offset, count, (void *)(uintptr_t)buf, "write");
}

static int front_flush(void *handle, uint32_t flags)
{
    return run(BLKFRONT_FLUSH, 0, 0, NULL, "flush");
}

/* A trim is advice: what is smaller than a sector at its edges is left alone. */
static int front_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    uint64_t first = (offset + 511) / 512 * 512;
    uint64_t end = (offset + count) / 512 * 512;

    if (end <= first)
        return 0;
    return run(BLKFRONT_DISCARD, first, end - first, NULL, "trim");
}

/* No .zero: a discarded range need not read as zeros on every backend, and nbdkit writes zeros
 * itself when a plugin has no better way. */
static struct nbdkit_plugin plugin = {
    .name = "blkfront",
    .longname = "a Xen virtual disk of this domain, over its ring",
    .version = BLKFRONT_VERSION,
    .magic_config_key = "disk",
    .config_help = "disk=DEV      xvda, sda1, d0p2, or a number\n"
                   "hv=SPEC       xen (the default), or loop:DIR:DOMID",
    .config = front_config,
    .config_complete = front_config_complete,
    .after_fork = front_after_fork,
    .cleanup = front_cleanup,
    .open = front_open,
    .get_size = front_get_size,
    .block_size = front_block_size,
    .can_write = front_can_write,
    .can_flush = front_can_flush,
    .can_trim = front_can_trim,
    .can_fua = front_can_fua,
    .can_multi_conn = front_can_multi_conn,
    .pread = front_pread,
    .pwrite = front_pwrite,
    .flush = front_flush,
    .trim = front_trim,
};

struct nbdkit_plugin *plugin_init(void); /* the macro defines it and does not declare it */
NBDKIT_REGISTER_PLUGIN(plugin)
