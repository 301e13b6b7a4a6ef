/* SPDX-License-Identifier: MIT
 *
 * See rig.h.
 */
#include "rig.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

const char *const store_names[STORE_KINDS] = {
    [STORE_FILE] = "file",
    [STORE_SHM] = "tmpfs",
    [STORE_LOOP] = "loop device",
    [STORE_LOOP4K] = "4K loop device",
    [STORE_NULL] = "null",
    [STORE_E512_LOOP] = "512e on a 4K loop device",
    [STORE_E512_FILE] = "512e on a 4K file",
    [STORE_E512_MEM] = "512e on memory",
};

static int cannot(struct store *s, const char *what)
{
    snprintf(s->why, sizeof(s->why), "%.100s: %s", what, strerror(errno));
    store_remove(s);
    return -1;
}

static int make_file(struct store *s, const char *parent)
{
    snprintf(s->dir, sizeof(s->dir), "%s/blkbackd-engine-XXXXXX", parent);
    if (!mkdtemp(s->dir)) {
        int e = errno;
        s->dir[0] = '\0';
        errno = e;
        return cannot(s, parent);
    }
    snprintf(s->path, sizeof(s->path), "%s/disk", s->dir);
    snprintf(s->spec, sizeof(s->spec), "uring:%s", s->path);
    int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, STORE_BYTES) < 0) {
        if (fd >= 0)
            close(fd);
        return cannot(s, s->path);
    }
    close(fd);
    return 0;
}

/* The device goes by itself when its last descriptor is closed, however this process ends. */
static int make_loop(struct store *s, unsigned block)
{
    struct loop_config config = {
        .block_size = block,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR},
    };
    char device[32];
    int fd = -1;

    if (geteuid() != 0) {
        errno = EPERM;
        return cannot(s, "it needs root");
    }
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return cannot(s, "/dev/loop-control");
    int backing = open(s->path, O_RDWR | O_CLOEXEC);
    config.fd = (unsigned)backing;
    /* Another test may take the free device first. */
    for (int tries = 0; tries < 50 && fd < 0; tries++) {
        int n = ioctl(control, LOOP_CTL_GET_FREE);
        if (n < 0)
            break;
        snprintf(device, sizeof(device), "/dev/loop%d", n);
        fd = open(device, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
            int e = errno;
            close(fd);
            fd = -1;
            errno = e;
            if (e != EBUSY)
                break;
        }
    }
    int e = errno;
    close(backing);
    close(control);
    errno = e;
    if (fd < 0)
        return cannot(s, "no loop device");
    s->loop_fd = fd;
    snprintf(s->spec, sizeof(s->spec), "%s", device);
    return 0;
}

/* In a mount namespace of this process: it goes with the process. */
static int make_file_4k(struct store *s)
{
    char at[300], command[700];

    snprintf(at, sizeof(at), "%s/mnt", s->dir);
    snprintf(command, sizeof(command),
             "PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F -b 4096 -m 0 -O ^has_journal %s "
             ">/dev/null 2>&1",
             s->spec);
    errno = ENOENT;
    if (system(command) != 0)
        return cannot(s, "mkfs.ext4");
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return cannot(s, "mount namespace");
    mkdir(at, 0700);
    if (mount(s->spec, at, "ext4", 0, NULL) < 0) {
        int e = errno;
        rmdir(at);
        errno = e;
        return cannot(s, "mount");
    }
    snprintf(s->mounted, sizeof(s->mounted), "%s", at);
    snprintf(s->spec, sizeof(s->spec), "%s/disk", at);
    int fd = open(s->spec, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, STORE_BYTES) < 0)
        return cannot(s, s->spec);
    close(fd);
    return 0;
}

static int make_on_loop(struct store *s, const char *parent)
{
    if (make_file(s, parent) < 0)
        return -1;
    if (s->kind == STORE_E512_FILE && truncate(s->path, 4 * STORE_BYTES) < 0)
        return cannot(s, s->path);
    if (make_loop(s, s->kind == STORE_LOOP ? 512 : 4096) < 0)
        return -1;
    return s->kind == STORE_E512_FILE ? make_file_4k(s) : 0;
}

