/* SPDX-License-Identifier: MIT
 *
 * Reading answers. Threads: one.
 */
#include "ctl/ctl.h"

struct json_object *field(struct json_object *o, const char *key)
{
    struct json_object *value = NULL;

    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, key, &value);
    return value;
}

const char *field_text(struct json_object *o, const char *key)
{
    struct json_object *value = field(o, key);

    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t field_u64(struct json_object *o, const char *key)
{
    struct json_object *value = field(o, key);

    return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

bool field_bool(struct json_object *o, const char *key)
{
    struct json_object *value = field(o, key);

    return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

size_t field_rows(struct json_object *o, const char *key)
{
    struct json_object *value = field(o, key);

    return json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
}
