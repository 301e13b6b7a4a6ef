/* SPDX-License-Identifier: MIT
 *
 * The engines that are built in, for engine.c; and what every engine checks of an I/O.
 */
#ifndef ENGINE_ENGINES_H
#define ENGINE_ENGINES_H

#include "engine/engine.h"

extern const struct engine_ops engine_uring;
extern const struct engine_ops engine_null;

static inline struct engine_io *engine_io_of(struct ioctx_op *op)
{
    return (struct engine_io *)((char *)op - offsetof(struct engine_io, priv.op));
}

/* 0, or why the I/O cannot be done at all: -EROFS, -EOPNOTSUPP, -EINVAL (outside the storage, not
 * in whole blocks). The ring has checked the guest's request already; this is the second lock. */
int engine_io_check(const struct engine_info *info, const struct engine_io *io);

#endif
