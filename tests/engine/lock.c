/* SPDX-License-Identifier: MIT
 *
 * Two programs do not write one image: our opening against our own, and against QEMU's tools in
 * both directions.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

static int try_open(struct rig *rig, unsigned flags, struct engine_desc *desc, struct errmsg *err)
{
    err->text[0] = '\0';
    return engine_find("uring")->open(rig->store.path, flags, desc, err);
}

static void second_writer_is_refused(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc;
    struct errmsg err;

    rig_start(rig, 0);
    assert_int_equal(try_open(rig, 0, &desc, &err), -EBUSY);
    assert_non_null(strstr(err.text, "in use"));
    rig_close(rig);
    assert_int_equal(try_open(rig, 0, &desc, &err), 0);
    engine_desc_close(&desc);
}

static void readers_come_beside_a_writer(void **state)
{
    struct rig *rig = *state;
    struct engine_desc first, second;
    struct errmsg err;

    rig_start(rig, 0);
    assert_int_equal(try_open(rig, ENGINE_OPEN_READ_ONLY, &first, &err), 0);
    assert_int_equal(try_open(rig, ENGINE_OPEN_READ_ONLY, &second, &err), 0);
    rig_close(rig);
    /* and a writer beside readers */
    struct engine_desc writer;
    assert_int_equal(try_open(rig, 0, &writer, &err), 0);
    engine_desc_close(&first);
    engine_desc_close(&second);
    engine_desc_close(&writer);
}

static void shared_takes_and_respects_no_lock(void **state)
{
    struct rig *rig = *state;
    struct engine_desc shared, writer;
    struct errmsg err;

    rig_start(rig, 0);
    assert_int_equal(try_open(rig, ENGINE_OPEN_SHARED, &shared, &err), 0);
    rig_close(rig);
    assert_int_equal(try_open(rig, 0, &writer, &err), 0);
    engine_desc_close(&shared);
    engine_desc_close(&writer);
}

/* The lock belongs to the open file description, not to a process: it goes with the descriptor. */
static void lock_lives_as_long_as_a_copy_of_the_descriptor(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc, again;
    struct errmsg err;

    rig_start(rig, 0);
    rig_close(rig);
    assert_int_equal(try_open(rig, 0, &desc, &err), 0);
    int copy = dup(desc.fds[0]);
    engine_desc_close(&desc);
    assert_int_equal(try_open(rig, 0, &again, &err), -EBUSY);
    close(copy);
    assert_int_equal(try_open(rig, 0, &again, &err), 0);
    engine_desc_close(&again);
}

/* ---- QEMU ---- */

static void need_qemu_io(struct rig *rig)
{
    if (system("qemu-io --version >/dev/null 2>&1") != 0)
        rig_skip(rig, "qemu-io is not installed");
}

/* Runs a shell command with the image's path in $IMAGE; its exit status. What it says goes to
 * answer. */
