/* SPDX-License-Identifier: MIT
 *
 * Figures and tables for people. Threads: one.
 */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

/* One digit after the point below 10, none above; no point when it divides. Never rounded up to a
 * size that is not there. */
static const char *scaled(uint64_t value, uint64_t base, const char *units, char out[HUMAN_MAX])
{
    uint64_t unit = 1;
    const char *u = units;

    while (value / unit >= base && u[1]) {
        unit *= base;
        u++;
    }
    uint64_t whole = value / unit;
    uint64_t tenth = (value % unit) * 10 / unit;
    const char suffix[2] = {*u == ' ' ? '\0' : *u, '\0'};

    if (tenth && whole < 100)
        snprintf(out, HUMAN_MAX, "%llu.%llu%s", (unsigned long long)whole,
                 (unsigned long long)tenth, suffix);
    else
        snprintf(out, HUMAN_MAX, "%llu%s", (unsigned long long)whole, suffix);
    return out;
}

const char *human_bytes(uint64_t bytes, char out[HUMAN_MAX])
{
    return scaled(bytes, 1024, " KMGTPE", out);
}

const char *human_count(uint64_t count, char out[HUMAN_MAX])
{
    return scaled(count, 1000, " kMGTPE", out);
}

void human_disk(struct json_object *disk, char *out, size_t cap)
{
    const char *domain = field_text(disk, "domain");

    if (*domain)
        snprintf(out, cap, "%s:%s", domain, field_text(disk, "vdev"));
    else
        snprintf(out, cap, "%s", field_text(disk, "disk"));
}

struct line {
    struct line *next;
    char *cells[TABLE_COLUMNS_MAX];
    char *note; /* then no cells */
};

struct table {
    unsigned columns, right_mask;
    size_t width[TABLE_COLUMNS_MAX];
    struct line *first, **last;
};

static char *copy(const char *text)
{
    char *c = strdup(text);

    if (!c) {
        ctl_error("out of memory", NULL);
        exit(CTL_FAILED);
    }
    return c;
}

static struct line *line_new(struct table *t)
{
    struct line *l = calloc(1, sizeof(*l));

    if (!l) {
        ctl_error("out of memory", NULL);
        exit(CTL_FAILED);
    }
    *t->last = l;
    t->last = &l->next;
    return l;
}

struct table *table_new(unsigned columns, const char *const *heads, unsigned right_mask)
{
    struct table *t = calloc(1, sizeof(*t));

    if (!t) {
        ctl_error("out of memory", NULL);
        exit(CTL_FAILED);
    }
    t->columns = columns;
    t->right_mask = right_mask;
    t->last = &t->first;
    table_row(t, heads);
    return t;
}

void table_row(struct table *t, const char *const *cells)
{
    struct line *l = line_new(t);

    for (unsigned c = 0; c < t->columns; c++) {
        l->cells[c] = copy(cells[c][0] ? cells[c] : "-");
        size_t len = strlen(l->cells[c]);
        if (len > t->width[c])
            t->width[c] = len;
    }
}

void table_note(struct table *t, const char *text)
{
    line_new(t)->note = copy(text);
}

static void print_row(const struct table *t, const struct line *l, FILE *to)
{
    for (unsigned c = 0; c < t->columns; c++) {
        int width = (int)t->width[c];
        if (t->right_mask >> c & 1)
            fprintf(to, "%*s", width, l->cells[c]);
        else if (c + 1 < t->columns)
            fprintf(to, "%-*s", width, l->cells[c]);
        else
            fputs(l->cells[c], to);
        fputs(c + 1 < t->columns ? "  " : "\n", to);
    }
}

void table_print(struct table *t, FILE *to)
{
    for (const struct line *l = t->first; l; l = l->next) {
        if (l->note)
            fprintf(to, "%*s└ %s\n", (int)t->width[0] + 2, "", l->note);
        else
            print_row(t, l, to);
    }
}

void table_free(struct table *t)
{
    while (t->first) {
        struct line *l = t->first;
        t->first = l->next;
        for (unsigned c = 0; c < t->columns; c++)
            free(l->cells[c]);
        free(l->note);
        free(l);
    }
    free(t);
}
