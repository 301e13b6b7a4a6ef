/* SPDX-License-Identifier: MIT
 *
 * Which targets are refused, with what words; and what a worker refuses to take over.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

/* ---- names ---- */

static void targets_name_their_engine(void **state)
{
    static const struct {
        const char *spec, *engine, *target;
    } cases[] = {
        {"uring:/a/b", "uring", "/a/b"},
        {"aio:/a/b", "uring", "/a/b"},
        {"aio:uring:/a", "uring", "uring:/a"}, /* stripped once */
        {"/a/b", "uring", "/a/b"},
        {"/a:b", "uring", "/a:b"},
        {"./a:b", "uring", "./a:b"},
        {"image", "uring", "image"},
        {"null:10G", "null", "10G"},
        {"", "uring", ""},
        {"qcow2:/a", NULL, "\"qcow2\""},
        {"uring2:/a", NULL, "\"uring2\""},
        {":", NULL, "\"\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *target = NULL;
        struct errmsg err = {""};
        const struct engine_ops *ops = engine_resolve(cases[i].spec, &target, &err);
        if (!cases[i].engine) {
            assert_null(ops);
            assert_non_null(strstr(err.text, cases[i].target));
            continue;
        }
        assert_ptr_equal(ops, engine_find(cases[i].engine));
        assert_string_equal(target, cases[i].target);
    }
    assert_null(engine_find("nosuch"));
}

static void null_sizes(void **state)
{
    static const struct {
        const char *target;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"512", 512},
        {"1K", 1024},
        {"10G", 10ull << 30},
        {"4T", 4ull << 40},
        {"3M", 3u << 20},
        {"", 0},
        {"0", 0},
        {"511", 0},
        {"10X", 0},
        {"10GB", 0},
        {"G", 0},
        {"-1", 0},
        {" 1K", 0},
        {"99999999999999999999", 0},
        {"16777216T", 0},
        {"8388608T", 0},
        {"8388607T", 8388607ull << 40},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct engine_desc desc;
        struct errmsg err = {""};
        int ret = engine_find("null")->open(cases[i].target, 0, &desc, &err);
        if (cases[i].bytes) {
            assert_int_equal(ret, 0);
            assert_int_equal(desc.info.size_bytes, cases[i].bytes);
        } else {
            assert_true(ret < 0);
            assert_non_null(strstr(err.text, "null:10G"));
        }
    }
}

/* ---- refusals ---- */

static void expect_refusal(const char *path, unsigned flags, int want, const char *words)
{
    struct engine_desc desc;
    struct errmsg err = {""};
    int ret = engine_find("uring")->open(path, flags, &desc, &err);

    if (ret == 0)
        engine_desc_close(&desc);
    assert_int_equal(ret, want);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_null(strchr(err.text, '\n'));
    if (*path)
        assert_non_null(strstr(err.text, path));
}

static void make_file(const char *path, off_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    close(fd);
}

