/* SPDX-License-Identifier: MIT
 *
 * See vdev.h. Four ways to number a disk, kept as a table: the major number above a disk and a
 * partition field.
 */
#include "front/vdev.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scheme {
    const char *prefix;
    uint32_t base;      /* what is above the two fields */
    unsigned part_bits; /* disk << part_bits | partition */
    uint32_t first_disk, last_disk;
    uint32_t last_part;
};

/* The first row that fits is taken. */
static const struct scheme schemes[] = {
    {"xvd", 202u << 8, 4, 0, 15, 15}, {"xvd", 1u << 28, 8, 0, (1u << 20) - 1, 255},
    {"sd", 8u << 8, 4, 0, 15, 15},    {"hd", 3u << 8, 6, 0, 1, 63},
    {"hd", 22u << 8, 6, 2, 3, 63},
};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static int encode(const char *prefix, uint32_t disk, uint32_t part, uint32_t *vdev)
{
    for (size_t i = 0; i < SCHEMES; i++) {
        const struct scheme *s = &schemes[i];

        if (strcmp(s->prefix, prefix) != 0 || disk < s->first_disk || disk > s->last_disk ||
            part > s->last_part)
            continue;
        *vdev = s->base | (disk - s->first_disk) << s->part_bits | part;
        return 0;
    }
    return -EINVAL;
}

/* Digits without a leading zero, at most max. Moves *text behind them. */
static bool number(const char **text, uint32_t max, uint32_t *value)
{
    const char *p = *text;
    uint64_t n = 0;

    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > max)
            return false;
    }
    *text = p;
    *value = (uint32_t)n;
    return true;
}

/* a is 0, z is 25, aa is 26. */
static bool letters(const char **text, uint32_t *disk)
{
    const char *p = *text;
    uint32_t n = 0;

    for (; *p >= 'a' && *p <= 'z'; p++) {
        if (p - *text == 5)
            return false;
        n = n * 26 + (uint32_t)(*p - 'a') + 1;
    }
    if (n == 0)
        return false;
    *text = p;
    *disk = n - 1;
    return true;
}

/* xvda, xvda2, sda1, hdb */
static int parse_lettered(const char *name, uint32_t *vdev)
{
    for (size_t i = 0; i < SCHEMES; i++) {
        size_t n = strlen(schemes[i].prefix);
        const char *rest = name + n;
        uint32_t disk, part = 0;

        if (strncmp(name, schemes[i].prefix, n) != 0)
            continue;
        if (!letters(&rest, &disk))
            return -EINVAL;
        if (*rest != '\0' && (!number(&rest, UINT32_MAX, &part) || part == 0 || *rest != '\0'))
            return -EINVAL;
        return encode(schemes[i].prefix, disk, part, vdev);
    }
    return -EINVAL;
}

/* d0, d0p2 */
static int parse_numbered(const char *name, uint32_t *vdev)
{
    const char *rest = name + 1;
    uint32_t disk, part = 0;

    if (!number(&rest, UINT32_MAX, &disk))
        return -EINVAL;
    if (*rest == 'p') {
        rest++;
        if (!number(&rest, UINT32_MAX, &part))
            return -EINVAL;
    }
    return *rest == '\0' ? encode("xvd", disk, part, vdev) : -EINVAL;
}

static int parse_plain(const char *name, uint32_t *vdev)
{
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(name, &end, 0);
    if (errno != 0 || *end != '\0' || n > UINT32_MAX)
        return -EINVAL;
    *vdev = (uint32_t)n;
    return 0;
}

int vdev_parse(const char *name, uint32_t *vdev)
{
    if (name[0] >= '0' && name[0] <= '9')
        return parse_plain(name, vdev);
    if (name[0] == 'd' && name[1] >= '0' && name[1] <= '9')
        return parse_numbered(name, vdev);
    return parse_lettered(name, vdev);
}

static void put_letters(uint32_t disk, char *out, size_t cap)
{
    char reversed[8];
    size_t n = 0, i = 0;

    for (uint32_t left = disk + 1; left != 0; left = (left - 1) / 26)
        reversed[n++] = (char)('a' + (left - 1) % 26);
    while (n > 0 && i + 1 < cap)
        out[i++] = reversed[--n];
    out[i] = '\0';
}

void vdev_name(uint32_t vdev, char name[VDEV_NAME_MAX])
{
    for (size_t i = 0; i < SCHEMES; i++) {
        const struct scheme *s = &schemes[i];
        uint32_t part_mask = (1u << s->part_bits) - 1;
        uint32_t disk = s->first_disk + ((vdev - s->base) >> s->part_bits);
        uint32_t part = vdev & part_mask;
        char text[8];

        if (vdev < s->base || disk > s->last_disk || part > s->last_part)
            continue;
        put_letters(disk, text, sizeof(text));
        if (part != 0)
            snprintf(name, VDEV_NAME_MAX, "%s%s%" PRIu32, s->prefix, text, part);
        else
            snprintf(name, VDEV_NAME_MAX, "%s%s", s->prefix, text);
        return;
    }
    snprintf(name, VDEV_NAME_MAX, "%" PRIu32, vdev);
}
