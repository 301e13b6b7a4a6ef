/* SPDX-License-Identifier: MIT
 *
 * What the tests of the frontend have in common: a fresh hypervisor and a backend with a disk.
 */
#ifndef TESTS_FRONT_RIG_H
#define TESTS_FRONT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blkfront.h"
#include "fake_backend.h"
#include "fake_hv.h"
#include "front/raw.h"

#define DISK_SECTORS 16384 /* 8 MiB */

struct rig {
    struct fake_backend be;
    struct blkfront *bf;
    char error[300];
};

static const struct fake_options rig_usual = {.sectors = DISK_SECTORS,
                                              .max_queues = 4,
                                              .max_order = 4,
                                              .max_indirect = 256,
                                              .persistent = true};
static const struct blkfront_options rig_front = {
    .hv = "fake", .devid = FAKE_DEVID, .timeout_ms = 5000};

static inline void rig_start(struct rig *rig, const struct fake_options *opt)
{
    memset(rig, 0, sizeof(*rig));
    fake_hv_reset();
    fake_backend_start(&rig->be, opt);
}

static inline void rig_open(struct rig *rig, const struct blkfront_options *opt)
{
    int rc = blkfront_open(opt, &rig->bf, rig->error, sizeof(rig->error));

    if (rc != 0)
        fail_msg("blkfront_open: %d %s", rc, rig->error);
}

/* Nothing may be left: no grant, no port, no complaint of the backend. */
static inline void rig_stop(struct rig *rig)
{
    if (rig->bf != NULL)
        blkfront_close(rig->bf);
    fake_backend_stop(&rig->be);
    assert_int_equal(fake_hv_grants(), 0);
    assert_int_equal(fake_hv_ports(), 0);
    assert_int_equal(rig->be.complaints, 0);
}

static inline void rig_fill(uint8_t *buf, size_t bytes, unsigned seed)
{
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < bytes; i++) {
        x = x * 1664525u + 1013904223u;
        buf[i] = (uint8_t)(x >> 24);
    }
}

#endif
