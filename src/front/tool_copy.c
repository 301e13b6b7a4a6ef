/* SPDX-License-Identifier: MIT
 *
 * blkfront read, write and verify: whole transfers between the disk and a file, in pieces that keep
 * the ring full.
 *
 * Threads: one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/tool.h"

#define CHUNK_SECTORS 8192 /* 4 MiB */
#define CHUNK_BYTES   (CHUNK_SECTORS * 512u)

struct copy {
    const struct tool_args *args;
    struct blkfront *bf;
    struct blkfront_info info;
    struct tool_range range;
    struct tool_progress progress;
    uint64_t sector, left, done; /* sectors, sectors, bytes */
    int fd;
    const char *name; /* of the file */
    uint8_t *buf, *other;
};

/* What one chunk does: 0, or an exit code with the line written. n sectors from c->sector. */
typedef int chunk_fn(struct copy *c, uint64_t n);

static int interrupted_error(void)
{
    return tool_fail(-EINTR, "interrupted");
}

static int each_chunk(struct copy *c, const char *what, chunk_fn *fn)
{
    int code = TOOL_OK;

    c->sector = c->range.sector;
    c->left = c->range.nr_sectors;
    c->done = 0;
    tool_progress_start(&c->progress, what, c->range.nr_sectors * 512);
    while (c->left != 0 && code == TOOL_OK) {
        uint64_t n = c->left < CHUNK_SECTORS ? c->left : CHUNK_SECTORS;

        code = tool_interrupted() ? interrupted_error() : fn(c, n);
        c->sector += n;
        c->left -= n;
        c->done += n * 512;
        tool_progress_show(&c->progress, c->done);
    }
    if (code == TOOL_OK)
        tool_progress_done(&c->progress, c->done);
    else
        tool_progress_end(&c->progress);
    return code;
}

static int disk_error(struct copy *c, const char *doing, int rc)
{
    tool_progress_end(&c->progress);
    return tool_fail(rc, "%s the disk failed in the 4 MiB from byte %" PRIu64 ": %s", doing,
                     c->sector * 512, tool_transfer_error(c->bf, rc));
}

static int file_error(struct copy *c, const char *doing)
{
    int err = errno;

    tool_progress_end(&c->progress);
    return tool_fail(-EIO, "%s %s failed: %s", doing, c->name, strerror(err));
}

