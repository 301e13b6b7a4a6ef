/* SPDX-License-Identifier: MIT
 *
 * One barrier for all rings of a disk (rule 13): what came before it on every ring is done before
 * it starts, and nothing behind it starts before it is done. A ring that executes a barrier holds
 * the gate; the others take nothing new meanwhile and tell it when they have come to rest.
 *
 * In the steady state this costs a ring one load and one full barrier a pass, no lock.
 *
 * Threads: create and destroy are the control thread's, with no ring running; the rest is called by
 * the thread of the ring whose index is given.
 */
#ifndef RING_GATE_H
#define RING_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct ring_gate;

/* For rings 0..rings-1. Returns 0 or a negative errno. */
int ring_gate_create(uint32_t rings, struct ring_gate **out);
void ring_gate_destroy(struct ring_gate *gate); /* NULL is fine */

/* An eventfd: writing 8 bytes to it wakes ring `index`, which reads it. The gate's own, so that it
 * stays what it is as long as any ring may write to it. */
int ring_gate_fd(const struct ring_gate *gate, uint32_t index);

/* The ring starts, and ends: before and after it is at rest, and holds nothing. */
void ring_gate_join(struct ring_gate *gate, uint32_t index);
void ring_gate_part(struct ring_gate *gate, uint32_t index);

/* Before taking requests: false when another ring holds the gate and this ring has looked for
 * requests since (it will be woken). The one look is for what the guest published before the
 * barrier. */
bool ring_gate_enter(struct ring_gate *gate, uint32_t index);
/* After a pass: busy says whether requests other than a waiting barrier are in flight, looked
 * whether everything that was found in the ring was taken. */
void ring_gate_leave(struct ring_gate *gate, uint32_t index, bool busy, bool looked);

/* This ring has a barrier and nothing else in flight. True when the gate is its own and every other
 * ring is at rest; false: it will be woken when that may have changed. */
bool ring_gate_claim(struct ring_gate *gate, uint32_t index);
/* The barrier is done. */
void ring_gate_release(struct ring_gate *gate, uint32_t index);

#endif
