/* SPDX-License-Identifier: MIT
 *
 * A running blkbackd over a blkback-loopd of its own, with fake_vbd in the worker's place: the
 * toolstack (domain 0) and one guest with its own connection and its own rights. Threads: one.
 */
#ifndef TESTS_DAEMON_LIVE_H
#define TESTS_DAEMON_LIVE_H

#include "check.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#include "hv/store.h"
#include "loopd_fixture.h"

struct live {
    struct loopd loopd;
    pid_t daemon;
    uint32_t domid;
    struct hv_store *dom0, *guest;
    char back[64], front[64]; /* of its vbd 51712 */
    char socket[128];         /* the control socket */
    char log[128];            /* what the daemon printed */
};

extern struct live live;

/* For cmocka: everything up, no disk yet; and down again, with nothing left behind. */
int live_setup(void **state);
int live_teardown(void **state);

void live_daemon_start(void);
/* Signals it and waits; returns its exit status, or 128 + the signal. */
int live_daemon_stop(int signo);
/* Runs a program to its end: its exit status, its output (both streams) into out. */
int live_run(const char *const *argv, char *out, size_t cap);

void live_attach(uint32_t devid, const char *target);
void live_front_nodes(void);
void live_front(const char *state);
/* Waits until <dir>/state is that; fails the test when it does not come. */
void live_wait_state(const char *dir, const char *state);
/* Through InitWait to Connected, with the guest's own writes. */
void live_connect(void);

void live_put(struct hv_store *st, const char *dir, const char *leaf, const char *value);

/* One exchange on the control socket; NULL when nobody answers. */
struct json_object *live_ask(const char *request);
/* A member of the only disk's report, as text; "" without. */
const char *live_disk(const char *key);

uint64_t live_daemon_rss(void); /* bytes */
unsigned live_daemon_fds(void);

#endif