/* Reads until the buffer is full or the file ends; bytes, or -1. */
static ssize_t read_full(int fd, uint8_t *buf, size_t bytes)
{
    size_t have = 0;

    while (have < bytes) {
        ssize_t n = read(fd, buf + have, bytes - have);

        if (n < 0 && errno == EINTR && !tool_interrupted())
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static bool write_full(int fd, const uint8_t *buf, size_t bytes)
{
    while (bytes != 0) {
        ssize_t n = write(fd, buf, bytes);

        if (n < 0 && errno == EINTR && !tool_interrupted())
            continue;
        if (n < 0)
            return false;
        buf += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int open_file(struct copy *c, const char *name, bool output)
{
    c->name = name;
    if (strcmp(name, "-") == 0) {
        c->name = output ? "standard output" : "standard input";
        c->fd = output ? STDOUT_FILENO : STDIN_FILENO;
        return TOOL_OK;
    }
    c->fd = output ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                   : open(name, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0) {
        tool_fail(-errno, "%s cannot be opened: %s", name, strerror(errno));
        return TOOL_FAILED;
    }
    return TOOL_OK;
}

/* Everything a copy needs; writing: the disk must allow it. */
static int start(struct copy *c, const struct tool_args *args, bool writing)
{
    int code;

    *c = (struct copy){.args = args, .fd = -1};
    code = tool_open(args, &c->bf);
    if (code != TOOL_OK)
        return code;
    blkfront_get_info(c->bf, &c->info);
    if (writing && c->info.read_only)
        return tool_fail(-EROFS, "%s is read-only: attach it with mode w to write to it",
                         args->disk);
    c->buf = malloc(CHUNK_BYTES);
    c->other = malloc(CHUNK_BYTES);
    if (c->buf == NULL || c->other == NULL)
        return tool_fail(-ENOMEM, "out of memory");
    return tool_range(args, c->info.sectors, &c->range);
}

static int finish(struct copy *c, const char *what, int code)
{
    if (code == TOOL_OK && c->args->json)
        printf("{\"schema\": 1, \"command\": \"%s\", \"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n",
               what, c->done, (double)(tool_now_ns() - c->progress.start_ns) / 1e9);
    if (c->fd > STDERR_FILENO && close(c->fd) < 0 && code == TOOL_OK)
        code = file_error(c, "closing");
    if (c->bf != NULL)
        blkfront_close(c->bf);
    free(c->buf);
    free(c->other);
    return code;
}

/* ---- read ---- */

static int chunk_read(struct copy *c, uint64_t n)
{
    int rc = blkfront_read(c->bf, c->sector, n, c->buf);

    if (rc < 0)
        return disk_error(c, "reading", rc);
    return write_full(c->fd, c->buf, n * 512) ? TOOL_OK : file_error(c, "writing");
}

int tool_read(const struct tool_args *args)
{
    struct copy c;
    int code;

    if (args->to == NULL || (args->json && strcmp(args->to, "-") == 0)) {
        tool_fail(-EINVAL, args->to == NULL ? "read needs --to FILE (- for standard output)"
                                            : "--json needs standard output for itself");
        return TOOL_USAGE;
    }
    code = start(&c, args, false);
    if (code == TOOL_OK)
        code = open_file(&c, args->to, true);
    if (code == TOOL_OK)
        code = each_chunk(&c, "read", chunk_read);
    return finish(&c, "read", code);
}

/* ---- write ---- */

/* The file's end within a sector: the rest of that sector stays as it is on the disk. */
static int fill_sector(struct copy *c, size_t have)
{
    size_t rest = have % 512;
    int rc = blkfront_read(c->bf, c->sector + have / 512, 1, c->other);

    if (rc < 0)
        return disk_error(c, "reading", rc);
    memcpy(c->buf + have, c->other + rest, 512 - rest);
    return TOOL_OK;
}

static int chunk_write(struct copy *c, uint64_t n)
{
    ssize_t have = read_full(c->fd, c->buf, n * 512);
    int rc;

    if (have < 0)
        return file_error(c, "reading");
    if ((uint64_t)have < n * 512)
        c->left = n; /* the file has ended: this is the last piece */
    if (have % 512 != 0 && (rc = fill_sector(c, (size_t)have)) != TOOL_OK)
        return rc;
    if (have == 0)
        return TOOL_OK;
    rc = blkfront_write(c->bf, c->sector, ((uint64_t)have + 511) / 512, c->buf);
    c->done -= n * 512 - (uint64_t)have; /* each_chunk() adds a whole one */
    return rc < 0 ? disk_error(c, "writing", rc) : TOOL_OK;
}

/* A regular file's size is known before the first byte moves. */
static int fit_file(struct copy *c)
{
    uint64_t room = c->range.nr_sectors * 512;
    struct stat st;

    if (fstat(c->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return TOOL_OK;
    if ((uint64_t)st.st_size > room && c->args->length == UINT64_MAX)
        return tool_fail(-EFBIG,
                         "%s has %jd bytes and only %" PRIu64 " fit: use --length to copy a part",
                         c->name, (intmax_t)st.st_size, room);
    if ((uint64_t)st.st_size < room)
        c->range.nr_sectors = ((uint64_t)st.st_size + 511) / 512;
    return TOOL_OK;
}

/* Standard input may hold more than fits: that is not a success. */
static int all_taken(struct copy *c)
{
    uint8_t byte;

    if (c->args->length != UINT64_MAX || read_full(c->fd, &byte, 1) <= 0)
        return TOOL_OK;
    return tool_fail(-ENOSPC, "%s holds more than the disk: it was filled to its end", c->name);
}

static int flush_disk(struct copy *c)
{
    int rc = c->info.flush ? blkfront_flush(c->bf) : 0;

    return rc < 0 ? tool_fail(rc, "the flush failed: %s", tool_transfer_error(c->bf, rc)) : TOOL_OK;
}

int tool_write(const struct tool_args *args)
{
    struct copy c;
    int code;

    if (args->from == NULL) {
        tool_fail(-EINVAL, "write needs --from FILE (- for standard input)");
        return TOOL_USAGE;
    }
    code = start(&c, args, true);
    if (code == TOOL_OK)
        code = open_file(&c, args->from, false);
    if (code == TOOL_OK)
        code = fit_file(&c);
    if (code == TOOL_OK)
        code = each_chunk(&c, "write", chunk_write);
    if (code == TOOL_OK)
        code = all_taken(&c);
    if (code == TOOL_OK)
        code = flush_disk(&c);
    return finish(&c, "write", code);
}

/* ---- verify ---- */

static int compare(struct copy *c, size_t bytes)
{
    size_t i = 0;

    if (memcmp(c->buf, c->other, bytes) == 0)
        return TOOL_OK;
    while (c->buf[i] == c->other[i])
        i++;
    tool_progress_end(&c->progress);
    return tool_fail(-EIO, "the disk differs at byte %" PRIu64 ": 0x%02x instead of 0x%02x",
                     c->sector * 512 + i, c->buf[i], c->other[i]);
}

static int chunk_compare_file(struct copy *c, uint64_t n)
{
    ssize_t have = read_full(c->fd, c->other, n * 512);
    int rc;

    if (have < 0)
        return file_error(c, "reading");
    rc = blkfront_read(c->bf, c->sector, n, c->buf);
    if (rc < 0)
        return disk_error(c, "reading", rc);
    if ((uint64_t)have < n * 512)
        c->left = n;
    c->done -= n * 512 - (uint64_t)have;
    return compare(c, (size_t)have);
}

/* Every 8 bytes differ from all others of the disk, and from those of another seed. */
static void make_pattern(uint8_t *buf, uint64_t sector, uint64_t n, uint64_t seed)
{
    for (uint64_t i = 0; i < n * 64; i++) {
        uint64_t x = (sector * 64 + i + 1) * 0x9e3779b97f4a7c15u ^ (seed + 1) * 0xd1342543de82ef95u;

        x ^= x >> 29;
        memcpy(buf + i * 8, &x, 8);
    }
}

static int chunk_write_pattern(struct copy *c, uint64_t n)
{
    int rc;

    make_pattern(c->buf, c->sector, n, c->args->pattern);
    rc = blkfront_write(c->bf, c->sector, n, c->buf);
    return rc < 0 ? disk_error(c, "writing", rc) : TOOL_OK;
}

static int chunk_compare_pattern(struct copy *c, uint64_t n)
{
    int rc = blkfront_read(c->bf, c->sector, n, c->buf);

    if (rc < 0)
        return disk_error(c, "reading", rc);
    make_pattern(c->other, c->sector, n, c->args->pattern);
    return compare(c, n * 512);
}

static int verify_pattern(struct copy *c)
{
    int code = TOOL_OK;

    if (!c->args->no_write) {
        code = each_chunk(c, "write", chunk_write_pattern);
        if (code == TOOL_OK)
            code = flush_disk(c);
    }
    return code == TOOL_OK ? each_chunk(c, "verify", chunk_compare_pattern) : code;
}

static int verify_file(struct copy *c)
{
    int code = open_file(c, c->args->from, false);

    if (code == TOOL_OK)
        code = fit_file(c);
    return code == TOOL_OK ? each_chunk(c, "verify", chunk_compare_file) : code;
}

int tool_verify(const struct tool_args *args)
{
    bool pattern = args->pattern != UINT64_MAX;
    struct copy c;
    int code;

    if (pattern == (args->from != NULL)) {
        tool_fail(-EINVAL, "verify needs --from FILE or --pattern SEED, one of them");
        return TOOL_USAGE;
    }
    code = start(&c, args, pattern && !args->no_write);
    if (code == TOOL_OK)
        code = pattern ? verify_pattern(&c) : verify_file(&c);
    return finish(&c, "verify", code);
}
