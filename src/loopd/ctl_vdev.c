/* SPDX-License-Identifier: MIT
 *
 * Names of virtual disks and their numbers (Xen's vbd-interface): old majors for what fits them,
 * the extended scheme for the rest.
 */
#include "loopd/ctl.h"

#include <stdlib.h>
#include <string.h>

/* Letters as in "a".."z", "aa"...; -1 if there is none or too many. */
static int letters(const char **s)
{
    int n = 0, i;

    for (i = 0; (*s)[i] >= 'a' && (*s)[i] <= 'z' && i < 4; i++)
        n = n * 26 + ((*s)[i] - 'a' + 1);
    *s += i;
    return i && i < 4 ? n - 1 : -1;
}

static int digits(const char **s)
{
    char *end;
    unsigned long v = strtoul(*s, &end, 10);

    if (end == *s || **s < '0' || **s > '9' || v > 1u << 20)
        return -1;
    *s = end;
    return (int)v;
}

static int number(const char *family, int disk, int part, uint32_t *devid)
{
    uint32_t d = (uint32_t)disk, p = (uint32_t)part;

    if (!strcmp(family, "hd")) {
        if (d > 3 || p > 63)
            return -EINVAL;
        *devid = (d < 2 ? 3u : 22u) << 8 | (d & 1) << 6 | p;
    } else if (!strcmp(family, "sd")) {
        if (d > 15 || p > 15)
            return -EINVAL;
        *devid = 8u << 8 | d << 4 | p;
    } else {
        if (d >= 1u << 20 || p > 255)
            return -EINVAL;
        *devid = d < 16 && p < 16 ? 202u << 8 | d << 4 | p : 1u << 28 | d << 8 | p;
    }
    return 0;
}

static int parse_dp(const char *s, uint32_t *devid)
{
    int disk = digits(&s), part = 0;

    if (disk >= 0 && *s == 'p') {
        s++;
        part = digits(&s);
    }
    return disk < 0 || part < 0 || *s ? -EINVAL : number("xvd", disk, part, devid);
}

int vdev_parse(const char *vdev, uint32_t *devid)
{
    static const char *const families[] = {"xvd", "sd", "hd"};

    if (*vdev >= '0' && *vdev <= '9') {
        char *end;
        unsigned long v = strtoul(vdev, &end, 0);

        *devid = (uint32_t)v;
        return *end || v >= 1ul << 29 ? -EINVAL : 0;
    }
    for (int i = 0; i < 3; i++) {
        const char *s = vdev + strlen(families[i]);

        if (strncmp(vdev, families[i], strlen(families[i])))
            continue;
        int disk = letters(&s), part = *s ? digits(&s) : 0;
        return disk < 0 || part < 0 || *s ? -EINVAL : number(families[i], disk, part, devid);
    }
    return *vdev == 'd' ? parse_dp(vdev + 1, devid) : -EINVAL;
}
