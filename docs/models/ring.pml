/* SPDX-License-Identifier: MIT
 *
 * One shared ring: a frontend, a backend, a storage. Who has to be told of what, and when, so that
 * neither sleeps on the other's work. What the backend does is src/blkif/ring.c and
 * src/ring/schedule.c: it arms req_event only when it is about to sleep, looks once more after
 * that, publishes once a pass, and writes its masked port back before it sleeps. The frontend
 * sleeps or polls as it likes.
 *
 * Indices run modulo M and wrap for ever. A frontend that sleeps wants an answer, so a lost wake-up
 * or a lost request is a state in which nobody can move: spin finds it as an invalid end state. A
 * frontend that polls may go to sleep in any round, so what it could wait for in vain is found too.
 * Each id is in one place at a time: assertions.
 *
 * A full barrier that is missing is modelled as what it would let happen: the load after it is done
 * before the store in front of it. One of these breaks the model on purpose (tests/models):
 *   NO_PUSH_BARRIER      frontend: store req_prod, load req_event
 *   NO_SLEEP_BARRIER     frontend: store rsp_event, load rsp_prod
 *   NO_PUBLISH_BARRIER   backend: store rsp_prod, load rsp_event
 *   NO_ARM_BARRIER       backend: store req_event, load req_prod
 *   NO_FINAL_CHECK       backend: sleeps after arming without another look
 *   NEVER_ARMED          backend: goes to sleep after a busy time without arming
 *   NO_UNMASK            backend: does not write the port back
 *   EARLY_ANSWER         backend: req_cons moves after the answer instead of before it
 */
#define N 2 /* entries of the ring */
#ifndef M
#define M 6 /* indices: a multiple of N, at least 2 * N + 1 */
#endif
#define DISTANCE(to, from) ((to + M - from) % M)

/* The shared page. */
byte req_prod, req_event = 1, rsp_prod, rsp_event = 1;
byte slot[N]; /* 0, or a request's id + 1, or a response's id + 1 + N */

/* The event channel: the backend's end can be masked, the frontend's is taken as it comes. */
bool to_backend = true, masked, to_frontend;

bool wanted[N];    /* asked by the frontend and not yet answered to it */
bool in_storage[N], ended[N];
bool nonempty;     /* something in ended */


active proctype frontend()
{
    byte prod_pvt, rsp_cons, seen, old, outstanding, id;

    do
    :: /* another request, if there is room */
       outstanding < N ->
       d_step {
           id = 0;
           do
           :: id < N && wanted[id] -> id++
           :: else -> break
           od;
           assert(id < N);
           wanted[id] = true;
           slot[prod_pvt % N] = id + 1;
           prod_pvt = (prod_pvt + 1) % M;
           outstanding++;
           id = 0
       };
       if
       :: outstanding < N /* fill the ring before it is pushed */
       :: true ->
push:      old = req_prod;
#ifdef NO_PUSH_BARRIER
           if
           :: seen = req_event; req_prod = prod_pvt
           :: req_prod = prod_pvt; seen = req_event
           fi;
#else
           req_prod = prod_pvt;
           seen = req_event;
#endif
           if
           :: DISTANCE(prod_pvt, seen) < DISTANCE(prod_pvt, old) -> to_backend = true
           :: else
           fi;
           seen = 0;
           old = 0
       fi

    :: /* answers */
       outstanding > 0 && req_prod == prod_pvt ->
       seen = rsp_prod;
       d_step {
           do
           :: rsp_cons != seen ->
              id = slot[rsp_cons % N];
              assert(id > N);
              id = id - N - 1;
              assert(wanted[id]); /* each request once, and only what was asked */
              wanted[id] = false;
              slot[rsp_cons % N] = 0;
              rsp_cons = (rsp_cons + 1) % M;
              outstanding--
           :: else -> break
           od;
           seen = 0;
           id = 0
       };
       if
       :: outstanding == 0
       :: outstanding > 0 -> /* sleep; the choice of polling is the loop's */
#ifdef NO_SLEEP_BARRIER
          if
          :: seen = rsp_prod; rsp_event = (rsp_cons + 1) % M
          :: rsp_event = (rsp_cons + 1) % M; seen = rsp_prod
          fi;
#else
          rsp_event = (rsp_cons + 1) % M;
          seen = rsp_prod;
#endif
          if
          :: seen == rsp_cons -> atomic { to_frontend -> to_frontend = false }
          :: else
          fi;
          seen = 0
       :: outstanding > 0 /* poll */
       fi
    od
}

active proctype storage()
{
    byte i;

end:
    do
    :: atomic { in_storage[0] -> in_storage[0] = false; ended[0] = true; nonempty = true }
    :: atomic { in_storage[1] -> in_storage[1] = false; ended[1] = true; nonempty = true }
    od
}

inline answer(i)
{
    d_step {
        if
        :: ended[i] ->
           ended[i] = false;
           assert(DISTANCE(cons, pvt) > 0); /* never more answers than requests taken */
           slot[pvt % N] = i + 1 + N;
           pvt = (pvt + 1) % M
        :: else
        fi
    }
}

active proctype backend()
{
    byte cons, pvt, published, seen, id;
    bool event_masked, sleep;

    do
    :: /* reap, answer */
       d_step { nonempty = false; answer(0); answer(1) };

       /* consume */
       seen = req_prod;
       d_step {
           assert(DISTANCE(seen, pvt) <= N);
           do
           :: cons != seen ->
              id = slot[cons % N];
              assert(id > 0 && id <= N); /* a request, not an answer of ours */
              id--;
              assert(wanted[id] && !in_storage[id] && !ended[id]);
              cons = (cons + 1) % M;
              in_storage[id] = true
           :: else -> break
           od;
           seen = 0;
           id = 0
       };
#ifdef EARLY_ANSWER
       /* instant storage: its answer comes before the index has moved */
       if
       :: DISTANCE(cons, pvt) == N -> cons = (cons + M - 1) % M
       :: else
       fi;
#endif

       /* publish */
       if
       :: published != pvt ->
#ifdef NO_PUBLISH_BARRIER
          if
          :: seen = rsp_event; rsp_prod = pvt
          :: rsp_prod = pvt; seen = rsp_event
          fi;
#else
          rsp_prod = pvt;
          seen = rsp_event;
#endif
          if
          :: DISTANCE(pvt, seen) < DISTANCE(pvt, published) -> to_frontend = true
          :: else
          fi;
          published = pvt
       :: else
       fi;
       seen = 0;

       /* wait */
       sleep = false;
       if
       :: nonempty /* busy: req_event stays behind, the frontend need not notify */
       :: !nonempty ->
#ifdef NEVER_ARMED
          sleep = true;
#else
          if
          :: req_prod != cons
          :: else ->
#ifdef NO_ARM_BARRIER
             if
             :: seen = req_prod; req_event = (cons + 1) % M
             :: req_event = (cons + 1) % M; seen = req_prod
             fi;
#else
             req_event = (cons + 1) % M;
             seen = req_prod;
#endif
#ifdef NO_FINAL_CHECK
             sleep = true;
#else
             sleep = (seen == cons);
#endif
             seen = 0
          fi;
#endif
          if
          :: sleep ->
#ifndef NO_UNMASK
             masked = false;
#endif
             if
             :: nonempty
             :: atomic { to_backend && !masked -> to_backend = false; masked = true }
             fi
          :: else
          fi
       fi;
       sleep = false
    od
}
