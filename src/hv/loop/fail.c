/* SPDX-License-Identifier: MIT
 *
 * Failures on a script: rules of this process (BLKBACK_LOOP_FAIL) and rules that blkback-loopctl
 * set for everybody in the shared memory.
 *
 * Threads: any; a rule's countdown is atomic, so exactly one call gets the failure.
 */
#include "hv/loop/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/barrier.h"

static const char *const call_names[LOOP_CALL_COUNT] = {
    [LOOP_CALL_MAP] = "map",     [LOOP_CALL_UNMAP] = "unmap", [LOOP_CALL_COPY] = "copy",
    [LOOP_CALL_BIND] = "bind",   [LOOP_CALL_ALLOC] = "alloc", [LOOP_CALL_NOTIFY] = "notify",
    [LOOP_CALL_SHARE] = "share", [LOOP_CALL_END] = "end",
};

static const struct {
    const char *name;
    int status;
} gntst_names[] = {
    {"GNTST_general_error", -1},     {"GNTST_bad_domain", -2}, {"GNTST_bad_gntref", -3},
    {"GNTST_permission_denied", -8}, {"GNTST_bad_page", -9},   {"GNTST_bad_copy_arg", -10},
    {"GNTST_address_too_big", -11},  {"GNTST_eagain", -12},    {"GNTST_no_space", -13},
};

/* Counts this call against one rule. */
static int rule_hits(struct loop_fail *rule, enum loop_call call, uint32_t domid)
{
    int err = READ_ONCE(rule->err);
    uint32_t who = READ_ONCE(rule->domid);

    if (!err || READ_ONCE(rule->call) != call || (who != LOOP_DOMID_NONE && who != domid))
        return 0;
    int32_t left = READ_ONCE(rule->calls_to);
    if (left == LOOP_FAIL_EVERY)
        return err;
    /* Stops at 0 and stays there. */
    while (left > 0)
        if (__atomic_compare_exchange_n(&rule->calls_to, &left, left - 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return left == 1 ? err : 0;
    return 0;
}

/* Every rule counts every call; the first one that is due answers. */
int loop_fail_slow(struct loop_hv *hv, enum loop_call call)
{
    int err = 0;

    for (uint32_t i = 0; i < hv->nr_own_fails; i++) {
        int r = rule_hits(&hv->own_fail[i], call, hv->domid);
        err = err ? err : r;
    }
    for (uint32_t i = 0; i < LOOP_FAILS; i++) {
        int r = rule_hits(&hv->shared->fail[i], call, hv->domid);
        err = err ? err : r;
    }
    return err;
}

static int parse_call(const char *s, size_t len)
{
    for (int i = 0; i < LOOP_CALL_COUNT; i++)
        if (call_names[i] && strlen(call_names[i]) == len && !memcmp(call_names[i], s, len))
            return i;
    return -EINVAL;
}

static int parse_error(const char *s, int *call)
{
    for (size_t i = 0; i < sizeof(gntst_names) / sizeof(gntst_names[0]); i++) {
        if (*call != LOOP_CALL_COPY || strcmp(gntst_names[i].name, s))
            continue;
        *call = LOOP_CALL_COPY_OP;
        return gntst_names[i].status;
    }
    for (int e = 1; e < 134; e++) {
        const char *name = strerrorname_np(e);
        if (name && !strcmp(name, s))
            return -e;
    }
    return 0;
}

int loop_fail_parse(const char *text, size_t len, struct loop_fail *rule, struct errmsg *err)
{
    char buf[80], *count, *name, *end;
    long n = LOOP_FAIL_EVERY;

    snprintf(buf, sizeof(buf), "%.*s", (int)(len < sizeof(buf) ? len : sizeof(buf) - 1), text);
    count = strchr(buf, ':');
    name = count ? strchr(count + 1, ':') : NULL;
    if (!name)
        return errmsg_set(err, -EINVAL, "bad failure rule \"%s\": use CALL:N:ERROR", buf);
    *count++ = '\0';
    *name++ = '\0';
    int call = parse_call(buf, strlen(buf));
    if (call < 0)
        return errmsg_set(
            err, -EINVAL,
            "unknown call \"%s\": use map, unmap, copy, bind, alloc, notify, share or end", buf);
    if (strcmp(count, "*")) {
        n = strtol(count, &end, 10);
        if (*end || end == count || n < 1 || n >= LOOP_FAIL_EVERY)
            return errmsg_set(err, -EINVAL, "bad count \"%s\": use * or a number from 1", count);
    }
    int code = parse_error(name, &call);
    if (!code)
        return errmsg_set(err, -EINVAL, "unknown error \"%s\": use a name such as ENOSPC%s", name,
                          call == LOOP_CALL_COPY ? " or GNTST_bad_page" : "");
    *rule = (struct loop_fail){
        .call = (uint32_t)call, .domid = LOOP_DOMID_NONE, .err = code, .calls_to = (int32_t)n};
    return 0;
}

int loop_fail_env(struct loop_hv *hv, const char *text, struct errmsg *err)
{
    while (*text) {
        size_t len = strcspn(text, ",");

        if (hv->nr_own_fails == LOOP_FAILS)
            return errmsg_set(err, -E2BIG, "BLKBACK_LOOP_FAIL has more than %u rules", LOOP_FAILS);
        int r = loop_fail_parse(text, len, &hv->own_fail[hv->nr_own_fails], err);
        if (r)
            return r;
        hv->nr_own_fails++;
        text += len + (text[len] == ',');
    }
    return 0;
}
