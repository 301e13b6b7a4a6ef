/* SPDX-License-Identifier: MIT
 *
 * Image locks, in the scheme QEMU's tools use, so that neither side opens under the other: a read
 * lock on byte 100 + n says "I use permission n", one on byte 200 + n "nobody else may". They are
 * open file description locks: they go with the descriptor to the worker and end with it.
 *
 * A writer uses reading and writing and lets nobody else write. A reader says only that it reads:
 * it may come beside a writer (whether two guests may share a disk is the toolstack's decision).
 * Daemon's side.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/uring.h"

enum { PERM_READ = 0, PERM_WRITE = 1 };

#define USES_BYTE(perm)    (100 + (perm))
#define REFUSES_BYTE(perm) (200 + (perm))

static struct flock byte_lock(short type, off_t byte)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static int take(int fd, off_t byte)
{
    struct flock l = byte_lock(F_RDLCK, byte);

    return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

/* 1 if another descriptor holds the byte, 0 if not, or a negative errno. */
static int held(int fd, off_t byte)
{
    struct flock l = byte_lock(F_WRLCK, byte);

    if (fcntl(fd, F_OFD_GETLK, &l) < 0)
        return -errno;
    return l.l_type != F_UNLCK;
}

struct lock_step {
    bool take; /* else: must not be held by another */
    bool writer_only;
    off_t byte;
    const char *why;
};

/* First all that is taken, then what is looked at: of two that come at once at least one sees the
 * other. */
static const struct lock_step steps[] = {
    {true, false, USES_BYTE(PERM_READ), "it is locked against reading"},
    {true, true, USES_BYTE(PERM_WRITE), "it is locked against writing"},
    {true, true, REFUSES_BYTE(PERM_WRITE), "it is locked"},
    {false, false, REFUSES_BYTE(PERM_READ), "another program lets nobody read it"},
    {false, true, REFUSES_BYTE(PERM_WRITE), "another program lets nobody else write it"},
    {false, true, USES_BYTE(PERM_WRITE), "another program is writing it"},
};

int uring_lock(int fd, const char *path, bool writer, struct engine_info *info, struct errmsg *err)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].writer_only && !writer)
            continue;
        int ret = steps[i].take ? take(fd, steps[i].byte) : held(fd, steps[i].byte);
        if (ret == 0)
            continue;
        if (ret == 1 || ret == -EAGAIN || ret == -EACCES)
            return errmsg_set(err, -EBUSY,
                              "%s is in use: %s (lslocks shows which); stop it, or say that the "
                              "disk is shared",
                              path, steps[i].why);
        engine_note(info, "not locked: %s", strerror(-ret));
        return 0;
    }
    return 0;
}
