/* SPDX-License-Identifier: MIT
 *
 * Messages with descriptors, and the sockets they go over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "base/msg.h"

static char dir[256];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%s/test-msg.XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int memory_with(const char *s)
{
    int fd = memfd_create("m", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, s, strlen(s)), strlen(s));
    return fd;
}

static void a_message_arrives_whole_and_with_its_descriptors(void **state)
{
    int s[2], fds[MSG_FDS_MAX], sent[2] = {memory_with("first"), memory_with("second")};
    size_t n = 99;
    char buf[64];

    assert_int_equal(msg_pair(s), 0);
    assert_int_equal(msg_send(s[0], "hello", 5, sent, 2), 0);
    assert_int_equal(msg_send(s[0], "again", 5, NULL, 0), 0);
    assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds, &n), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(n, 2);
    assert_int_equal(pread(fds[0], buf, sizeof(buf), 0), 5);
    assert_memory_equal(buf, "first", 5);
    assert_int_equal(pread(fds[1], buf, sizeof(buf), 0), 6);
    assert_memory_equal(buf, "second", 6);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds + 2, &n), 5);
    assert_int_equal(n, 0);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(sent[i]);
        close(s[i]);
    }
}

static void sixteen_descriptors_go_with_one_message_and_seventeen_do_not(void **state)
{
    int s[2], fds[MSG_FDS_MAX], sent[MSG_FDS_MAX + 1];
    size_t n;
    char c;

    for (int i = 0; i <= MSG_FDS_MAX; i++)
        sent[i] = memory_with("");
    assert_int_equal(msg_pair(s), 0);
    assert_int_equal(msg_send(s[0], "x", 1, sent, MSG_FDS_MAX + 1), -EINVAL);
    assert_int_equal(msg_send(s[0], "x", 1, sent, MSG_FDS_MAX), 0);
    assert_int_equal(msg_recv(s[1], &c, 1, fds, &n), 1);
    assert_int_equal(n, MSG_FDS_MAX);
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
    for (int i = 0; i <= MSG_FDS_MAX; i++)
        close(sent[i]);
    close(s[0]);
    close(s[1]);
}

static void a_message_that_does_not_fit_is_lost_and_its_descriptors_closed(void **state)
{
    int s[2], fds[MSG_FDS_MAX], before, sent = memory_with("");
    size_t n = 5;
    char buf[64];

    assert_int_equal(msg_pair(s), 0);
    before = open_fds();
    assert_int_equal(msg_send(s[0], "too long for it", 15, &sent, 1), 0);
    assert_int_equal(msg_send(s[0], "short", 5, NULL, 0), 0);
    assert_int_equal(msg_recv(s[1], buf, 8, fds, &n), -EMSGSIZE);
    assert_int_equal(n, 0);
    assert_int_equal(open_fds(), before);
    assert_int_equal(msg_recv(s[1], buf, 8, fds, &n), 5);
    close(sent);
    close(s[0]);
    close(s[1]);
}

/* More descriptors than our receiver has room for, from a sender that is not ours. */
static void more_descriptors_than_there_is_room_for_are_not_leaked(void **state)
{
    int s[2], fds[MSG_FDS_MAX], before, many = 40, fd = memory_with("");
    char control[CMSG_SPACE(sizeof(int) * 40)];
    struct iovec iov = {(char *)(uintptr_t) "x", 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    size_t n;
    char buf[8];

    memset(control, 0, sizeof(control));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * 40);
    for (int i = 0; i < many; i++)
        memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &fd, sizeof(fd));
    assert_int_equal(msg_pair(s), 0);
    before = open_fds();
    assert_int_equal(sendmsg(s[0], &m, 0), 1);
    assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds, &n), -EMSGSIZE);
    assert_int_equal(n, 0);
    assert_int_equal(open_fds(), before);
    close(fd);
    close(s[0]);
    close(s[1]);
}

