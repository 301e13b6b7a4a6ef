/* SPDX-License-Identifier: MIT
 *
 * The store, as the rest of the server sees it.
 */
#ifndef LOOPD_STORE_H
#define LOOPD_STORE_H

#include <stdint.h>

#include "loopd/server.h"

int store_open(struct server *srv, struct store **out);
void store_close(struct store *st);

/* Opens the domain's socket: xenstored.sock for domain 0, else store-DOMID.sock. */
int store_domain_new(struct store *st, uint32_t domid);
/* Fires @introduceDomain the first time. -ENOENT: no such domain. */
int store_domain_introduce(struct store *st, uint32_t domid);
/* Closes it and its connections, and fires @releaseDomain if the domain had been introduced. The
 * domain's directories are the toolstack's to remove. */
void store_domain_gone(struct store *st, uint32_t domid);

#endif
