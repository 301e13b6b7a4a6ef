/* SPDX-License-Identifier: MIT
 *
 * The gate over the rings of a disk (src/ring/gate.c, used as in src/ring/schedule.c, consume.c and
 * submit.c). A barrier is executed when every ring is at rest and has looked once more for what the
 * guest had given it before; nothing else is executed meanwhile; every ring that has to wait for
 * any of this is woken.
 *
 * The guest gives the rings TODO requests, each of which may be a barrier, when it likes; then all
 * have to end. A wake-up that is lost is an invalid end state; an I/O beside a barrier, and a
 * barrier that passes a request which was given first, are assertions. Rings run all the time:
 * joining and parting are left out.
 *
 * One of these breaks the model on purpose (tests/models):
 *   NO_LEAVE_WAKE        leave: who waits for this ring is not woken
 *   NO_TAKE_WAKE         claim: who has to look once more is not woken
 *   NO_RELEASE_WAKE      release: who was kept out is not woken
 *   NO_LOOK              a ring counts as at rest though it has not looked since
 *   BUSY_WHILE_PARKED    leave: a ring that only waits with a barrier counts as busy
 *
 * A full barrier that is missing lets the load after it happen before the store in front of it.
 * With one of the three missing spin finds nothing wrong, within these bounds: since a ring has to
 * look once more after the gate is taken, and is woken to do it, no single one of them is all that
 * stands between two rings. They stay: this model knows no other reordering.
 *   NO_ENTER_BARRIER     enter: store busy, load holder and epoch
 *   NO_CLAIM_BARRIER     claim: store holder and epoch, load the others' rows
 *   NO_LEAVE_BARRIER     leave: store busy and looked, load holder
 */
#ifndef RINGS
#define RINGS 2
#endif
#ifndef TODO
#define TODO 3 /* requests in all; ring 0 gets the odd one */
#endif
#define NOBODY 9

byte holder = NOBODY, epoch;
bool busy[RINGS], woken[RINGS];
byte looked[RINGS];

byte todo[RINGS], given[RINGS], taken[RINGS]; /* by the guest; by the ring */
byte unanswered = TODO;
bool stopped[RINGS]; /* behind a barrier of its own, which orders what follows it */

/* The storage: plain I/Os and the barrier's, over all rings. */
byte plain[RINGS], ended[RINGS];
bool barrier_runs[RINGS], barrier_ended[RINGS];
byte plains, barriers;

/* What is loaded of the other rings. */
inline look_at_rows()
{
    ok = true;
    other = 0;
    do
    :: other < RINGS && ok ->
       if
       :: other == me
       :: other != me ->
#ifndef NO_LOOK
          ok = looked[other] == at;
          if
          :: ok -> ok = !busy[other]
          :: else
          fi
#else
          ok = !busy[other]
#endif
       fi;
       other++
    :: else -> break
    od;
    other = 0
}

inline wake_others()
{
    d_step {
        other = 0;
        do
        :: other < RINGS -> woken[other] = woken[other] || other != me; other++
        :: else -> break
        od;
        other = 0
    }
}

/* take_gate(): mine says whether it is ours. */
inline take_gate()
{
    mine = true;
    if
    :: holder == me
    :: holder != me ->
       if
       :: atomic { holder == NOBODY -> holder = me };
          epoch++;
#ifndef NO_TAKE_WAKE
          wake_others()
#endif
       :: else -> mine = false
       fi
    fi
}

inline claim()
{
#ifdef NO_CLAIM_BARRIER
    if
    :: at = epoch + (holder != me); look_at_rows(); take_gate(); ok = ok && mine
    :: take_gate(); at = epoch; look_at_rows(); ok = ok && mine
    fi;
#else
    take_gate();
    ok = mine;
    if
    :: mine -> at = epoch; look_at_rows()
    :: else
    fi;
#endif
    at = 0;
    mine = false
}

inline try_barrier()
{
    ok = false;
    if
    :: inflight == 1 -> claim()
    :: else
    fi;
    d_step {
        if
        :: ok ->
           parked = false;
           assert(plains == 0 && barriers == 0);
           /* What was given to the others before it is done, or behind a barrier of theirs. */
           other = 0;
           do
           :: other < RINGS ->
              assert(other == me || taken[other] >= mark[other] || stopped[other]);
              other++
           :: else -> break
           od;
           other = 0;
           barriers++;
           barrier_runs[me] = true
        :: else -> parked = true
        fi;
        ok = false
    }
}

