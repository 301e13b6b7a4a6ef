/* SPDX-License-Identifier: MIT
 *
 * Clients of the daemon's control socket, and what a worker may write into its statistics: each
 * whole line is answered with one line of JSON that says whether it went well; text that came from
 * elsewhere is printable.
 *
 * Input: a byte that says how the bytes are cut, a byte that says how much of the rest goes into
 * the statistics, then those, then what the client sends. Threads: one.
 */
#include <ctype.h>
#include <json-c/json.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/vbd.h"
#include "sockets.h"

static struct daemon d;
static struct vbd disk;
static struct stats_page page;

__typeof__(worker_pid) __wrap_worker_pid;

pid_t __wrap_worker_pid(const struct worker *w)
{
    CHECK(w == (const struct worker *)&page);
    return 42;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct errmsg err;

    (void)argc;
    (void)argv;
    CHECK(loop_create(&d.loop) == 0);
    snprintf(d.config.run_dir, sizeof(d.config.run_dir), "/nonexistent");
    snprintf(d.config.kinds[0], sizeof(d.config.kinds[0]), "vbd");
    d.config.nr_kinds = 1;
    disk.daemon = &d;
    disk.worker = (struct worker *)&page;
    disk.stats = &page;
    disk.phase = PHASE_CONNECTED;
    disk.dev.state = XB_CONNECTED;
    disk.nr_rings = 2;
    snprintf(disk.dev.label, sizeof(disk.dev.label), "3:xvda");
    snprintf(disk.dev.nodename, sizeof(disk.dev.nodename), "backend/vbd/3/51712");
    snprintf(disk.domain, sizeof(disk.domain), "web1");
    snprintf(disk.vdev, sizeof(disk.vdev), "xvda");
    d.bus.slots[5] = &disk.dev;
    CHECK(control_start(&d, &d.control, &err) == 0);
    return 0;
}

static void take_stats(struct input *in, size_t n)
{
    unsigned char *rows = (unsigned char *)&page.caches;

    memset(&page, 0, sizeof(page));
    take(in, rows, n < in->left ? n : in->left);
    take(in, &page.ring[1], in->left / 4 < 64 ? in->left / 4 : 64);
}

static void check_answer(const char *text, size_t len)
{
    struct json_object *ok, *schema;

    CHECK(len > 2 && text[len - 1] == '\n' && !memchr(text, '\n', len - 1));
    for (size_t i = 0; i + 1 < len; i++)
        CHECK(isprint((unsigned char)text[i]));
    struct json_object *o = json_tokener_parse(text);
    CHECK(json_object_is_type(o, json_type_object));
    CHECK(json_object_object_get_ex(o, "schema", &schema) && json_object_get_int(schema) == 1);
    CHECK(json_object_object_get_ex(o, "ok", &ok) && json_object_is_type(ok, json_type_boolean));
    CHECK(json_object_get_boolean(ok) || json_object_object_get_ex(o, "error", NULL));
    json_object_put(o);
}

/* Returns the bytes of the answer; *over: the daemon has hung up. */
static size_t hear(int fd, char *answer, size_t cap, size_t have, bool *over)
{
    ssize_t n;

    while ((n = recv(fd, answer + have, cap - 1 - have, 0)) > 0)
        have += (size_t)n;
    *over = n == 0;
    answer[have] = '\0';
    return have;
}

static void talk(struct input *in, uint8_t cut)
{
    static char answer[1u << 20];
    int fd = rig_connect_to(d.loop, "control.sock", SOCK_STREAM);
    size_t have = 0, sent = 0;
    bool over = false, whole = false;

    CHECK(fd >= 0);
    while (in->left && !over) {
        size_t n = cut ? cut * 16u : in->left;
        if (n > in->left)
            n = in->left;
        whole = whole || memchr(in->at, '\n', n) || sent + n >= CONTROL_REQUEST_MAX - 1;
        if (send(fd, in->at, n, MSG_NOSIGNAL) <= 0)
            break;
        sent += n;
        in->at += n;
        in->left -= n;
        rig_serve(d.loop);
        have = hear(fd, answer, sizeof(answer), have, &over);
    }
    CHECK(whole == (have > 0) && (!have || over));
    if (have)
        check_answer(answer, have);
    close(fd);
    rig_serve(d.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    int before = rig_next_descriptor();
    uint8_t cut = take8(&in) & 7;

    take_stats(&in, take8(&in) & 0xfc);
    talk(&in, cut);
    CHECK(rig_next_descriptor() == before);
    return 0;
}
