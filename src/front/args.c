/* SPDX-License-Identifier: MIT
 *
 * The tool's options as one table: from it come the parser, the help and the check which command
 * takes which option.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/tool.h"

enum { INFO = 1, READ = 2, WRITE = 4, VERIFY = 8, BENCH = 16, NBD = 32, ALL = 63 };

static const struct {
    const char *name;
    unsigned bit;
    const char *help;
} commands[] = {
    {"info", INFO, "connect and show what was negotiated"},
    {"read", READ, "copy the disk, or a range of it, to a file"},
    {"write", WRITE, "copy a file to the disk, then flush"},
    {"verify", VERIFY, "compare the disk with a file, or with a pattern that is written first"},
    {"bench", BENCH, "measure requests per second, bandwidth and latency"},
    {"nbd", NBD, "serve the disk to NBD clients on a Unix socket, through nbdkit"},
};

enum kind { TEXT, NUMBER, SIZE, FLAG };

struct option_row {
    const char *name;
    enum kind kind;
    unsigned commands;
    size_t where; /* in struct tool_args */
    uint64_t max;
    const char *value, *help;
};

#define AT(field) offsetof(struct tool_args, field)
#define ANY       UINT64_MAX

static const struct option_row rows[] = {
    {"hv", TEXT, ALL, AT(hv), 0, "SPEC", "xen (the default), or loop:DIR:DOMID"},
    {"disk", TEXT, ALL, AT(disk), 0, "DEV", "xvda, sda1, d0p2, or a number"},
    {"json", FLAG, ALL & ~(unsigned)NBD, AT(json), 0, NULL, "print the result as JSON"},
    {"queues", NUMBER, INFO | BENCH, AT(queues), 64, "N", "rings to ask for (1)"},
    {"ring-order", NUMBER, ALL, AT(ring_order), 4, "N", "2^N pages for each ring (0)"},
    {"protocol", TEXT, ALL, AT(protocol), 0, "ABI", "x86_64-abi (the default) or x86_32-abi"},
    {"poll", FLAG, ALL, AT(poll), 0, NULL, "spin for answers instead of sleeping"},
    {"no-persistent", FLAG, ALL, AT(no_persistent), 0, NULL, "do not offer persistent grants"},
    {"no-indirect", FLAG, ALL, AT(no_indirect), 0, NULL, "no requests above 44 KiB"},
    {"end-grants", FLAG, ALL, AT(end_grants), 0, NULL, "fresh grants for each request (slow)"},
    {"timeout", NUMBER, ALL, AT(timeout_ms), INT32_MAX, "MS", "for the backend to connect (10000)"},
    {"to", TEXT, READ, AT(to), 0, "FILE", "where to copy to, - for standard output"},
    {"from", TEXT, WRITE | VERIFY, AT(from), 0, "FILE",
     "what to copy or compare, - for standard "
     "input"},
    {"offset", SIZE, READ | WRITE | VERIFY | BENCH, AT(offset), ANY, "BYTES",
     "where on the disk to begin (0)"},
    {"length", SIZE, READ | WRITE | VERIFY | BENCH, AT(length), ANY, "BYTES",
     "how much (to the end)"},
    {"pattern", NUMBER, VERIFY, AT(pattern), ANY - 1, "SEED",
     "write a pattern made from SEED, then compare (destroys the contents)"},
    {"no-write", FLAG, VERIFY, AT(no_write), 0, NULL, "compare with a pattern written before"},
    {"rw", TEXT, BENCH, AT(rw), 0, "MODE",
     "read, write, randread (the default), randwrite, randrw; writing destroys the contents"},
    {"bs", SIZE, BENCH, AT(bs), 1u << 26, "BYTES", "of each request (4K)"},
    {"iodepth", NUMBER, BENCH, AT(iodepth), 4096, "N", "requests in flight on each queue (32)"},
    {"runtime", NUMBER, BENCH, AT(runtime), 1000000, "SECONDS",
     "how long (5, or no limit with "
     "--count)"},
    {"count", NUMBER, BENCH, AT(count), ANY, "N", "stop after so many requests"},
    {"no-copy", FLAG, BENCH, AT(no_copy), 0, NULL, "leave the data in the granted pages"},
    {"socket", TEXT, NBD, AT(socket), 0, "PATH", "the Unix socket to make"},
    {"run", TEXT, NBD, AT(run), 0, "COMMAND", "run COMMAND with $uri set, then stop"},
    {"plugin", TEXT, NBD, AT(plugin), 0, "PATH", "nbdkit plugin, if not where it was installed"},
};
#define ROWS     (sizeof(rows) / sizeof(rows[0]))
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define FIRST    256 /* getopt's value of rows[0] */

static void print_options(unsigned only)
{
    char left[40];

    for (size_t i = 0; i < ROWS; i++) {
        if ((only == ALL) != ((rows[i].commands & (INFO | BENCH)) == (INFO | BENCH)) ||
            (only != ALL && (rows[i].commands & only) == 0))
            continue;
        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].value != NULL ? " " : "",
                 rows[i].value != NULL ? rows[i].value : "");
        printf("  %-20s %s\n", left, rows[i].help);
    }
}

