/* SPDX-License-Identifier: MIT
 *
 * Between many threads that want a disk and the one that may drive it: any thread asks and waits,
 * the driver's thread owns the struct blkfront and keeps the ring full.
 */
#ifndef FRONT_NBD_DRIVER_H
#define FRONT_NBD_DRIVER_H

#include "blkfront.h"

struct driver;

/* Takes bf over: it is closed by driver_stop(). spin: bf was opened to poll. Negative errno: bf is
 * still the caller's. */
int driver_start(struct blkfront *bf, bool spin, struct driver **out);
void driver_stop(struct driver *d);

/* Any thread; blocks until done. offset and bytes: multiples of 512. Data is moved whole or the
 * answer is negative: -EIO, -EOPNOTSUPP, -ESHUTDOWN when the backend is gone. */
int driver_run(struct driver *d, enum blkfront_op op, uint64_t offset, uint64_t bytes, void *buf);

/* Bytes, as of now: the backend may resize the disk. */
uint64_t driver_size(struct driver *d);

#endif
