/* SPDX-License-Identifier: MIT
 *
 * Memory that is shared with clients. A memfd is sealed against shrinking: a client that could cut
 * it short would kill the server with the next access. A file (for memory that io_uring refuses to
 * register) cannot be sealed, so the server never touches it.
 */
#include "loopd/server.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int sealed(const char *name, size_t len)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)len) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int unlinked(const char *dir, size_t len)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)len)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int memory_new(const char *name, const char *dir, size_t len, void **map)
{
    int fd = dir ? unlinked(dir, len) : sealed(name, len);

    if (fd < 0 || !map)
        return fd;
    *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*map == MAP_FAILED) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}
