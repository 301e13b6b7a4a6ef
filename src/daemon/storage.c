/* SPDX-License-Identifier: MIT
 *
 * Storage of a disk. The backend directory is the toolstack's, so its text is trusted to name what
 * the operator wants; it is still bounded. Threads: the daemon's.
 */
#include "daemon/storage.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SHARABLE "sharable:"

/* 1, 0 when absent or empty, or negative. */
static int get(node_read_fn *read, void *arg, const char *leaf, char *buf, size_t cap,
               struct errmsg *err)
{
    int n = read(arg, leaf, buf, cap);

    if (n == -ENOENT || n == 0)
        return 0;
    if (n < 0)
        return errmsg_set(err, n, "cannot read %s: %s", leaf, strerror(-n));
    return 1;
}

static bool hex_field(const char **p, char end, uint32_t max, uint32_t *out)
{
    uint32_t value = 0;
    const char *s = *p;

    for (; *s && *s != end; s++) {
        const char *digits = "0123456789abcdef";
        const char *d = strchr(digits, *s | 0x20);
        if (!d || (value = value * 16 + (uint32_t)(d - digits)) > max)
            return false;
    }
    if (s == *p || *s != end)
        return false;
    *p = end ? s + 1 : s;
    *out = value;
    return true;
}

static int from_numbers(const char *text, struct storage_choice *out, struct errmsg *err)
{
    const char *p = text;
    uint32_t major_nr, minor_nr;

    /* Linux: 12 bits of major, 20 of minor. */
    if (!hex_field(&p, ':', 0xfff, &major_nr) || !hex_field(&p, '\0', 0xfffff, &minor_nr))
        return errmsg_set(err, -EINVAL, "physical-device is '%.32s', not major:minor in hex", text);
    snprintf(out->spec, sizeof(out->spec), "/dev/block/%u:%u", major_nr, minor_nr);
    return 1;
}

static int from_params(node_read_fn *read, void *arg, struct storage_choice *out,
                       struct errmsg *err)
{
    char status[16];
    int n = get(read, arg, "hotplug-status", status, sizeof(status), err);

    if (n <= 0 || strcmp(status, "connected") != 0)
        return n < 0 ? n : 0;
    return get(read, arg, "params", out->spec, sizeof(out->spec), err);
}

static int read_mode(node_read_fn *read, void *arg, struct storage_choice *out, struct errmsg *err)
{
    char mode[8];
    int n = get(read, arg, "mode", mode, sizeof(mode), err);

    if (n < 0)
        return n;
    /* No mode, or one that is not known, is no permission to write. */
    out->read_only = n == 0 || mode[0] != 'w';
    out->shared = n == 1 && strchr(mode, '!') != NULL;
    return 0;
}

int storage_choose(node_read_fn *read, void *arg, struct storage_choice *out, struct errmsg *err)
{
    char device[64];

    memset(out, 0, sizeof(*out));
    int n = get(read, arg, "physical-device-path", out->spec, sizeof(out->spec), err);
    if (n == 0) {
        n = get(read, arg, "physical-device", device, sizeof(device), err);
        if (n == 1)
            n = from_numbers(device, out, err);
        else if (n == 0)
            n = from_params(read, arg, out, err);
    }
    if (n <= 0)
        return n;
    int ret = read_mode(read, arg, out, err);
    if (ret)
        return ret;
    if (strncmp(out->spec, SHARABLE, strlen(SHARABLE)) == 0) {
        memmove(out->spec, out->spec + strlen(SHARABLE), strlen(out->spec + strlen(SHARABLE)) + 1);
        out->shared = true;
    }
    return 1;
}

int storage_open(const struct storage_choice *choice, struct engine_desc *desc, struct errmsg *err)
{
    const char *target;
    const struct engine_ops *ops = engine_resolve(choice->spec, &target, err);
    unsigned flags =
        (choice->read_only ? ENGINE_OPEN_READ_ONLY : 0) | (choice->shared ? ENGINE_OPEN_SHARED : 0);

    if (!ops)
        return -EINVAL;
    memset(desc, 0, sizeof(*desc));
    int ret = ops->open(target, flags, desc, err);
    if (ret)
        return ret;
    if (choice->read_only && !desc->info.read_only) {
        engine_desc_close(desc);
        return errmsg_set(err, -EPERM, "engine %s cannot open %s read-only", ops->name, target);
    }
    return 0;
}
