/* SPDX-License-Identifier: MIT
 *
 * The worker takes over what the daemon opened. A descriptor is input: each promise that the rest
 * of the engine relies on is checked here. Worker's control thread.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/uring.h"

static int check_info(const struct engine_info *info, struct errmsg *err)
{
    uint32_t align = info->memory_align;

    if (info->logical_block != 512 && info->logical_block != 4096)
        return errmsg_set(err, -EINVAL, "storage with blocks of %u bytes", info->logical_block);
    if (info->size_bytes == 0 || info->size_bytes % info->logical_block)
        return errmsg_set(err, -EINVAL, "storage size is not in whole blocks");
    if (align == 0 || align > 4096 || (align & (align - 1)))
        return errmsg_set(err, -EINVAL, "storage with memory alignment %u", align);
    return 0;
}

static int check_type(int fd, const struct engine_info *info, struct errmsg *err)
{
    struct stat st;
    uint64_t bytes = 0;

    if (fstat(fd, &st) < 0)
        return errmsg_set(err, -errno, "storage descriptor: %s", strerror(errno));
    if (info->is_block_device ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode))
        return errmsg_set(err, -EINVAL, "the storage descriptor is not a %s",
                          info->is_block_device ? "block device" : "regular file");
    if (S_ISREG(st.st_mode))
        bytes = (uint64_t)st.st_size;
    else if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
        return errmsg_set(err, -errno, "size of the storage device: %s", strerror(errno));
    if (bytes < info->size_bytes)
        return errmsg_set(err, -EINVAL, "the storage has become smaller since it was opened");
    return 0;
}

static int check_mode(int fd, const struct engine_desc *desc, struct errmsg *err)
{
    int mode = fcntl(fd, F_GETFL);
    int want = desc->info.read_only ? O_RDONLY : O_RDWR;

    if (mode < 0 || (mode & O_ACCMODE) != want)
        return errmsg_set(err, -EINVAL, "the storage descriptor is not open for %s",
                          desc->info.read_only ? "reading only" : "reading and writing");
    if (!(mode & O_DIRECT) != !(desc->flags & URING_DESC_DIRECT))
        return errmsg_set(err, -EINVAL, "the storage descriptor's O_DIRECT is not as announced");
    return 0;
}

int uring_start(struct engine_desc *desc, struct engine **out, struct errmsg *err)
{
    int ret = 0;

    if (desc->nr_fds != 1)
        ret = errmsg_set(err, -EINVAL, "%u storage descriptors instead of one", desc->nr_fds);
    if (!ret)
        ret = check_info(&desc->info, err);
    if (!ret)
        ret = check_type(desc->fds[0], &desc->info, err);
    if (!ret)
        ret = check_mode(desc->fds[0], desc, err);
    struct uring_engine *e = ret ? NULL : malloc(sizeof(*e));
    if (!ret && !e)
        ret = errmsg_set(err, -ENOMEM, "out of memory");
    if (ret) {
        engine_desc_close(desc);
        return ret;
    }
    *e = (struct uring_engine){
        .ops = &engine_uring,
        .info = desc->info,
        .direct = desc->flags & URING_DESC_DIRECT,
        .fd = desc->fds[0],
    };
    desc->fds[0] = -1;
    desc->nr_fds = 0;
    *out = (struct engine *)e;
    return 0;
}

void uring_stop(struct engine *engine)
{
    struct uring_engine *e = (struct uring_engine *)engine;

    close(e->fd);
    free(e);
}