/* ring_answer_done() */
inline answer_done()
{
    d_step {
        inflight = inflight - ended[me];
        unanswered = unanswered - ended[me];
        ended[me] = 0
    };
    if
    :: barrier_ended[me] ->
       d_step {
           barrier_ended[me] = false;
           barrier = false;
           stopped[me] = false;
           inflight--;
           unanswered--;
           other = 0;
           do
           :: other < RINGS -> mark[other] = 0; other++
           :: else -> break
           od;
           other = 0
       };
       if
       :: holder == me ->
          holder = NOBODY;
#ifndef NO_RELEASE_WAKE
          wake_others()
#endif
       :: else
       fi
    :: else
    fi;
    if
    :: parked && inflight == 1 -> try_barrier()
    :: else
    fi
}

inline take_one()
{
    if
    :: d_step {
           taken[me]++;
           inflight++;
           plain[me]++;
           plains++;
           assert(barriers == 0) /* nothing beside a barrier */
       }
    :: d_step {
           taken[me]++;
           inflight++;
           barrier = true;
           stopped[me] = true;
           other = 0;
           do
           :: other < RINGS -> mark[other] = given[other]; other++
           :: else -> break
           od;
           other = 0
       };
       try_barrier()
    fi
}

proctype ring(byte me)
{
    byte inflight, other, h, at, looking, pending;
    byte mark[RINGS]; /* what the guest had given each ring when our barrier was taken */
    bool parked, barrier, gated, ok, mine;

    do
    :: answer_done();

       /* ring_gate_enter() */
#ifdef NO_ENTER_BARRIER
       if
       :: looking = epoch; h = holder; busy[me] = true
       :: busy[me] = true; looking = epoch; h = holder
       fi;
#else
       busy[me] = true;
       looking = epoch;
       h = holder;
#endif
#ifdef NO_LOOK
       gated = h != NOBODY && h != me;
#else
       gated = h != NOBODY && h != me && looked[me] == looking;
#endif
       h = 0;

       /* ring_consume(): one load of the index, then all of it up to a barrier */
       pending = given[me] - taken[me];
       do
       :: pending > 0 && !gated && !barrier -> pending--; take_one()
       :: else -> break
       od;
       pending = 0;
       answer_done();

       /* ring_gate_leave() */
#ifdef BUSY_WHILE_PARKED
       ok = inflight > 0;
#else
       ok = inflight > parked;
#endif
#ifdef NO_LEAVE_BARRIER
       if
       :: h = holder; busy[me] = ok; looked[me] = looking
       :: busy[me] = ok; looked[me] = looking; h = holder
       fi;
#else
       busy[me] = ok;
       looked[me] = looking;
       h = holder;
#endif
       if
#ifndef NO_LEAVE_WAKE
       :: !ok && h != NOBODY && h != me -> woken[h] = true
#endif
       :: else
       fi;
       h = 0;
       ok = false;
       looking = 0;

       /* ring_wait() */
       if
       :: ended[me] > 0 || barrier_ended[me]
       :: atomic { woken[me] -> woken[me] = false }
       :: given[me] != taken[me] && !gated && !barrier
       :: unanswered == 0 -> break
       fi;
       gated = false
    od
}

active proctype guest()
{
    do
    :: atomic { todo[0] > 0 -> todo[0]--; given[0]++ }
    :: atomic { todo[1] > 0 -> todo[1]--; given[1]++ }
#if RINGS > 2
    :: atomic { todo[2] > 0 -> todo[2]--; given[2]++ }
#endif
    :: unanswered == 0 -> break
    od
}

active proctype storage()
{
    do
    :: atomic { plain[0] > 0 -> plain[0]--; plains--; ended[0]++ }
    :: atomic { plain[1] > 0 -> plain[1]--; plains--; ended[1]++ }
    :: atomic { barrier_runs[0] -> barrier_runs[0] = false; barriers--; barrier_ended[0] = true }
    :: atomic { barrier_runs[1] -> barrier_runs[1] = false; barriers--; barrier_ended[1] = true }
#if RINGS > 2
    :: atomic { plain[2] > 0 -> plain[2]--; plains--; ended[2]++ }
    :: atomic { barrier_runs[2] -> barrier_runs[2] = false; barriers--; barrier_ended[2] = true }
#endif
    :: unanswered == 0 -> break
    od
}

init
{
    byte n;

    atomic {
        do
        :: n < RINGS -> todo[n] = TODO / RINGS + (n < TODO % RINGS); run ring(n); n++
        :: else -> break
        od
    }
}
