# SPDX-License-Identifier: MIT
# Sourced by the demonstration, the benchmarks and the end-to-end tests: brings up the whole stack on
# the loopback (hypervisor, daemon, a guest domain with a disk) in a private folder, and takes it all
# down again whatever happens. POSIX sh.
#
#   BUILD    the build directory (set by the caller)
#   STACK    the private folder (made here)
# stack_up [blkbackd option...]; stack_domain -> $DOM; stack_attach VDEV TARGET [loopctl option...];
# stack_down (also on exit).

LOOPD=$BUILD/src/loopd/blkback-loopd
LOOPCTL=$BUILD/src/loopd/blkback-loopctl
DAEMON=$BUILD/src/daemon/blkbackd
WORKER=$BUILD/src/worker/blkbackd-vbd
CTL=$BUILD/src/ctl/blkbackctl
FRONT=$BUILD/src/front/blkfront

stack_folder() {
    STACK=$(mktemp -d "${TMPDIR:-/var/tmp}/blkbackd.XXXXXX") || exit 1
    trap 'stack_down' EXIT
    trap 'exit 130' INT
    trap 'exit 129' HUP
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
    LOOPD_PID= DAEMON_PID= DOM=
    export XENSTORED_PATH=$STACK/loop/xenstored.sock
}

# stack_wait SECONDS COMMAND...: until it succeeds
stack_wait() {
    stack_tries=$(($1 * 50))
    shift
    while ! "$@" >/dev/null 2>&1; do
        stack_tries=$((stack_tries - 1))
        [ "$stack_tries" -gt 0 ] || return 1
        sleep 0.02
    done
}

stack_loopd() {
    mkdir -p "$STACK/loop"
    "$LOOPD" --dir "$STACK/loop" >"$STACK/loopd.out" 2>"$STACK/loopd.log" &
    LOOPD_PID=$!
    stack_wait 10 grep -q ready "$STACK/loopd.out" || {
        echo "the loopback hypervisor did not start:" >&2
        cat "$STACK/loopd.log" >&2
        return 1
    }
}

stack_daemon() {
    "$DAEMON" --hv "loop:$STACK/loop" --run-dir "$STACK" --worker "$WORKER" --claim-all "$@" \
        >>"$STACK/daemon.log" 2>&1 &
    DAEMON_PID=$!
    stack_wait 10 "$CTL" --socket "$STACK/control.sock" list || {
        echo "blkbackd did not start:" >&2
        cat "$STACK/daemon.log" >&2
        return 1
    }
}

stack_daemon_stop() {
    [ -n "$DAEMON_PID" ] || return 0
    kill "${1:--TERM}" "$DAEMON_PID" 2>/dev/null
    wait "$DAEMON_PID" 2>/dev/null
    DAEMON_PID=
}

stack_up() {
    [ -n "${STACK:-}" ] || stack_folder
    stack_loopd && stack_daemon "$@"
}

stack_domain() {
    DOM=$("$LOOPCTL" --dir "$STACK/loop" create "$@") || return 1
    HV=loop:$STACK/loop:$DOM
}

stack_attach() {
    "$LOOPCTL" --dir "$STACK/loop" attach "$DOM" "$@"
}

stack_detach() {
    "$LOOPCTL" --dir "$STACK/loop" detach "$DOM" "$@"
}

stack_ctl() {
    "$CTL" --socket "$STACK/control.sock" "$@"
}

stack_down() {
    stack_status=$?
    trap - EXIT
    for stack_pid in ${STACK_KILL:-}; do
        kill "$stack_pid" 2>/dev/null
        wait "$stack_pid" 2>/dev/null
    done
    stack_daemon_stop
    if [ -n "$LOOPD_PID" ]; then
        kill "$LOOPD_PID" 2>/dev/null
        wait "$LOOPD_PID" 2>/dev/null
    fi
    if [ -n "${STACK_KEEP:-}" ]; then
        echo "kept: $STACK" >&2
    else
        rm -rf "$STACK"
    fi
    exit "$stack_status"
}
