/* SPDX-License-Identifier: MIT
 *
 * xenstore through libxenstore: the real xenstored, or the loopback's (which speaks the same wire
 * protocol, so the library is the same).
 *
 * Threads: one handle, one thread. Every call but hv_store_next_watch() blocks for a round trip.
 * Values that come from a guest's directory are attacker-controlled text of up to 4 KiB.
 */
#ifndef HV_STORE_H
#define HV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes with NUL; xenstore allows 3072, nothing of blkif is near. */
#define HV_STORE_PATH_MAX 1024

struct hv_store;
typedef uint32_t hv_tx; /* 0: no transaction */

/* spec as for hv_open(): "loop:DIR:DOMID" gives that guest's view, with that guest's permissions.
 */
int hv_store_open(const char *spec, struct hv_store **out, struct errmsg *err);
void hv_store_close(struct hv_store *st);
/* Readable when hv_store_next_watch() may have something. */
int hv_store_fd(const struct hv_store *st);

/* Reads a value of at most cap-1 bytes into buf and terminates it. Returns its length in bytes;
 * -ENOENT, -EACCES, -EMSGSIZE when it does not fit, -EILSEQ when it holds a NUL byte. */
int hv_store_read(struct hv_store *st, hv_tx tx, const char *path, char *buf, size_t cap);
int hv_store_write(struct hv_store *st, hv_tx tx, const char *path, const char *value);
int hv_store_printf(struct hv_store *st, hv_tx tx, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int hv_store_mkdir(struct hv_store *st, hv_tx tx, const char *path);
int hv_store_rm(struct hv_store *st, hv_tx tx, const char *path); /* 0 also if it is not there */
int hv_store_exists(struct hv_store *st, hv_tx tx, const char *path); /* 1, 0, or negative */
/* The names of the children; *names is one allocation, free() it. Returns their number. */
int hv_store_list(struct hv_store *st, hv_tx tx, const char *path, char ***names);
/* Owner with full access, one further domain that may read. */
int hv_store_set_perms(struct hv_store *st, hv_tx tx, const char *path, uint32_t owner,
                       uint32_t reader);

int hv_store_begin(struct hv_store *st, hv_tx *tx);
/* -EAGAIN: somebody else changed what was read or written; start again. */
int hv_store_commit(struct hv_store *st, hv_tx tx);
void hv_store_abort(struct hv_store *st, hv_tx tx);

/* A new watch fires once at once. */
int hv_store_watch(struct hv_store *st, const char *path, const char *token);
int hv_store_unwatch(struct hv_store *st, const char *path, const char *token);
/* 1 and the event; 0 when there is none now; negative when the connection is lost. Never blocks.
 * Strings longer than their buffers are truncated. */
int hv_store_next_watch(struct hv_store *st, char *path, size_t path_cap, char *token,
                        size_t token_cap);

#endif
