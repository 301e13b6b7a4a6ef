/* SPDX-License-Identifier: MIT
 *
 * Opens the path of a disk, or says in one line why it cannot be served. Daemon's side; blocking.
 *
 * The type is looked at before the file is opened for real (through the same O_PATH descriptor, so
 * that nobody can exchange it in between): opening a tape or a FIFO has effects of its own.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/uring.h"

struct target {
    const char *path;
    bool writer, shared;
    struct stat st;
};

static int say_errno(const struct target *t, int err_no, struct errmsg *err)
{
    const char *what = t->writer ? "writing" : "reading";

    switch (err_no) {
    case ENOENT:
    case ENOTDIR:
        return errmsg_set(err, -err_no, "%s does not exist: create it or correct the disk's target",
                          t->path);
    case EACCES:
    case EPERM:
        return errmsg_set(err, -err_no, "%s may not be opened for %s: check its owner and mode%s",
                          t->path, what, t->writer ? ", or give the disk mode r" : "");
    case EROFS:
        return errmsg_set(err, -err_no, "%s is on read-only storage: give the disk mode r",
                          t->path);
    case EBUSY:
        return errmsg_set(err, -err_no,
                          "%s is in use (mounted, or part of LVM, RAID or another disk): release "
                          "it, or say that the disk is shared",
                          t->path);
    case ETXTBSY:
        return errmsg_set(err, -err_no, "%s is in use as swap or program: release it", t->path);
    case ENXIO:
    case ENODEV:
    case ENOMEDIUM:
        return errmsg_set(err, -err_no, "%s has no device or medium behind it (%s)", t->path,
                          strerror(err_no));
    default:
        return errmsg_set(err, -err_no, "cannot open %s for %s: %s", t->path, what,
                          strerror(err_no));
    }
}

static int check_type(const struct target *t, struct errmsg *err)
{
    if (S_ISREG(t->st.st_mode) || S_ISBLK(t->st.st_mode))
        return 0;
    if (S_ISDIR(t->st.st_mode))
        return errmsg_set(err, -EISDIR, "%s is a directory: a disk needs a file or a block device",
                          t->path);
    return errmsg_set(err, -ENOTBLK, "%s is a %s: a disk needs a file or a block device", t->path,
                      S_ISCHR(t->st.st_mode)    ? "character device"
                      : S_ISFIFO(t->st.st_mode) ? "FIFO"
                                                : "socket");
}

/* Returns the descriptor. A device is opened exclusively for writing: that is how the kernel
 * refuses what is mounted. */
static int open_checked(struct target *t, struct errmsg *err)
{
    char self[64];
    int flags = O_CLOEXEC | (t->writer ? O_RDWR : O_RDONLY);

    int path_fd = open(t->path, O_PATH | O_CLOEXEC);
    if (path_fd < 0)
        return say_errno(t, errno, err);
    if (fstat(path_fd, &t->st) < 0) {
        int err_no = errno;
        close(path_fd);
        return say_errno(t, err_no, err);
    }
    int ret = check_type(t, err);
    if (ret == 0) {
        if (S_ISBLK(t->st.st_mode) && t->writer && !t->shared)
            flags |= O_EXCL;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
        ret = open(self, flags);
        if (ret < 0)
            ret = say_errno(t, errno, err);
    }
    close(path_fd);
    return ret;
}

static int check_size(const struct target *t, const struct engine_info *info, struct errmsg *err)
{
    uint64_t bytes = info->size_bytes;

    if (bytes == 0)
        return errmsg_set(err, -EINVAL, "%s is empty: give it a size first (truncate -s 10G FILE)",
                          t->path);
    if (bytes % info->logical_block)
        return errmsg_set(err, -EINVAL,
                          "the size of %s, %" PRIu64 " bytes, is not a multiple of %u: round it "
                          "up (truncate -s %%%u FILE)",
                          t->path, bytes, info->logical_block, info->logical_block);
    return 0;
}

/* What was written through the page cache reaches the store, and nothing stale stays in it. Without
 * the right to flush a device's cache its clean pages are dropped as a file's are. */
static int settle(const struct target *t, int fd, struct errmsg *err)
{
    if (fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS)
        return errmsg_set(err, -errno, "cannot flush %s before serving it: %s", t->path,
                          strerror(errno));
    if (S_ISBLK(t->st.st_mode) && ioctl(fd, BLKFLSBUF, 0) == 0)
        return 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

static int inspect(struct target *t, int fd, struct engine_desc *desc, struct errmsg *err)
{
    struct engine_info *info = &desc->info;
    bool direct = false, device = S_ISBLK(t->st.st_mode);
    int read_only = 0;

    info->read_only = !t->writer;
    if (device && t->writer && ioctl(fd, BLKROGET, &read_only) == 0 && read_only)
        return say_errno(t, EROFS, err);
    int ret = device || t->shared ? 0 : uring_lock(fd, t->path, t->writer, info, err);
    if (ret < 0)
        return ret;
    /* Again, now that nobody else writes: the size may have changed meanwhile. */
    if (fstat(fd, &t->st) < 0)
        return say_errno(t, errno, err);
    ret = settle(t, fd, err);
    if (ret < 0)
        return ret;
    ret = device ? uring_probe_block(fd, &t->st, info, &direct)
                 : uring_probe_file(fd, &t->st, t->shared, info, &direct);
    if (ret < 0)
        return say_errno(t, -ret, err);
    desc->flags = direct ? URING_DESC_DIRECT : 0;
    return check_size(t, info, err);
}

int uring_open(const char *target, unsigned flags, struct engine_desc *desc, struct errmsg *err)
{
    struct target t = {
        .path = target,
        .writer = !(flags & ENGINE_OPEN_READ_ONLY),
        .shared = flags & ENGINE_OPEN_SHARED,
    };

    *desc = (struct engine_desc){.nr_fds = 0};
    if (!*target)
        return errmsg_set(err, -EINVAL, "the disk has no target: give a path");
    int fd = open_checked(&t, err);
    if (fd < 0)
        return fd;
    int ret = inspect(&t, fd, desc, err);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    snprintf(desc->engine, sizeof(desc->engine), "uring");
    desc->nr_fds = 1;
    desc->fds[0] = fd;
    engine_e512_apply(desc, flags);
    return 0;
}