int store_make(struct store *s, enum store_kind kind)
{
    const char *tmp = getenv("TMPDIR");

    *s = (struct store){.kind = kind, .loop_fd = -1};
    switch (kind) {
    case STORE_NULL:
        snprintf(s->spec, sizeof(s->spec), "null:%u", STORE_BYTES);
        return 0;
    case STORE_SHM:
        return make_file(s, "/dev/shm");
    case STORE_LOOP:
    case STORE_LOOP4K:
    case STORE_E512_LOOP:
    case STORE_E512_FILE:
        return make_on_loop(s, tmp && *tmp ? tmp : "/tmp");
    case STORE_E512_MEM:
        s->bytes = calloc(1, STORE_BYTES);
        return s->bytes ? 0 : cannot(s, "memory");
    default:
        return make_file(s, tmp && *tmp ? tmp : "/tmp");
    }
}

void store_remove(struct store *s)
{
    if (s->mounted[0]) {
        umount2(s->mounted, MNT_DETACH);
        rmdir(s->mounted);
    }
    s->mounted[0] = '\0';
    free(s->bytes);
    s->bytes = NULL;
    if (s->loop_fd >= 0) {
        ioctl(s->loop_fd, LOOP_CLR_FD);
        close(s->loop_fd);
    }
    s->loop_fd = -1;
    if (s->path[0])
        unlink(s->path);
    if (s->dir[0])
        rmdir(s->dir);
    s->path[0] = s->dir[0] = '\0';
}

#define SHOWN_NAME_MAX 320

static int setup(void **state)
{
    struct rig *rig = *state;

    rig->store = (struct store){.kind = rig->test_case->kind, .loop_fd = -1};
    rig->mem = NULL;
    rig->random = 0x9e3779b97f4a7c15u;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    rig_close(rig);
    store_remove(&rig->store);
    return 0;
}

static void run_case(void **state)
{
    struct rig *rig = *state;

    if (setjmp(rig->skipped) == 0)
        rig->test_case->test(state);
}

/* cmocka prints the name when the test is over: a TAP directive may be added to it until then. */
void rig_skip(struct rig *rig, const char *fmt, ...)
{
    size_t used = strlen(rig->shown_name);
    va_list ap;

    used += (size_t)snprintf(rig->shown_name + used, rig->shown_name_bytes - used, " # SKIP ");
    va_start(ap, fmt);
    vsnprintf(rig->shown_name + used, rig->shown_name_bytes - used, fmt, ap);
    va_end(ap);
    longjmp(rig->skipped, 1);
}

int rig_main(const char *group, const struct rig_case *cases, size_t n)
{
    struct CMUnitTest *tests = calloc(n, sizeof(*tests));
    struct rig *rigs = calloc(n, sizeof(*rigs));
    char *names = calloc(n, SHOWN_NAME_MAX);
    int ret = 1;

    if (tests && rigs && names) {
        for (size_t i = 0; i < n; i++) {
            char *name = names + i * SHOWN_NAME_MAX;
            snprintf(name, SHOWN_NAME_MAX, "%s: %s", store_names[cases[i].kind], cases[i].name);
            rigs[i].test_case = &cases[i];
            rigs[i].shown_name = name;
            rigs[i].shown_name_bytes = SHOWN_NAME_MAX;
            tests[i] = (struct CMUnitTest){name, run_case, setup, teardown, &rigs[i]};
        }
        ret = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
    }
    free(tests);
    free(rigs);
    free(names);
    return ret;
}

static void open_by_spec(struct rig *rig, unsigned open_flags)
{
    const char *target;
    struct engine_desc desc;
    struct errmsg err = {""};
    const struct engine_ops *opener = engine_resolve(rig->store.spec, &target, &err);

    if (!opener)
        fail_msg("%s", err.text);
    if (rig->store.kind == STORE_LOOP4K)
        open_flags |= ENGINE_OPEN_OWN_BLOCKS;
    if (opener->open(target, open_flags, &desc, &err) < 0)
        fail_msg("open: %s", err.text);
    rig->info = desc.info;
    const struct engine_ops *ops = engine_find(desc.engine);
    assert_non_null(ops);
    if (ops->start(&desc, &rig->engine, &err) < 0)
        fail_msg("start: %s", err.text);
    assert_int_equal(desc.nr_fds, 0);
}

