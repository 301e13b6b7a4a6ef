/* SPDX-License-Identifier: MIT
 *
 * Names of virtual disks and their numbers, as docs/man/xen-vbd-interface.7 of Xen lays down.
 */
#ifndef FRONT_VDEV_H
#define FRONT_VDEV_H

#include <stddef.h>
#include <stdint.h>

#define VDEV_NAME_MAX 24 /* bytes, with the terminating NUL */

/* "xvda", "xvda2", "hda", "sda1", "d0", "d0p2", "51712" (also 0x...). 0, or -EINVAL when it is no
 * such name or out of its range. */
int vdev_parse(const char *name, uint32_t *vdev);

/* The name a Linux guest gives the disk, or its number in decimal when it has none. */
void vdev_name(uint32_t vdev, char name[VDEV_NAME_MAX]);

#endif
