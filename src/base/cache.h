/* SPDX-License-Identifier: MIT
 *
 * Named caches of fixed-size, aligned objects: what kmem_cache_create() is to the kernel driver.
 *
 * A cache is sized when it is made and never grows: taking an object is a pop from a list, giving
 * it back a push, so the data path allocates nothing. The constructor runs once for each object
 * when the cache is made; an object keeps its contents while it is free, as with the kernel's.
 *
 * Each cache is listed with its occupancy in a struct cache_table, which may live in memory shared
 * with another process: that is how `blkbackctl caches` sees the caches of every worker.
 *
 * Threads: a cache belongs to one thread at a time; its row in the table may be read by any.
 */
#ifndef BASE_CACHE_H
#define BASE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_NAME_MAX  24 /* bytes, with the terminating NUL */
#define CACHE_TABLE_MAX 64 /* rows */

/* One row: what /proc/slabinfo would show. All in objects but the sizes, which are in bytes. */
struct cache_row {
    char name[CACHE_NAME_MAX]; /* "" : row not in use */
    uint64_t active;
    uint64_t total;
    uint64_t object_bytes;
    uint64_t align_bytes;
};

struct cache_table {
    struct cache_row rows[CACHE_TABLE_MAX];
};

/* Makes `table` (zeroed memory that outlives every cache) the place where caches of this process
 * are listed. Before the first call they are listed in a table of the process itself. Call while
 * no cache exists. */
void cache_table_use(struct cache_table *table);
const struct cache_table *cache_table_current(void);

struct cache;

/* name: shorter than CACHE_NAME_MAX; several caches may share a name (one for each ring) and are
 * listed one by one. object_bytes > 0; align_bytes: a power of two up to 4096, or 0 for the
 * alignment of a cache line; count > 0 objects; ctor may be NULL. Returns 0, -EINVAL for a bad
 * argument, -ENOMEM, or -ENOSPC when the table is full. */
int cache_create(const char *name, size_t object_bytes, size_t align_bytes, size_t count,
                 void (*ctor)(void *object), struct cache **out);

/* Every object must have been given back: returns -EBUSY and does nothing otherwise. NULL is fine.
 */
int cache_destroy(struct cache *cache);

/* NULL when every object is taken. */
void *cache_take(struct cache *cache);
void cache_give(struct cache *cache, void *object);

size_t cache_active(const struct cache *cache);

#endif
