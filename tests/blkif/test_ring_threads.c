/* SPDX-License-Identifier: MIT
 *
 * A frontend and a backend on two threads. First a whole conversation, each side sleeping whenever
 * the protocol says it may; under ThreadSanitizer it shows that every slot is handed over through
 * an index. Then the two moments in which both sides store their own word and load the other's,
 * thousands of times at once: without the full barriers the forbidden outcome turns up.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>

#include "check.h"

#include "base/barrier.h"
#include "blkif/ring.h"

#define REQUESTS 200000u

static _Alignas(4096) unsigned char page[4096];
static sem_t to_backend, to_frontend;
static uint64_t answered;

static struct blkif_rw_x86_64 *slot(uint32_t i)
{
    return (struct blkif_rw_x86_64 *)(void *)(page + 64 + (size_t)(i % 32) * 112);
}

static void *backend(void *arg)
{
    struct blkif_ring ring;
    struct blkif_rw_x86_64 copy;

    blkif_ring_attach(&ring, page, BLKIF_ABI_X86_64, 1);
    while (ring.rsp_published < REQUESTS) {
        int n = blkif_ring_pending(&ring);

        if (n < 0)
            return (void *)"the request index is broken";
        for (; n > 0; n--) {
            blkif_ring_consume(&ring, &copy);
            blkif_ring_respond(&ring, copy.id ^ copy.sector_number, copy.operation, 0);
        }
        if (blkif_ring_publish(&ring))
            sem_post(&to_frontend);
        if (ring.rsp_published < REQUESTS && !blkif_ring_arm(&ring))
            sem_wait(&to_backend);
    }
    return NULL;
}

static const char *take_responses(uint32_t *cons, uint32_t until)
{
    for (; *cons != until; ++*cons) {
        struct blkif_response *rsp = (void *)slot(*cons);

        if (rsp->id != ((uint64_t)*cons ^ ((uint64_t)*cons << 20)))
            return "a response does not belong to its request";
        answered++;
    }
    return NULL;
}

static const char *frontend(void)
{
    struct blkif_sring *s = (struct blkif_sring *)(void *)page;
    uint32_t prod = 0, cons = 0;

    while (cons < REQUESTS) {
        uint32_t old = prod;
        uint32_t window = 1 + old % 3; /* few in flight: both sides are often about to sleep */

        if (old % 64 == 0)
            window = 32;
        while (prod - cons < window && prod < REQUESTS) {
            *slot(prod) =
                (struct blkif_rw_x86_64){.id = prod, .sector_number = (uint64_t)prod << 20};
            prod++;
        }
        store_release(&s->req_prod, prod);
        full_barrier(); /* our store to req_prod before our load of req_event */
        if (prod - READ_ONCE(s->req_event) < prod - old)
            sem_post(&to_backend);

        const char *wrong = take_responses(&cons, load_acquire(&s->rsp_prod));

        if (wrong)
            return wrong;
        WRITE_ONCE(s->rsp_event, cons + 1);
        full_barrier(); /* our store to rsp_event before our load of rsp_prod */
        if (prod != cons && load_acquire(&s->rsp_prod) == cons)
            sem_wait(&to_frontend);
    }
    return NULL;
}

static void two_sides_that_sleep_whenever_they_may_never_miss_each_other(void **state)
{
    struct blkif_sring *s = (struct blkif_sring *)(void *)page;
    pthread_t thread;
    void *wrong;

    s->req_event = 1;
    s->rsp_event = 1;
    sem_init(&to_backend, 0, 0);
    sem_init(&to_frontend, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, backend, NULL), 0);
    const char *mine = frontend();
    assert_null(mine);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(answered, REQUESTS);
}

/* Two threads meet at the start of each round, as close together as they can. */
#define ROUNDS 30000u

static struct blkif_sring race_sring __attribute__((aligned(4096)));
static struct blkif_ring race_ring;
static uint32_t race_round[2];
static bool race_result;
static bool race_of_publish;

static void meet(unsigned me, uint32_t round)
{
    store_release(&race_round[me], round);
    for (unsigned spins = 0; load_acquire(&race_round[!me]) < round; spins++)
        if (spins > 1000)
            sched_yield();
}

static void *race_backend(void *arg)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        meet(0, 2 * i - 1);
        race_result = race_of_publish ? blkif_ring_publish(&race_ring) : blkif_ring_arm(&race_ring);
        meet(0, 2 * i);
    }
    return NULL;
}

static unsigned missed_in_race(bool publish)
{
    pthread_t thread;
    unsigned missed = 0;

    memset(race_round, 0, sizeof(race_round));
    race_of_publish = publish;
    race_ring = (struct blkif_ring){.shared = &race_sring, .entries = 32, .slot_bytes = 112};
    assert_int_equal(pthread_create(&thread, NULL, race_backend, NULL), 0);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        bool seen;

        race_sring = (struct blkif_sring){0};
        race_ring.req_cons = 0;
        race_ring.rsp_published = 0;
        race_ring.rsp_prod_pvt = publish ? 1 : 0;
        meet(1, 2 * i - 1);
        if (publish) { /* we go to sleep while a response is published */
            WRITE_ONCE(race_sring.rsp_event, 1);
            full_barrier();
            seen = READ_ONCE(race_sring.rsp_prod) == 1;
        } else { /* we publish a request while the backend goes to sleep */
            WRITE_ONCE(race_sring.req_prod, 1);
            full_barrier();
            seen = READ_ONCE(race_sring.req_event) == 1;
        }
        meet(1, 2 * i);
        if (!seen && !race_result)
            missed++;
    }
    pthread_join(thread, NULL);
    return missed;
}

static void a_response_published_while_the_guest_goes_to_sleep_is_never_missed(void **state)
{
    assert_int_equal(missed_in_race(true), 0);
}

static void a_request_made_while_the_ring_goes_to_sleep_is_never_missed(void **state)
{
    assert_int_equal(missed_in_race(false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sides_that_sleep_whenever_they_may_never_miss_each_other),
        cmocka_unit_test(a_response_published_while_the_guest_goes_to_sleep_is_never_missed),
        cmocka_unit_test(a_request_made_while_the_ring_goes_to_sleep_is_never_missed),
    };

    return cmocka_run_group_tests_name("ring threads", tests, NULL, NULL);
}
