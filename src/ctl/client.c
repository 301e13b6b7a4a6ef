/* SPDX-License-Identifier: MIT
 *
 * The client's end of the control socket. Threads: one.
 */
#include "ctl/ctl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"

#define ANSWER_MAX (64u << 20) /* bytes */
#define ANSWER_MS  10000

static int send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* To the end of the stream, which must be a whole line. */
static int receive_line(int fd, char **out)
{
    size_t cap = 1 << 16, have = 0;
    char *buf = malloc(cap);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int err = buf ? 0 : -ENOMEM;

    while (!err) {
        if (poll(&p, 1, ANSWER_MS) == 0)
            err = -ETIMEDOUT;
        ssize_t n = err ? 0 : recv(fd, buf + have, cap - have - 1, 0);
        if (n < 0 && errno != EINTR)
            err = -errno;
        if (err || n == 0)
            break;
        have += n > 0 ? (size_t)n : 0;
        if (cap - have <= 1) {
            char *bigger = cap < ANSWER_MAX ? realloc(buf, cap *= 2) : NULL;
            if (!bigger)
                err = -EMSGSIZE;
            else
                buf = bigger;
        }
    }
    if (!err && (have == 0 || buf[have - 1] != '\n'))
        err = -EPIPE;
    if (err) {
        free(buf);
        return err;
    }
    buf[have - 1] = '\0';
    *out = buf;
    return 0;
}

static int exchange(const char *path, struct json_object *request, char **answer)
{
    const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
    int fd = msg_connect(path, SOCK_STREAM);

    if (fd < 0)
        return fd;
    int err = send_all(fd, text, strlen(text));
    if (!err)
        err = send_all(fd, "\n", 1);
    if (!err)
        err = receive_line(fd, answer);
    close(fd);
    return err;
}

int ctl_ask(const struct ctl *ctl, const char *cmd, const char *disk, struct json_object **out,
            struct errmsg *err)
{
    struct json_object *request = json_object_new_object();
    char *text = NULL;

    json_object_object_add(request, "cmd", json_object_new_string(cmd));
    if (disk)
        json_object_object_add(request, "disk", json_object_new_string(disk));
    int ret = exchange(ctl->socket, request, &text);
    json_object_put(request);
    if (ret)
        return errmsg_set(err, ret, "cannot reach blkbackd at %s: %s", ctl->socket,
                          ret == -ECONNREFUSED ? "nobody answers there" : strerror(-ret));
    *out = json_tokener_parse(text);
    free(text);
    if (!json_object_is_type(*out, json_type_object))
        return errmsg_set(err, -EPROTO, "what answers at %s is not blkbackd", ctl->socket);
    return 0;
}

void ctl_error(const char *text, const char *hint)
{
    fprintf(stderr, "error: %s\n", text);
    if (hint)
        fprintf(stderr, "  hint: %s\n", hint);
}

static enum ctl_exit refused(struct json_object *answer)
{
    const char *code = field_text(answer, "code");
    bool not_found = strcmp(code, "not-found") == 0;

    ctl_error(field_text(answer, "error"), not_found ? "blkbackctl list shows every disk" : NULL);
    json_object_put(answer);
    return not_found ? CTL_NOT_FOUND : strcmp(code, "usage") == 0 ? CTL_USAGE : CTL_FAILED;
}

enum ctl_exit ctl_get(const struct ctl *ctl, const char *cmd, const char *disk,
                      struct json_object **out)
{
    struct errmsg err;
    int ret = ctl_ask(ctl, cmd, disk, out, &err);

    if (ret) {
        ctl_error(err.text, ret == -EACCES ? "run it as root"
                            : ret == -ETIMEDOUT
                                ? "the daemon is busy or stuck; look at its log"
                                : "start it: systemctl start blkbackd, or name its socket with "
                                  "--socket PATH");
        return CTL_UNREACHABLE;
    }
    return field_bool(*out, "ok") ? CTL_OK : refused(*out);
}

void ctl_print_json(struct json_object *o)
{
    puts(
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}
