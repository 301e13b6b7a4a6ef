/* SPDX-License-Identifier: MIT
 *
 * Which storage a backend directory names, with which rights, and what is said when it cannot be.
 */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/storage.h"

#define PAIRS_MAX 6

struct directory {
    const char *nodes[PAIRS_MAX][2];
    int broken;
};

static int read_node(void *arg, const char *leaf, char *buf, size_t cap)
{
    const struct directory *d = arg;

    if (d->broken)
        return d->broken;
    for (unsigned i = 0; i < PAIRS_MAX && d->nodes[i][0]; i++) {
        size_t len = strlen(d->nodes[i][1]);
        if (strcmp(d->nodes[i][0], leaf) != 0)
            continue;
        if (len >= cap)
            return -EMSGSIZE;
        memcpy(buf, d->nodes[i][1], len + 1);
        return (int)len;
    }
    return -ENOENT;
}

static struct storage_choice choice;
static struct errmsg err;

static int choose(struct directory d)
{
    err.text[0] = '\0';
    return storage_choose(read_node, &d, &choice, &err);
}

#define DIR(...)                                                                                   \
    (struct directory)                                                                             \
    {                                                                                              \
        .nodes = { __VA_ARGS__ }                                                                   \
    }

static void the_scripts_path_comes_first(void **state)
{
    assert_int_equal(choose(DIR({"physical-device-path", "/srv/a.img"}, {"physical-device", "8:3"},
                                {"params", "/srv/b.img"}, {"mode", "w"})),
                     1);
    assert_string_equal(choice.spec, "/srv/a.img");
    assert_false(choice.read_only);
    assert_false(choice.shared);
}

static void numbers_are_hexadecimal(void **state)
{
    assert_int_equal(choose(DIR({"physical-device", "fd:1A"}, {"mode", "w"})), 1);
    assert_string_equal(choice.spec, "/dev/block/253:26");
}

static void nonsense_for_numbers_is_refused(void **state)
{
    static const char *const wrong[] = {
        "8",    "8:",   ":3",     "8:3:1",    "8:g",
        "-8:3", "8 :3", "1000:1", "8:100000", "123456789012345678901234567890:1"};

    for (unsigned i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(choose(DIR({"physical-device", wrong[i]})), -EINVAL);
        assert_non_null(strstr(err.text, "physical-device"));
    }
}

static void params_count_only_once_the_script_is_done(void **state)
{
    assert_int_equal(choose(DIR({"params", "/srv/b.img"})), 0);
    assert_int_equal(choose(DIR({"params", "/srv/b.img"}, {"hotplug-status", "error"})), 0);
    assert_int_equal(choose(DIR({"params", "/srv/b.img"}, {"hotplug-status", "connected"})), 1);
    assert_string_equal(choice.spec, "/srv/b.img");
}

static void an_empty_drive_names_nothing(void **state)
{
    assert_int_equal(choose(DIR({"params", ""}, {"hotplug-status", "connected"})), 0);
    assert_int_equal(choose(DIR({"physical-device-path", ""})), 0);
}

static void writing_needs_the_mode_to_say_so(void **state)
{
    static const struct {
        const char *mode;
        bool read_only, shared;
    } modes[] = {{"w", false, false}, {"w!", false, true}, {"r", true, false},
                 {"r!", true, true},  {"x", true, false},  {"", true, false}};

    for (unsigned i = 0; i < COUNT(modes); i++) {
        assert_int_equal(choose(DIR({"physical-device-path", "/d"}, {"mode", modes[i].mode})), 1);
        assert_int_equal(choice.read_only, modes[i].read_only);
        assert_int_equal(choice.shared, modes[i].shared);
    }
    assert_int_equal(choose(DIR({"physical-device-path", "/d"})), 1);
    assert_true(choice.read_only);
}

static void a_sharable_target_is_shared(void **state)
{
    assert_int_equal(choose(DIR({"physical-device-path", "sharable:/d"}, {"mode", "w"})), 1);
    assert_string_equal(choice.spec, "/d");
    assert_true(choice.shared);
}

static void a_broken_store_is_not_an_absent_node(void **state)
{
    struct directory d = {.broken = -EIO};

    assert_int_equal(choose(d), -EIO);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    static char name[STORAGE_SPEC_MAX + 1];

    memset(name, 'a', sizeof(name) - 1);
    assert_int_equal(choose(DIR({"physical-device-path", name})), -EMSGSIZE);
}

/* XSA-142: what is read-only is so in the descriptor itself. */
static void a_read_only_disk_has_descriptors_that_cannot_write(void **state)
{
    char path[256];
    struct engine_desc desc;

    temporary(path, sizeof(path));
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    choice = (struct storage_choice){.read_only = true};
    snprintf(choice.spec, sizeof(choice.spec), "%s", path);
    assert_int_equal(storage_open(&choice, &desc, &err), 0);
    assert_true(desc.info.read_only);
    for (uint32_t i = 0; i < desc.nr_fds; i++)
        assert_int_equal(fcntl(desc.fds[i], F_GETFL) & O_ACCMODE, O_RDONLY);
    engine_desc_close(&desc);
    close(fd);
    unlink(path);
}

static void storage_that_is_not_there_is_named(void **state)
{
    struct engine_desc desc;

    choice = (struct storage_choice){.spec = "/nonexistent/web1.img"};
    assert_true(storage_open(&choice, &desc, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/web1.img"));
    choice = (struct storage_choice){.spec = "nosuchengine:/x"};
    assert_true(storage_open(&choice, &desc, &err) < 0);
    assert_non_null(strstr(err.text, "nosuchengine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scripts_path_comes_first),
        cmocka_unit_test(numbers_are_hexadecimal),
        cmocka_unit_test(nonsense_for_numbers_is_refused),
        cmocka_unit_test(params_count_only_once_the_script_is_done),
        cmocka_unit_test(an_empty_drive_names_nothing),
        cmocka_unit_test(writing_needs_the_mode_to_say_so),
        cmocka_unit_test(a_sharable_target_is_shared),
        cmocka_unit_test(a_broken_store_is_not_an_absent_node),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
        cmocka_unit_test(a_read_only_disk_has_descriptors_that_cannot_write),
        cmocka_unit_test(storage_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