static int run(struct rig *rig, const char *command, char *answer, size_t cap)
{
    setenv("IMAGE", rig->store.path, 1);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(answer, 1, cap - 1, f);
    answer[n] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void qemu_does_not_open_what_we_serve(void **state)
{
    struct rig *rig = *state;
    char answer[1024];
    static const char write[] = "qemu-io -f raw -c 'write 0 4k' \"$IMAGE\" 2>&1";

    need_qemu_io(rig);
    rig_start(rig, 0);
    assert_int_not_equal(run(rig, write, answer, sizeof(answer)), 0);
    if (!strstr(answer, "lock"))
        fail_msg("qemu-io said: %s", answer);
    rig_close(rig);
    if (run(rig, write, answer, sizeof(answer)) != 0)
        fail_msg("qemu-io said: %s", answer);
}

static void qemu_may_write_what_is_opened_as_shared(void **state)
{
    struct rig *rig = *state;
    char answer[1024];

    need_qemu_io(rig);
    rig_start(rig, ENGINE_OPEN_SHARED);
    if (run(rig, "qemu-io -f raw -c 'write 0 4k' \"$IMAGE\" 2>&1", answer, sizeof(answer)) != 0)
        fail_msg("qemu-io said: %s", answer);
}

/* A qemu-io that has the image open until its input ends; *in is the writing end. */
static pid_t start_qemu_io(struct rig *rig, int *in)
{
    int to[2], from[2];
    char answer[4096] = "";
    size_t used = 0;

    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execlp("qemu-io", "qemu-io", "-f", "raw", rig->store.path, NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    /* "length" is answered once the image is open. */
    static const char ask[] = "length\n";
    assert_int_equal(write(to[1], ask, sizeof(ask) - 1), (int)sizeof(ask) - 1);
    while (!strstr(answer, "8 MiB") && used < sizeof(answer) - 1) {
        ssize_t n = read(from[0], answer + used, sizeof(answer) - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        answer[used] = '\0';
    }
    close(from[0]);
    *in = to[1];
    return pid;
}

static void we_do_not_write_what_qemu_writes(void **state)
{
    struct rig *rig = *state;
    struct engine_desc desc, reader;
    struct errmsg err, ignored;
    int in;

    need_qemu_io(rig);
    rig_start(rig, 0);
    rig_close(rig);
    pid_t pid = start_qemu_io(rig, &in);
    int busy = try_open(rig, 0, &desc, &err);
    int beside = try_open(rig, ENGINE_OPEN_READ_ONLY, &reader, &ignored);
    close(in);
    waitpid(pid, NULL, 0);
    assert_int_equal(busy, -EBUSY);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(beside, 0);
    engine_desc_close(&reader);
    assert_int_equal(try_open(rig, 0, &desc, &err), 0);
    engine_desc_close(&desc);
}

/* What QEMU locks for a guest's disk: byte 201 while nobody else may write, 200 while nobody may
 * even read. */
static void locks_of_other_programs_are_respected(void **state)
{
    struct rig *rig = *state;
    static const struct {
        off_t byte;
        int writer, reader; /* what opening returns */
        const char *words;
    } cases[] = {
        {100, 0, 0, ""},
        {101, -EBUSY, 0, "another program is writing it"},
        {102, 0, 0, ""},
        {200, -EBUSY, -EBUSY, "lets nobody read it"},
        {201, -EBUSY, 0, "lets nobody else write it"},
        {202, 0, 0, ""},
    };

    rig_start(rig, 0);
    rig_close(rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct engine_desc desc;
        struct errmsg err, ignored;
        struct flock l = {.l_type = F_RDLCK, .l_start = cases[i].byte, .l_len = 1};
        int other = open(rig->store.path, O_RDWR | O_CLOEXEC);
        assert_int_equal(fcntl(other, F_OFD_SETLK, &l), 0);
        int writer = try_open(rig, 0, &desc, &err);
        if (writer == 0)
            engine_desc_close(&desc);
        int reader = try_open(rig, ENGINE_OPEN_READ_ONLY, &desc, &ignored);
        if (reader == 0)
            engine_desc_close(&desc);
        close(other);
        assert_int_equal(writer, cases[i].writer);
        assert_int_equal(reader, cases[i].reader);
        assert_non_null(strstr(err.text, cases[i].words));
    }
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(second_writer_is_refused, STORE_FILE),
        RIG_CASE(readers_come_beside_a_writer, STORE_FILE),
        RIG_CASE(shared_takes_and_respects_no_lock, STORE_FILE),
        RIG_CASE(lock_lives_as_long_as_a_copy_of_the_descriptor, STORE_FILE),
        RIG_CASE(qemu_does_not_open_what_we_serve, STORE_FILE),
        RIG_CASE(qemu_may_write_what_is_opened_as_shared, STORE_FILE),
        RIG_CASE(we_do_not_write_what_qemu_writes, STORE_FILE),
        RIG_CASE(locks_of_other_programs_are_respected, STORE_FILE),
    };

    signal(SIGPIPE, SIG_IGN);
    return rig_main("lock", cases, sizeof(cases) / sizeof(cases[0]));
}
