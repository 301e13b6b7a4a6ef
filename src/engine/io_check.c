/* SPDX-License-Identifier: MIT
 *
 * What no engine lets through. Pure; any thread.
 */
#include "engine/engines.h"

static int check_allowed(const struct engine_info *info, const struct engine_io *io)
{
    switch (io->op) {
    case ENGINE_READ:
        return 0;
    case ENGINE_WRITE:
        return info->read_only ? -EROFS : 0;
    case ENGINE_FLUSH:
        return info->can_flush ? 0 : -EOPNOTSUPP;
    case ENGINE_DISCARD:
        if (info->read_only)
            return -EROFS;
        if (io->flags & ENGINE_IO_SECURE)
            return info->can_discard_secure ? 0 : -EOPNOTSUPP;
        return info->can_discard ? 0 : -EOPNOTSUPP;
    case ENGINE_WRITE_ZEROES:
        if (info->read_only)
            return -EROFS;
        return info->can_write_zeroes ? 0 : -EOPNOTSUPP;
    }
    return -EOPNOTSUPP;
}

/* What is transferred is what iov says: it must not be more than what was checked. */
static bool iov_is_whole(const struct engine_io *io)
{
    uint64_t left = io->length;

    for (unsigned i = 0; i < io->iovcnt; i++) {
        if (io->iov[i].iov_len > left)
            return false;
        left -= io->iov[i].iov_len;
    }
    return left == 0 && io->length > 0;
}

int engine_io_check(const struct engine_info *info, const struct engine_io *io)
{
    int ret = check_allowed(info, io);
    if (ret < 0 || io->op == ENGINE_FLUSH)
        return ret;
    if (((io->offset | io->length) & (info->logical_block - 1)) != 0)
        return -EINVAL;
    /* Subtraction, because offset + length may wrap. */
    if (io->offset > info->size_bytes || io->length > info->size_bytes - io->offset)
        return -EINVAL;
    if ((io->op == ENGINE_READ || io->op == ENGINE_WRITE) && !iov_is_whole(io))
        return -EINVAL;
    return 0;
}
