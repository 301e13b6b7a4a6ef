/* SPDX-License-Identifier: MIT
 *
 * blkfront info: connects, prints what was negotiated, closes.
 */
#include <inttypes.h>
#include <stdio.h>

#include "front/tool.h"
#include "front/vdev.h"

static const char *yes(bool flag)
{
    return flag ? "yes" : "no";
}

static const char *json_bool(bool flag)
{
    return flag ? "true" : "false";
}

static void print_text(const char *name, const struct blkfront_info *i, uint32_t max_sectors)
{
    printf("disk              %s, %" PRIu64 " sectors of 512 bytes (%.1f MiB), %s\n", name,
           i->sectors, (double)i->sectors / 2048, i->read_only ? "read-only" : "writable");
    printf("sector size       %" PRIu32 " bytes, physical %" PRIu32 "\n", i->sector_size,
           i->physical_sector_size);
    printf("protocol          %s\n", i->protocol);
    printf("rings             %" PRIu32 " of %" PRIu32 " requests (%u page%s each)\n", i->queues,
           i->ring_entries, 1u << i->ring_order, i->ring_order == 0 ? "" : "s");
    printf("largest request   %" PRIu32 " KiB (indirect segments offered: %" PRIu32 ")\n",
           max_sectors / 2, i->max_indirect);
    printf("persistent grants %s\n", yes(i->persistent));
    printf("flush, barrier    %s, %s\n", yes(i->flush), yes(i->barrier));
    printf("discard           %s", yes(i->discard));
    if (i->discard)
        printf(", granularity %" PRIu32 ", alignment %" PRIu32 ", secure %s",
               i->discard_granularity, i->discard_alignment, yes(i->discard_secure));
    putchar('\n');
}

static void print_json(const char *name, const struct blkfront_info *i, uint32_t max_sectors)
{
    printf("{\"schema\": 1, \"disk\": \"%s\", \"sectors\": %" PRIu64 ", \"sector_size\": %" PRIu32
           ", \"physical_sector_size\": %" PRIu32 ", \"info\": %" PRIu32 ", \"read_only\": %s",
           name, i->sectors, i->sector_size, i->physical_sector_size, i->info_bits,
           json_bool(i->read_only));
    printf(", \"protocol\": \"%s\", \"queues\": %" PRIu32 ", \"ring_order\": %" PRIu32
           ", \"ring_entries\": %" PRIu32 ", \"max_indirect\": %" PRIu32
           ", \"max_request_sectors\": %" PRIu32,
           i->protocol, i->queues, i->ring_order, i->ring_entries, i->max_indirect, max_sectors);
    printf(", \"persistent\": %s, \"flush\": %s, \"barrier\": %s, \"discard\": %s"
           ", \"discard_secure\": %s, \"discard_granularity\": %" PRIu32
           ", \"discard_alignment\": %" PRIu32 "}\n",
           json_bool(i->persistent), json_bool(i->flush), json_bool(i->barrier),
           json_bool(i->discard), json_bool(i->discard_secure), i->discard_granularity,
           i->discard_alignment);
}

int tool_info(const struct tool_args *args)
{
    struct blkfront_info info;
    char name[VDEV_NAME_MAX];
    struct blkfront *bf;
    int code = tool_open(args, &bf);

    if (code != TOOL_OK)
        return code;
    blkfront_get_info(bf, &info);
    vdev_name(args->devid, name);
    if (args->json)
        print_json(name, &info, blkfront_max_sectors(bf));
    else
        print_text(name, &info, blkfront_max_sectors(bf));
    blkfront_close(bf);
    return TOOL_OK;
}
