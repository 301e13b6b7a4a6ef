/* SPDX-License-Identifier: MIT
 *
 * The engines that are built in, for engine.c; and what every engine checks of an I/O.
 */
#ifndef ENGINE_ENGINES_H
#define ENGINE_ENGINES_H

#include "engine/engine.h"

extern const struct engine_ops engine_uring;
extern const struct engine_ops engine_null;
extern const struct engine_ops engine_e512;

#define ENGINE_E512_PREFIX                                                                         \
    "e512+" /* of engine_desc.engine; the name of the engine below follows                         \
             */

/* What every open() ends with: puts 512e over what has blocks of 4096 bytes. */
void engine_e512_apply(struct engine_desc *desc, unsigned open_flags);

/* Adds to info->note. */
void engine_note(struct engine_info *info, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static inline struct engine_io *engine_io_of(struct ioctx_op *op)
{
    return (struct engine_io *)((char *)op - offsetof(struct engine_io, priv.op));
}

/* 0, or why the I/O cannot be done at all: -EROFS, -EOPNOTSUPP, -EINVAL (outside the storage, not
 * in whole blocks). The ring has checked the guest's request already; this is the second lock. */
int engine_io_check(const struct engine_info *info, const struct engine_io *io);

#endif