static void bad_targets_are_refused_with_a_reason(void **state)
{
    struct rig *rig = *state;
    char path[400];

    rig_start(rig, 0);
    rig_close(rig);
    expect_refusal("", 0, -EINVAL, "no target");
    expect_refusal("/dev/null", 0, -ENOTBLK, "character device");
    snprintf(path, sizeof(path), "%s", rig->store.dir);
    expect_refusal(path, 0, -EISDIR, "directory");
    snprintf(path, sizeof(path), "%s/absent", rig->store.dir);
    expect_refusal(path, 0, -ENOENT, "does not exist");
    snprintf(path, sizeof(path), "%s/x", rig->store.path);
    expect_refusal(path, 0, -ENOTDIR, "does not exist");

    snprintf(path, sizeof(path), "%s/fifo", rig->store.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refusal(path, 0, -ENOTBLK, "FIFO");
    expect_refusal(path, ENGINE_OPEN_READ_ONLY, -ENOTBLK, "FIFO"); /* and does not hang */
    unlink(path);

    snprintf(path, sizeof(path), "%s/odd", rig->store.dir);
    make_file(path, 0);
    expect_refusal(path, 0, -EINVAL, "empty");
    make_file(path, 1000);
    expect_refusal(path, 0, -EINVAL, "1000 bytes, is not a multiple of 512");
    make_file(path, 1024);
    struct engine_desc desc;
    struct errmsg err = {""};
    assert_int_equal(engine_find("uring")->open(path, 0, &desc, &err), 0);
    engine_desc_close(&desc);
    unlink(path);

    snprintf(path, sizeof(path), "%s/loop", rig->store.dir);
    assert_int_equal(symlink("loop", path), 0);
    expect_refusal(path, 0, -ELOOP, "cannot open");
    unlink(path);
}

static void forbidden_file_is_refused_with_a_reason(void **state)
{
    struct rig *rig = *state;

    rig_start(rig, 0);
    rig_close(rig);
    assert_int_equal(chmod(rig->store.path, 0400), 0);
    bool root = geteuid() == 0;
    if (root && (setegid(65534) < 0 || chown(rig->store.dir, 65534, 65534) < 0 ||
                 chown(rig->store.path, 65534, 65534) < 0 || seteuid(65534) < 0)) {
        rig_skip(rig, "cannot become an ordinary user: %s", strerror(errno));
    }
    struct engine_desc desc;
    struct errmsg err = {""};
    int rw = engine_find("uring")->open(rig->store.path, 0, &desc, &err);
    struct errmsg ignored;
    struct engine_desc ro_desc;
    int ro = engine_find("uring")->open(rig->store.path, ENGINE_OPEN_READ_ONLY, &ro_desc, &ignored);
    if (root)
        assert_int_equal(seteuid(0) | setegid(0), 0);
    assert_int_equal(rw, -EACCES);
    assert_non_null(strstr(err.text, "may not be opened for writing"));
    assert_non_null(strstr(err.text, "mode r"));
    assert_int_equal(ro, 0);
    engine_desc_close(&ro_desc);
}

static struct engine_desc opened(const char *path, unsigned flags)
{
    struct engine_desc desc;
    struct errmsg err = {""};

    if (engine_find("uring")->open(path, flags, &desc, &err) < 0)
        fail_msg("%s", err.text);
    engine_desc_close(&desc);
    return desc;
}

/* On a file system whose O_DIRECT takes 4096 bytes. */
static void file_is_served_directly_only_where_that_is_safe(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;

    rig_start(rig, 0);
    rig_close(rig);
    const char *path = rig->store.spec;
    desc = opened(path, ENGINE_OPEN_OWN_BLOCKS);
    assert_int_equal(desc.info.logical_block, 4096);
    assert_string_equal(desc.engine, "uring");
    assert_string_equal(desc.info.note, "");
    desc = opened(path, ENGINE_OPEN_SHARED); /* the page cache orders what several write */
    assert_int_equal(desc.info.logical_block, 512);
    assert_string_equal(desc.engine, "uring");
    assert_non_null(strstr(desc.info.note, "buffered"));
    assert_int_equal(truncate(path, STORE_BYTES + 512), 0);
    desc = opened(path, ENGINE_OPEN_OWN_BLOCKS);
    assert_int_equal(desc.info.size_bytes, STORE_BYTES + 512);
    assert_int_equal(desc.info.logical_block, 512);
    assert_non_null(strstr(desc.info.note, "buffered"));
}

static void device_of_4096_byte_blocks_says_what_is_made_of_it(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;

    rig_start(rig, 0);
    rig_close(rig);
    desc = opened(rig->store.spec, 0);
    assert_string_equal(desc.engine, "e512+uring");
    assert_int_equal(desc.info.logical_block, 512);
    assert_int_equal(desc.info.physical_block, 4096);
    assert_string_equal(desc.info.note, "512e over 4096-byte sectors");
    desc = opened(rig->store.spec, ENGINE_OPEN_SHARED);
    assert_non_null(strstr(desc.info.note, "shared"));
    desc = opened(rig->store.spec, ENGINE_OPEN_OWN_BLOCKS);
    assert_string_equal(desc.engine, "uring");
    assert_int_equal(desc.info.logical_block, 4096);
}

static void symlink_is_followed(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;
    struct errmsg err = {""};
    char path[400];

    rig_start(rig, 0);
    rig_close(rig);
    snprintf(path, sizeof(path), "%s/link", rig->store.dir);
    assert_int_equal(symlink(rig->store.path, path), 0);
    int ret = engine_find("uring")->open(path, 0, &desc, &err);
    unlink(path);
    assert_int_equal(ret, 0);
    assert_int_equal(desc.info.size_bytes, STORE_BYTES);
    engine_desc_close(&desc);
}

static void device_in_use_is_refused(void **state)
{
    struct rig *rig = *state;
    const char *device;

    rig_start(rig, 0); /* the engine itself is the exclusive user */
    device = rig->store.spec;
    expect_refusal(device, 0, -EBUSY, "in use");
    struct engine_desc desc;
    struct errmsg err = {""};
    assert_int_equal(rig->ops->open(device, ENGINE_OPEN_SHARED, &desc, &err), 0);
    engine_desc_close(&desc);
    assert_int_equal(rig->ops->open(device, ENGINE_OPEN_READ_ONLY, &desc, &err), 0);
    engine_desc_close(&desc);
    rig_close(rig);
    assert_int_equal(rig->ops->open(device, 0, &desc, &err), 0);
    engine_desc_close(&desc);
}

static void mounted_device_is_refused(void **state)
{
    struct rig *rig = *state;
    char command[400];

    rig_start(rig, 0);
    rig_close(rig);
    snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q %s 2>/dev/null",
             rig->store.spec);
    char at[300];
    snprintf(at, sizeof(at), "%s/mnt", rig->store.dir);
    int ret = system(command);
    mkdir(at, 0700);
    if (ret != 0 || mount(rig->store.spec, at, "ext4", 0, NULL) < 0) {
        rmdir(at);
        rig_skip(rig, "cannot make and mount an ext4 here: %s", strerror(errno));
    }
    struct engine_desc desc;
    struct errmsg err = {""};
    ret = engine_find("uring")->open(rig->store.spec, 0, &desc, &err);
    umount(at);
    rmdir(at);
    assert_int_equal(ret, -EBUSY);
    assert_non_null(strstr(err.text, "mounted"));
}