static void open_mem(struct rig *rig, unsigned open_flags)
{
    rig->mem = mem_new(rig->store.bytes, STORE_BYTES, open_flags & ENGINE_OPEN_READ_ONLY);
    assert_non_null(rig->mem);
    assert_int_equal(mem_e512(rig->mem, &rig->engine, &rig->info), 0);
}

static void open_store(struct rig *rig, unsigned open_flags)
{
    struct errmsg err = {""};

    if (rig->store.kind == STORE_E512_MEM)
        open_mem(rig, open_flags);
    else
        open_by_spec(rig, open_flags);
    rig->ops = engine_ops_of(rig->engine);
    if (ioctx_open(&rig->ctx, 64, &err) < 0)
        fail_msg("ioctx: %s", err.text);
    rig->ctx_open = true;
    assert_int_equal(rig->ops->channel_open(rig->engine, &rig->ctx, RIG_DEPTH, &rig->channel), 0);
}

void rig_start(struct rig *rig, unsigned open_flags)
{
    enum store_kind kind = rig->store.kind;

    if (store_make(&rig->store, kind) < 0)
        rig_skip(rig, "no %s here: %s", store_names[kind], rig->store.why);
    open_store(rig, open_flags);
}

void rig_restart(struct rig *rig, unsigned open_flags)
{
    rig_close(rig);
    open_store(rig, open_flags);
}

void rig_close(struct rig *rig)
{
    if (rig->channel)
        rig->ops->channel_close(rig->channel);
    rig->channel = NULL;
    if (rig->ctx_open)
        ioctx_close(&rig->ctx);
    rig->ctx_open = false;
    if (rig->mem)
        assert_int_equal(rig->mem->violations, 0);
    rig->mem = NULL;
    if (rig->engine)
        rig->ops->stop(rig->engine);
    rig->engine = NULL;
}

void probe_done(struct engine_io *io, int result)
{
    struct probe *p = (struct probe *)io;

    p->calls++;
    p->result = result;
}

void probe_set(struct probe *p, enum engine_op op, uint64_t offset, uint64_t length, void *memory)
{
    memset(p, 0, sizeof(*p));
    p->iov[0] = (struct iovec){memory, memory ? length : 0};
    p->io = (struct engine_io){
        .op = op,
        .offset = offset,
        .length = length,
        .iov = p->iov,
        .iovcnt = memory ? 1 : 0,
        .done = probe_done,
    };
}

void rig_wait(struct rig *rig, const struct probe *p)
{
    while (!p->calls) {
        assert_int_equal(ioctx_enter(&rig->ctx, true, UINT64_MAX), 0);
        ioctx_reap(&rig->ctx);
    }
}

int rig_do(struct rig *rig, struct probe *p)
{
    int ret = rig->ops->submit(rig->channel, &p->io);

    if (ret < 0)
        return ret;
    rig_wait(rig, p);
    return p->result;
}

int rig_do_simple(struct rig *rig, enum engine_op op, uint64_t offset, uint64_t length,
                  void *memory)
{
    struct probe p;

    probe_set(&p, op, offset, length, memory);
    return rig_do(rig, &p);
}

bool rig_keeps_data(const struct rig *rig)
{
    return rig->store.kind != STORE_NULL;
}

uint64_t rig_random(struct rig *rig)
{
    uint64_t x = rig->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return rig->random = x;
}

void rig_fill(struct rig *rig, void *memory, size_t bytes)
{
    unsigned char *p = memory;

    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t r = rig_random(rig);
        memcpy(p + i, &r, bytes - i < 8 ? bytes - i : 8);
    }
}

void *rig_memory(size_t bytes)
{
    void *p = NULL;

    assert_int_equal(posix_memalign(&p, 4096, bytes), 0);
    memset(p, 0x5a, bytes);
    return p;
}