static void a_peer_that_is_gone_is_an_end_for_the_reader_and_epipe_for_the_writer(void **state)
{
    int s[2], fds[MSG_FDS_MAX];
    size_t n = 3;
    char buf[8];

    assert_int_equal(msg_pair(s), 0);
    close(s[0]);
    assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(msg_send(s[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
    close(s[1]);
}

static void nothing_to_read_on_a_non_blocking_socket_is_eagain(void **state)
{
    int s[2], fds[MSG_FDS_MAX];
    size_t n;
    char buf[8];

    assert_int_equal(msg_pair(s), 0);
    assert_int_equal(fcntl(s[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds, &n), -EAGAIN);
    close(s[0]);
    close(s[1]);
}

static const char *path_in_dir(const char *name)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void a_listener_is_reached_and_a_second_one_refused(void **state)
{
    const char *path = path_in_dir("sock");
    struct stat st;
    int l = msg_listen(path, SOCK_SEQPACKET, 0600);

    assert_true(l >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fcntl(l, F_GETFD) & FD_CLOEXEC);
    int c = msg_connect(path, SOCK_SEQPACKET);
    assert_true(c >= 0);
    assert_int_equal(msg_listen(path, SOCK_SEQPACKET, 0600), -EADDRINUSE);
    assert_int_equal(msg_listen(path, SOCK_STREAM, 0600), -EADDRINUSE);
    close(c);
    close(l);
    unlink(path);
}

static void the_mode_of_the_socket_is_the_one_asked_for(void **state)
{
    const char *path = path_in_dir("open");
    struct stat st;
    mode_t old = umask(077);
    int l = msg_listen(path, SOCK_STREAM, 0666);

    umask(old);
    assert_true(l >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    close(l);
    unlink(path);
}

static void a_socket_left_by_a_dead_process_is_replaced(void **state)
{
    const char *path = path_in_dir("stale");
    int l = msg_listen(path, SOCK_STREAM, 0600);

    assert_true(l >= 0);
    close(l); /* the file stays */
    assert_int_equal(msg_connect(path, SOCK_STREAM), -ECONNREFUSED);
    l = msg_listen(path, SOCK_STREAM, 0600);
    assert_true(l >= 0);
    int c = msg_connect(path, SOCK_STREAM);
    assert_true(c >= 0);
    close(c);
    close(l);
    unlink(path);
}

static void a_file_that_is_no_socket_is_never_replaced(void **state)
{
    const char *path = path_in_dir("precious");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char buf[8];

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_true(msg_listen(path, SOCK_STREAM, 0600) < 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, buf, sizeof(buf)), 4);
    close(fd);
    unlink(path);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    char path[200];

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    path[0] = '/';
    assert_int_equal(msg_listen(path, SOCK_STREAM, 0600), -ENAMETOOLONG);
    assert_int_equal(msg_connect(path, SOCK_STREAM), -ENAMETOOLONG);
    assert_int_equal(msg_connect(path_in_dir("nobody"), SOCK_STREAM), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_whole_and_with_its_descriptors),
        cmocka_unit_test(sixteen_descriptors_go_with_one_message_and_seventeen_do_not),
        cmocka_unit_test(a_message_that_does_not_fit_is_lost_and_its_descriptors_closed),
        cmocka_unit_test(more_descriptors_than_there_is_room_for_are_not_leaked),
        cmocka_unit_test(a_peer_that_is_gone_is_an_end_for_the_reader_and_epipe_for_the_writer),
        cmocka_unit_test(nothing_to_read_on_a_non_blocking_socket_is_eagain),
        cmocka_unit_test(a_listener_is_reached_and_a_second_one_refused),
        cmocka_unit_test(the_mode_of_the_socket_is_the_one_asked_for),
        cmocka_unit_test(a_socket_left_by_a_dead_process_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_never_replaced),
        cmocka_unit_test(a_path_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests_name("msg", tests, make_dir, remove_dir);
}