/* ---- what the worker is sent ---- */

static struct engine_desc good_desc(struct rig *rig, unsigned flags)
{
    struct engine_desc desc;
    struct errmsg err = {""};

    if (engine_find("uring")->open(rig->store.path, flags, &desc, &err) < 0)
        fail_msg("%s", err.text);
    return desc;
}

static void expect_not_started(struct engine_desc desc, const char *words)
{
    struct engine *engine = NULL;
    struct errmsg err = {""};
    int32_t fd = desc.fds[0];

    assert_int_equal(engine_find("uring")->start(&desc, &engine, &err), -EINVAL);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over and closed */
}

static void wrong_descriptors_are_not_started(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;
    int pipe_fds[2];

    rig_start(rig, 0);
    rig_close(rig);

    desc = good_desc(rig, 0);
    close(desc.fds[0]);
    assert_int_equal(pipe(pipe_fds), 0);
    desc.fds[0] = pipe_fds[0];
    expect_not_started(desc, "not a regular file");
    close(pipe_fds[1]);

    desc = good_desc(rig, ENGINE_OPEN_READ_ONLY);
    desc.info.read_only = false;
    expect_not_started(desc, "not open for reading and writing");
    desc = good_desc(rig, 0);
    desc.info.read_only = true;
    expect_not_started(desc, "not open for reading only");
    desc = good_desc(rig, 0);
    desc.info.is_block_device = true;
    expect_not_started(desc, "not a block device");
    desc = good_desc(rig, 0);
    desc.flags ^= 1;
    expect_not_started(desc, "O_DIRECT");
    desc = good_desc(rig, 0);
    desc.info.logical_block = 0;
    expect_not_started(desc, "blocks of 0");
    desc = good_desc(rig, 0);
    desc.info.size_bytes += 512;
    expect_not_started(desc, "smaller");
    desc = good_desc(rig, 0);
    desc.info.size_bytes = 100;
    expect_not_started(desc, "whole blocks");
    desc = good_desc(rig, 0);
    desc.info.memory_align = 3;
    expect_not_started(desc, "alignment");

    desc = good_desc(rig, 0);
    struct engine *engine = NULL;
    assert_int_equal(engine_find("uring")->start(&desc, &engine, NULL), 0);
    engine_find("uring")->stop(engine);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(targets_name_their_engine, STORE_NULL),
        RIG_CASE(null_sizes, STORE_NULL),
        RIG_CASE(bad_targets_are_refused_with_a_reason, STORE_FILE),
        RIG_CASE(forbidden_file_is_refused_with_a_reason, STORE_FILE),
        RIG_CASE(file_is_served_directly_only_where_that_is_safe, STORE_E512_FILE),
        RIG_CASE(device_of_4096_byte_blocks_says_what_is_made_of_it, STORE_LOOP4K),
        RIG_CASE(symlink_is_followed, STORE_FILE),
        RIG_CASE(device_in_use_is_refused, STORE_LOOP),
        RIG_CASE(mounted_device_is_refused, STORE_LOOP),
        RIG_CASE(wrong_descriptors_are_not_started, STORE_FILE),
    };

    return rig_main("open", cases, sizeof(cases) / sizeof(cases[0]));
}
