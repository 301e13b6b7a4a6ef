/* SPDX-License-Identifier: MIT
 *
 * Named object caches over one aligned block of memory each. Free objects are found through a stack
 * of indices kept apart from them, because a free object keeps its contents.
 * Threads: see cache.h.
 */
#include "base/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/barrier.h"

#define CACHE_LINE      64u
#define CACHE_ALIGN_MAX 4096u /* objects begin at the start of a page */

struct cache {
    struct cache_row *row;
    unsigned char *objects;
    size_t stride; /* bytes from one object to the next */
    uint32_t *free_index;
    size_t free_count;
    size_t total;
    size_t bytes; /* of all objects */
};

static struct cache_table own_table;
static struct cache_table *table = &own_table;
/* Caches are made and unmade by several threads (each ring has its own); rows are handed out here.
 */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

void cache_table_use(struct cache_table *t)
{
    table = t;
}

const struct cache_table *cache_table_current(void)
{
    return table;
}

static struct cache_row *row_claim(const char *name, const struct cache_row *facts)
{
    struct cache_row *found = NULL;

    pthread_mutex_lock(&table_lock);
    for (int i = 0; i < CACHE_TABLE_MAX && !found; i++) {
        struct cache_row *row = &table->rows[i];
        if (row->name[0])
            continue;
        row->active = 0;
        row->total = facts->total;
        row->object_bytes = facts->object_bytes;
        row->align_bytes = facts->align_bytes;
        /* The first byte goes last: a reader takes a row with a name as filled in. */
        snprintf(row->name + 1, sizeof(row->name) - 1, "%s", name + 1);
        store_release(&row->name[0], name[0]);
        found = row;
    }
    pthread_mutex_unlock(&table_lock);
    return found;
}

static void row_release(struct cache_row *row)
{
    pthread_mutex_lock(&table_lock);
    store_release(&row->name[0], '\0');
    pthread_mutex_unlock(&table_lock);
}

/* Fresh pages: zero, and not resident before an object in them is used. */
static int cache_allocate(struct cache *c, size_t count)
{
    if (__builtin_mul_overflow(c->stride, count, &c->bytes))
        return -ENOMEM;
    void *pages = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return -ENOMEM;
    c->objects = pages;
    c->free_index = malloc(count * sizeof(*c->free_index));
    return c->free_index ? 0 : -ENOMEM;
}

static void cache_free(struct cache *c)
{
    if (c->objects)
        munmap(c->objects, c->bytes);
    free(c->free_index);
    free(c);
}

int cache_create(const char *name, size_t object_bytes, size_t align_bytes, size_t count,
                 void (*ctor)(void *object), struct cache **out)
{
    size_t align = align_bytes ? align_bytes : CACHE_LINE;

    if (!name[0] || strlen(name) >= CACHE_NAME_MAX || !object_bytes || !count ||
        count > UINT32_MAX || (align & (align - 1)) || align > CACHE_ALIGN_MAX ||
        object_bytes > SIZE_MAX - align)
        return -EINVAL;
    struct cache *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->stride = (object_bytes + align - 1) & ~(align - 1);
    c->total = count;
    int err = cache_allocate(c, count);
    if (!err) {
        struct cache_row facts = {
            .total = count, .object_bytes = object_bytes, .align_bytes = align};
        c->row = row_claim(name, &facts);
        err = c->row ? 0 : -ENOSPC;
    }
    if (err) {
        cache_free(c);
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        if (ctor)
            ctor(c->objects + i * c->stride);
        /* Lowest address first: what is used often stays close together. */
        c->free_index[i] = (uint32_t)(count - 1 - i);
    }
    c->free_count = count;
    *out = c;
    return 0;
}

int cache_destroy(struct cache *c)
{
    if (!c)
        return 0;
    if (c->free_count != c->total)
        return -EBUSY;
    row_release(c->row);
    cache_free(c);
    return 0;
}

void *cache_take(struct cache *c)
{
    if (!c->free_count)
        return NULL;
    uint32_t i = c->free_index[--c->free_count];
    WRITE_ONCE(c->row->active, c->total - c->free_count);
    return c->objects + (size_t)i * c->stride;
}

void cache_give(struct cache *c, void *object)
{
    size_t offset = (size_t)((unsigned char *)object - c->objects);

    c->free_index[c->free_count++] = (uint32_t)(offset / c->stride);
    WRITE_ONCE(c->row->active, c->total - c->free_count);
}

size_t cache_active(const struct cache *c)
{
    return c->total - c->free_count;
}
