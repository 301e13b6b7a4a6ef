/* SPDX-License-Identifier: MIT
 *
 * The state table. Threads: any (no state).
 */
#include "blkif/state.h"

#include <stddef.h>

/* Short names, so that a row is a line. */
#define NONE ACT_NONE
#define INIT ACT_INITWAIT
#define CONN ACT_CONNECT
#define CLNG ACT_CLOSING
#define CLSD ACT_CLOSE
#define GONE ACT_GONE
#define FATL ACT_FATAL

/* Rows: our state. Columns: the frontend's.
 *
 *  - Nothing is done for a directory without a state of its own: it is not ours (any more).
 *  - While we close, only the frontend's Closed, its return to Initialising or its end leads on. A
 *    frontend that is still Connected then is one the toolstack wants to detach: it is not served
 *    again.
 *  - Back to Initialising means that the guest began anew (kexec), from any state, even if the
 *    steps in between were not seen: a watch tells that something changed, not how often. */
// clang-format off
static const unsigned char table[XB_STATES][XB_STATES] = {
                         /* Unkn  Ing   InWt  Ised  Conn  Clng  Clsd  Rcing Rced */
    [XB_UNKNOWN]       = { GONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE },
    [XB_INITIALISING]  = { GONE, INIT, FATL, INIT, INIT, CLNG, CLSD, FATL, FATL },
    [XB_INITWAIT]      = { GONE, NONE, FATL, CONN, CONN, CLNG, CLSD, FATL, FATL },
    [XB_INITIALISED]   = { GONE, NONE, FATL, CONN, CONN, CLNG, CLSD, FATL, FATL },
    [XB_CONNECTED]     = { GONE, INIT, FATL, NONE, NONE, CLNG, CLSD, FATL, FATL },
    [XB_CLOSING]       = { GONE, INIT, NONE, NONE, NONE, NONE, CLSD, NONE, NONE },
    [XB_CLOSED]        = { GONE, INIT, FATL, CONN, CONN, CLNG, CLSD, FATL, FATL },
    [XB_RECONFIGURING] = { GONE, INIT, FATL, NONE, NONE, CLNG, CLSD, FATL, FATL },
    [XB_RECONFIGURED]  = { GONE, INIT, FATL, NONE, NONE, CLNG, CLSD, FATL, FATL },
};
// clang-format on

enum state_action state_action(enum xenbus_state ours, enum xenbus_state theirs)
{
    if ((unsigned)ours >= XB_STATES || (unsigned)theirs >= XB_STATES)
        return ACT_FATAL;
    return (enum state_action)table[ours][theirs];
}

const char *state_name(enum xenbus_state s)
{
    static const char *const names[XB_STATES] = {
        [XB_UNKNOWN] = "Unknown",
        [XB_INITIALISING] = "Initialising",
        [XB_INITWAIT] = "InitWait",
        [XB_INITIALISED] = "Initialised",
        [XB_CONNECTED] = "Connected",
        [XB_CLOSING] = "Closing",
        [XB_CLOSED] = "Closed",
        [XB_RECONFIGURING] = "Reconfiguring",
        [XB_RECONFIGURED] = "Reconfigured",
    };

    return (unsigned)s < XB_STATES ? names[s] : "invalid";
}

const char *state_action_name(enum state_action a)
{
    static const char *const names[] = {
        [ACT_NONE] = "none",       [ACT_INITWAIT] = "go to InitWait",
        [ACT_CONNECT] = "connect", [ACT_CLOSING] = "go to Closing",
        [ACT_CLOSE] = "close",     [ACT_GONE] = "forget",
        [ACT_FATAL] = "give up",
    };

    return (size_t)a < sizeof(names) / sizeof(names[0]) ? names[a] : "invalid";
}

bool state_parse(const char *text, enum xenbus_state *out)
{
    if (!text || text[0] < '0' || text[0] > '8' || text[1] != '\0')
        return false;
    *out = (enum xenbus_state)(text[0] - '0');
    return true;
}