static void print_help(void)
{
    puts("Usage: blkfront COMMAND --disk DEV [OPTION]...\n"
         "Drives a Xen virtual disk of this domain from user space, over its ring.\n\nCommands:");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-20s %s\n", commands[i].name, commands[i].help);
    puts("\nGeneral options:");
    print_options(ALL);
    puts("  --help               show this and exit\n"
         "  --version            show the version and exit");
    for (size_t i = 1; i < COMMANDS; i++) {
        printf("\nOptions of %s:\n", commands[i].name);
        print_options(commands[i].bit);
    }
    puts("\nBYTES may end in K, M, G or T.\n"
         "Exit: 0 done, 1 failed, 2 usage, 3 hypervisor unreachable, 4 no such disk, 5 timeout, "
         "6 busy.");
}

static int usage(const char *before, const char *what, const char *after)
{
    fprintf(stderr, "blkfront: %s '%s'%s; see blkfront --help\n", before, what, after);
    return TOOL_USAGE;
}

static bool parse_size(const char *text, bool suffixes, uint64_t max, uint64_t *value)
{
    static const char units[] = "kmgt";
    unsigned long long n;
    const char *unit;
    unsigned shift = 0;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 0);
    if (suffixes && *end != '\0' && (unit = strchr(units, *end | 0x20)) != NULL) {
        shift = (unsigned)(unit - units + 1) * 10;
        end++;
    }
    if (errno != 0 || *end != '\0' || n > UINT64_MAX >> shift || n << shift > max)
        return false;
    *value = n << shift;
    return true;
}

static bool store(const struct option_row *row, const char *text, struct tool_args *args)
{
    char *field = (char *)args + row->where;

    switch (row->kind) {
    case TEXT:
        *(const char **)(void *)field = text;
        return text[0] != '\0';
    case FLAG:
        *(bool *)field = true;
        return true;
    default:
        return parse_size(text, row->kind == SIZE, row->max, (uint64_t *)(void *)field);
    }
}

static unsigned command_bit(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].bit;
    return 0;
}

static void make_getopt(struct option *out)
{
    for (size_t i = 0; i < ROWS; i++)
        out[i] =
            (struct option){rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument,
                            NULL, FIRST + (int)i};
    out[ROWS] = (struct option){"help", no_argument, NULL, 'h'};
    out[ROWS + 1] = (struct option){"version", no_argument, NULL, 'V'};
    out[ROWS + 2] = (struct option){NULL, 0, NULL, 0};
}

/* -1: go on; else the exit code. Bit i of *given: rows[i] was on the command line. */
static int read_options(int argc, char **argv, struct tool_args *args, uint64_t *given)
{
    struct option longs[ROWS + 3];
    int c;

    make_getopt(longs);
    while ((c = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
        if (c == 'h') {
            print_help();
            return TOOL_OK;
        }
        if (c == 'V') {
            puts("blkfront " BLKFRONT_VERSION);
            return TOOL_OK;
        }
        if (c < FIRST) {
            fputs("blkfront: see blkfront --help\n", stderr);
            return TOOL_USAGE;
        }
        if (!store(&rows[c - FIRST], optarg, args)) {
            fprintf(stderr, "blkfront: --%s cannot be '%s'; see blkfront --help\n",
                    rows[c - FIRST].name, optarg);
            return TOOL_USAGE;
        }
        *given |= 1ull << (c - FIRST);
    }
    return -1;
}

const char *tool_parse(int argc, char **argv, struct tool_args *args, int *exit_code)
{
    uint64_t given = 0;
    unsigned bit;

    *args = (struct tool_args){.hv = "xen",
                               .length = UINT64_MAX,
                               .pattern = UINT64_MAX,
                               .rw = "randread",
                               .bs = 4096,
                               .iodepth = 32,
                               .queues = 1};
    *exit_code = read_options(argc, argv, args, &given);
    if (*exit_code != -1)
        return NULL;
    *exit_code = TOOL_USAGE;
    if (optind == argc) {
        fputs("blkfront: a command is missing; see blkfront --help\n", stderr);
        return NULL;
    }
    bit = command_bit(argv[optind]);
    if (bit == 0)
        *exit_code = usage("no such command", argv[optind], "");
    else if (optind + 1 < argc)
        *exit_code = usage("what is", argv[optind + 1], " for?");
    else if (args->disk == NULL)
        *exit_code = usage("command", argv[optind], " needs --disk DEV");
    else
        *exit_code = TOOL_OK;
    for (size_t i = 0; i < ROWS && *exit_code == TOOL_OK; i++)
        if (given & 1ull << i && (rows[i].commands & bit) == 0)
            *exit_code = usage("option", rows[i].name, " is not one of this command");
    return *exit_code == TOOL_OK ? argv[optind] : NULL;
}
