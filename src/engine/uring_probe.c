/* SPDX-License-Identifier: MIT
 *
 * What the file system or device under a descriptor can do. Nothing here changes a byte of it.
 * Daemon's side.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/uring.h"

#define FILE_GRANULARITY_MAX (64u << 10) /* bytes; above it st_blksize is no block size (NFS) */

/* ---- direct I/O ---- */

/* One block read the direct way; 0, or a negative errno. */
static int trial_read(int fd, uint32_t block)
{
    void *memory = NULL;

    if (posix_memalign(&memory, 4096, block))
        return -ENOMEM;
    ssize_t n = pread(fd, memory, block, 0);
    int ret = n < 0 ? -errno : 0;
    free(memory);
    return ret;
}

static bool in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* The alignment direct I/O asks for, where the kernel says (files 6.1, devices 6.11): *memory and
 * *offset in bytes, 0 for "no direct I/O". Left alone where it does not. */
static void ask_alignment(int fd, uint32_t *memory, uint32_t *offset)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN)) {
        *memory = stx.stx_dio_mem_align;
        *offset = stx.stx_dio_offset_align;
    }
}

/* Why direct I/O in blocks of `block` bytes is not possible, or NULL when fd does it now. */
static const char *go_direct(int fd, uint32_t block, uint32_t *memory_align)
{
    uint32_t memory = 512, offset = block;

    ask_alignment(fd, &memory, &offset);
    if (memory == 0 || offset == 0)
        return "the file system has no O_DIRECT";
    if (offset > block || memory > 4096)
        return "O_DIRECT needs larger blocks here than the guest's";
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
        return "the file system has no O_DIRECT";
    if (trial_read(fd, block) == -EINVAL) {
        fcntl(fd, F_SETFL, flags);
        return "O_DIRECT needs larger blocks here than the guest's";
    }
    *memory_align = memory;
    return NULL;
}

static void be_buffered(struct engine_info *info, const char *why)
{
    info->memory_align = 1;
    engine_note(info, "buffered: %s", why);
}

/* ---- regular files ---- */

/* Punches where nothing is, far enough behind the end that even a file another program is
 * extending does not lose anything. */
static bool can_punch(int fd, uint64_t size_bytes)
{
    off_t far = (off_t)((size_bytes | ((1u << 20) - 1)) + 1 + (1u << 30));

    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, far, 4096) == 0)
        return true;
    return errno == EFBIG; /* so near the largest size: the range is wrong, the mode is not */
}

/* Smaller blocks than direct I/O takes are made by 512e, but only the page cache orders them with
 * what others write to a shared file. */
static const char *file_go_direct(int fd, bool shared, struct engine_info *info)
{
    info->logical_block = 512;
    if (in_memory(fd))
        return "tmpfs keeps its files in memory";
    const char *why_not = go_direct(fd, 512, &info->memory_align);
    if (!why_not || shared || info->size_bytes % 4096)
        return why_not;
    why_not = go_direct(fd, 4096, &info->memory_align);
    if (!why_not)
        info->logical_block = info->physical_block = 4096;
    return why_not;
}

int uring_probe_file(int fd, const struct stat *st, bool shared, struct engine_info *info,
                     bool *direct)
{
    uint32_t block = st->st_blksize >= 512 && (unsigned long)st->st_blksize <= FILE_GRANULARITY_MAX
                         ? (uint32_t)st->st_blksize
                         : 4096;

    info->size_bytes = (uint64_t)st->st_size;
    info->physical_block = block < 4096 ? 512 : 4096;
    info->can_flush = true;
    if (!info->read_only && can_punch(fd, info->size_bytes)) {
        info->can_discard = true;
        info->can_write_zeroes = true;
        info->discard_granularity = block;
    }
    const char *why_not = file_go_direct(fd, shared, info);
    *direct = !why_not;
    if (why_not)
        be_buffered(info, why_not);
    return 0;
}

/* ---- block devices ---- */

/* A number below /sys/dev/block/MAJOR:MINOR; a partition's queue is its disk's. */
static bool sysfs_number(const struct stat *st, const char *attribute, uint64_t *out)
{
    static const char *const where[] = {"", "../"};

    for (size_t i = 0; i < 2; i++) {
        char path[128], text[32];
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s%s", major(st->st_rdev),
                 minor(st->st_rdev), where[i], attribute);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
            return false;
        text[n] = '\0';
        *out = strtoull(text, NULL, 10);
        return true;
    }
    return false;
}

/* A range that is in no way legal: a device that cannot erase says so before it looks at the range.
 * Before Linux 5.19 the range was looked at first. */
static bool can_erase(int fd)
{
    struct utsname u;
    unsigned major_no = 0, minor_no = 0;
    uint64_t range[2] = {1, 1};

    if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major_no, &minor_no) != 2)
        return false;
    if (major_no < 5 || (major_no == 5 && minor_no < 19))
        return false;
    return ioctl(fd, BLKSECDISCARD, range) < 0 && errno == EINVAL;
}

static void probe_device_discard(int fd, const struct stat *st, struct engine_info *info)
{
    uint64_t max_bytes = 0, granularity = 0, alignment = 0;

    info->can_write_zeroes = true; /* the kernel writes zeroes where the device has no command */
    if (!sysfs_number(st, "queue/discard_max_bytes", &max_bytes) || max_bytes == 0)
        return;
    if (!sysfs_number(st, "queue/discard_granularity", &granularity) || granularity == 0 ||
        granularity > UINT32_MAX)
        return;
    sysfs_number(st, "discard_alignment", &alignment);
    info->can_discard = true;
    info->discard_granularity = (uint32_t)granularity;
    info->discard_alignment = alignment < granularity ? (uint32_t)alignment : 0;
    info->can_discard_secure = can_erase(fd);
}

int uring_probe_block(int fd, const struct stat *st, struct engine_info *info, bool *direct)
{
    uint64_t bytes = 0;
    unsigned physical = 0;
    int logical = 0;

    if (ioctl(fd, BLKGETSIZE64, &bytes) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 ||
        ioctl(fd, BLKPBSZGET, &physical) < 0)
        return -errno;
    info->is_block_device = true;
    info->dev_major = major(st->st_rdev);
    info->dev_minor = minor(st->st_rdev);
    info->size_bytes = bytes;
    info->logical_block = logical == 4096 ? 4096 : 512;
    info->physical_block = physical >= info->logical_block ? physical : info->logical_block;
    info->can_flush = true;
    /* A device with blocks of another size (optical media: 2048) takes reads and writes of 512
     * bytes through the page cache, but no ioctl on less than its own block. */
    bool fits = logical == (int)info->logical_block;
    if (!info->read_only && fits)
        probe_device_discard(fd, st, info);
    const char *why_not = fits ? go_direct(fd, info->logical_block, &info->memory_align)
                               : "the device has blocks of neither 512 nor 4096 bytes";
    *direct = !why_not;
    if (why_not)
        be_buffered(info, why_not);
    return 0;
}
