/* SPDX-License-Identifier: MIT
 *
 * Named object caches: what a driver may rely on, and the arguments that are refused.
 */
#include <errno.h>
#include <stdio.h>

#include "check.h"

#include "base/cache.h"

struct object {
    uint64_t mark;
    char rest[92];
};

static unsigned constructed;

static void construct(void *object)
{
    constructed++;
    ((struct object *)object)->mark = 0x1234;
}

static struct cache *make(const char *name, size_t align, size_t count)
{
    struct cache *c = NULL;

    assert_int_equal(cache_create(name, sizeof(struct object), align, count, construct, &c), 0);
    assert_non_null(c);
    return c;
}

static const struct cache_row *row_of(const char *name)
{
    const struct cache_table *t = cache_table_current();

    for (int i = 0; i < CACHE_TABLE_MAX; i++)
        if (strcmp(t->rows[i].name, name) == 0)
            return &t->rows[i];
    return NULL;
}

static void every_object_is_taken_once_and_then_there_is_none(void **state)
{
    struct cache *c = make("once", 0, 100);
    void *taken[100];

    for (int i = 0; i < 100; i++) {
        taken[i] = cache_take(c);
        assert_non_null(taken[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(taken[i], taken[j]);
        memset(taken[i], i, sizeof(struct object));
    }
    assert_null(cache_take(c));
    assert_int_equal(cache_active(c), 100);
    for (int i = 0; i < 100; i++) { /* none lies over another */
        for (size_t b = 0; b < sizeof(struct object); b++)
            assert_int_equal(((unsigned char *)taken[i])[b], i);
        cache_give(c, taken[i]);
    }
    assert_int_equal(cache_active(c), 0);
    assert_int_equal(cache_destroy(c), 0);
}

static void the_constructor_runs_once_for_each_object_and_not_when_it_is_taken(void **state)
{
    constructed = 0;

    struct cache *c = make("ctor", 0, 10);

    assert_int_equal(constructed, 10);
    for (int i = 0; i < 100; i++) {
        struct object *o = cache_take(c);

        assert_int_equal(o->mark, 0x1234);
        cache_give(c, o);
    }
    assert_int_equal(constructed, 10);
    assert_int_equal(cache_destroy(c), 0);
}

static void a_free_object_keeps_its_contents(void **state)
{
    struct cache *c = make("keeps", 0, 1);
    struct object *o = cache_take(c);

    o->mark = 99;
    cache_give(c, o);
    assert_ptr_equal(cache_take(c), o);
    assert_int_equal(o->mark, 99);
    cache_give(c, o);
    assert_int_equal(cache_destroy(c), 0);
}

static void objects_are_aligned_as_asked(void **state)
{
    const size_t align[] = {0, 1, 8, 64, 512, 4096};

    for (unsigned a = 0; a < COUNT(align); a++) {
        struct cache *c = make("align", align[a], 5);
        void *taken[5];

        for (int i = 0; i < 5; i++) {
            taken[i] = cache_take(c);
            assert_int_equal((uintptr_t)taken[i] % (align[a] ? align[a] : 64), 0);
        }
        for (int i = 0; i < 5; i++)
            cache_give(c, taken[i]);
        assert_int_equal(cache_destroy(c), 0);
    }
}

static void a_cache_with_an_object_out_is_not_destroyed(void **state)
{
    struct cache *c = make("busy", 0, 2);
    struct object *o = cache_take(c);

    assert_int_equal(cache_destroy(c), -EBUSY);
    assert_non_null(row_of("busy"));
    o->mark = 5; /* it is still there */
    cache_give(c, o);
    assert_int_equal(cache_destroy(c), 0);
    assert_int_equal(cache_destroy(NULL), 0);
}

static void a_cache_is_listed_with_its_occupancy(void **state)
{
    struct cache *c = make("listed", 128, 7);
    const struct cache_row *row = row_of("listed");
    void *a = cache_take(c);
    void *b = cache_take(c);

    assert_non_null(row);
    assert_int_equal(row->active, 2);
    assert_int_equal(row->total, 7);
    assert_int_equal(row->object_bytes, sizeof(struct object));
    assert_int_equal(row->align_bytes, 128);
    cache_give(c, a);
    assert_int_equal(row->active, 1);
    cache_give(c, b);
    assert_int_equal(cache_destroy(c), 0);
    assert_null(row_of("listed"));
}

static void caches_of_one_name_are_listed_one_by_one(void **state)
{
    struct cache *a = make("same", 0, 3);
    struct cache *b = make("same", 0, 3);
    int rows = 0;

    for (int i = 0; i < CACHE_TABLE_MAX; i++)
        rows += strcmp(cache_table_current()->rows[i].name, "same") == 0;
    assert_int_equal(rows, 2);
    assert_int_equal(cache_destroy(a), 0);
    assert_non_null(row_of("same"));
    assert_int_equal(cache_destroy(b), 0);
    assert_null(row_of("same"));
}

static void a_table_of_ones_own_is_filled_instead(void **state)
{
    static struct cache_table mine;
    const struct cache_table *before = cache_table_current();

    cache_table_use(&mine);
    struct cache *c = make("mine", 0, 3);
    assert_string_equal(mine.rows[0].name, "mine");
    assert_int_equal(mine.rows[0].total, 3);
    assert_int_equal(cache_destroy(c), 0);
    assert_string_equal(mine.rows[0].name, "");
    cache_table_use((struct cache_table *)(uintptr_t)before);
}

static void a_full_table_refuses_one_more_and_takes_it_when_there_is_room(void **state)
{
    struct cache *c[CACHE_TABLE_MAX], *more;
    char name[CACHE_NAME_MAX];

    for (int i = 0; i < CACHE_TABLE_MAX; i++) {
        snprintf(name, sizeof(name), "full-%d", i);
        c[i] = make(name, 0, 1);
    }
    assert_int_equal(cache_create("more", 8, 0, 1, NULL, &more), -ENOSPC);
    assert_int_equal(cache_destroy(c[17]), 0);
    assert_int_equal(cache_create("more", 8, 0, 1, NULL, &more), 0);
    assert_int_equal(cache_destroy(more), 0);
    for (int i = 0; i < CACHE_TABLE_MAX; i++)
        if (i != 17)
            assert_int_equal(cache_destroy(c[i]), 0);
}

static void a_bad_argument_is_refused(void **state)
{
    struct cache *c = NULL;

    assert_int_equal(cache_create("", 8, 0, 1, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("a-name-of-24-characters!", 8, 0, 1, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("zero", 0, 0, 1, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("none", 8, 0, 0, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("align", 8, 48, 1, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("huge", SIZE_MAX, 0, 1, NULL, &c), -EINVAL);
    assert_int_equal(cache_create("many", SIZE_MAX / 2, 0, 1000, NULL, &c), -ENOMEM);
    assert_null(c);
    for (int i = 0; i < CACHE_TABLE_MAX; i++)
        assert_string_equal(cache_table_current()->rows[i].name, "");
    assert_int_equal(cache_create("a-name-of-23-characters", 8, 0, 1, NULL, &c), 0);
    assert_non_null(row_of("a-name-of-23-characters"));
    assert_int_equal(cache_destroy(c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_object_is_taken_once_and_then_there_is_none),
        cmocka_unit_test(the_constructor_runs_once_for_each_object_and_not_when_it_is_taken),
        cmocka_unit_test(a_free_object_keeps_its_contents),
        cmocka_unit_test(objects_are_aligned_as_asked),
        cmocka_unit_test(a_cache_with_an_object_out_is_not_destroyed),
        cmocka_unit_test(a_cache_is_listed_with_its_occupancy),
        cmocka_unit_test(caches_of_one_name_are_listed_one_by_one),
        cmocka_unit_test(a_table_of_ones_own_is_filled_instead),
        cmocka_unit_test(a_full_table_refuses_one_more_and_takes_it_when_there_is_room),
        cmocka_unit_test(a_bad_argument_is_refused),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
