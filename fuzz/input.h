/* SPDX-License-Identifier: MIT
 *
 * What every fuzz target uses: a cursor over the fuzzer's bytes, which gives zeroes when they are
 * used up, and a check that ends the process when it does not hold.
 *
 * Threads: one.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broken promise of the code under test: libFuzzer keeps the input that led here. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *at;
    size_t left;
};

static inline void take(struct input *in, void *to, size_t n)
{
    size_t have = n < in->left ? n : in->left;

    memset(to, 0, n);
    if (have)
        memcpy(to, in->at, have);
    in->at += have;
    in->left -= have;
}

static inline uint8_t take8(struct input *in)
{
    uint8_t v;

    take(in, &v, sizeof(v));
    return v;
}

static inline uint16_t take16(struct input *in)
{
    uint16_t v;

    take(in, &v, sizeof(v));
    return v;
}

static inline uint32_t take32(struct input *in)
{
    uint32_t v;

    take(in, &v, sizeof(v));
    return v;
}

static inline uint64_t take64(struct input *in)
{
    uint64_t v;

    take(in, &v, sizeof(v));
    return v;
}

/* libFuzzer calls these by name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
