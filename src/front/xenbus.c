/* SPDX-License-Identifier: MIT
 *
 * What the frontend reads in the backend's directory: numbers, its state, its error text.
 *
 * Threads: the one that owns the struct blkfront.
 */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "front/internal.h"

uint64_t front_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Decimal digits only: strtoull() would take a sign and leading blanks. */
static int parse_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -EPROTO;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno != 0 || *end != '\0' || *value > max ? -EPROTO : 0;
}

int front_read_number(struct blkfront *bf, const char *dir, const char *name, uint64_t fallback,
                      uint64_t max, uint64_t *value, struct errmsg *err)
{
    char path[HV_STORE_PATH_MAX];
    char text[32];
    int rc;

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return errmsg_set(err, -ENAMETOOLONG, "the path %s/%s is too long", dir, name);
    rc = hv_store_read(bf->store, 0, path, text, sizeof(text));
    if (rc == -ENOENT) {
        *value = fallback;
        return 0;
    }
    if (rc >= 0)
        rc = parse_number(text, max, value);
    if (rc < 0)
        return errmsg_set(err, rc == -EMSGSIZE || rc == -EILSEQ ? -EPROTO : rc,
                          rc == -EACCES ? "%s may not be read: its permissions are wrong"
                                        : "%s does not hold a number in its range",
                          path);
    return 0;
}

int front_backend_state(struct blkfront *bf)
{
    uint64_t state;

    if (front_read_number(bf, bf->backend, "state", FRONT_XB_UNKNOWN, 8, &state, NULL) != 0)
        return FRONT_XB_UNKNOWN;
    return (int)state;
}

static int remaining_ms(uint64_t deadline)
{
    uint64_t now = front_now_ms();

    if (now >= deadline)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* Sleeps until the store has an event for us, takes all there are. */
static int wait_store(struct blkfront *bf, int ms)
{
    struct pollfd pfd = {.fd = hv_store_fd(bf->store), .events = POLLIN};
    char path[HV_STORE_PATH_MAX], token[16];
    int rc;

    if (poll(&pfd, 1, ms) < 0 && errno != EINTR)
        return -errno;
    do {
        rc = hv_store_next_watch(bf->store, path, sizeof(path), token, sizeof(token));
    } while (rc > 0);
    return rc;
}

int front_wait_backend(struct blkfront *bf, unsigned mask, unsigned refused, uint32_t timeout_ms)
{
    uint64_t deadline = front_now_ms() + timeout_ms;

    for (;;) {
        int state = front_backend_state(bf);
        int left = remaining_ms(deadline);
        int rc;

        if (mask & (1u << state))
            return state;
        if (refused & (1u << state))
            return -ECONNREFUSED;
        if (left == 0)
            return -ETIMEDOUT;
        rc = wait_store(bf, left);
        if (rc < 0)
            return rc;
    }
}

/* /local/domain/0/backend/vbd/1/51712 keeps its error in /local/domain/0/error/backend/vbd/... */
static int error_path(const char *backend, char *path, size_t cap)
{
    static const char domains[] = "/local/domain/";
    const char *rest;

    if (strncmp(backend, domains, sizeof(domains) - 1) != 0)
        return -EINVAL;
    rest = strchr(backend + sizeof(domains) - 1, '/');
    if (rest == NULL)
        return -EINVAL;
    return snprintf(path, cap, "%.*s/error%s/error", (int)(rest - backend), backend, rest) <
                   (int)cap
               ? 0
               : -ENAMETOOLONG;
}

static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

void front_backend_error(struct blkfront *bf, char *text, size_t cap)
{
    char path[HV_STORE_PATH_MAX];

    text[0] = '\0';
    if (error_path(bf->backend, path, sizeof(path)) != 0 ||
        hv_store_read(bf->store, 0, path, text, cap) < 0) {
        snprintf(path, sizeof(path), "%.*s/hotplug-error", (int)sizeof(path) - 16, bf->backend);
        if (hv_store_read(bf->store, 0, path, text, cap) < 0)
            text[0] = '\0';
    }
    make_printable(text);
}
