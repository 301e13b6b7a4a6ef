#!/bin/sh
# SPDX-License-Identifier: MIT
#
# blkback-loopd as Debian's own xenstore programs and blkback-loopctl see it. TAP on stdout.
# BUILD: the build directory. Needs xenstore-utils. Works as an ordinary user.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../e2e/tap.sh"

command -v xenstore-ls >/dev/null || {
    echo "1..0 # SKIP the package xenstore-utils is not installed"
    exit 0
}
STACK=$(mktemp -d) || exit 1
DIR=$STACK/loop
LOOPD_PID= BACKEND_PID=
export XENSTORED_PATH="$DIR/xenstored.sock"
loopctl() { "$BUILD/src/loopd/blkback-loopctl" --dir "$DIR" "$@"; }

stop() { # pid-variable [signal]
    eval "stop_pid=\$$1"
    [ -n "$stop_pid" ] || return 0
    kill "${2:--TERM}" "$stop_pid" 2>/dev/null
    wait "$stop_pid" 2>/dev/null
    stop_status=$?
    eval "$1="
    return "$stop_status"
}
finish() {
    stop BACKEND_PID -KILL
    stop LOOPD_PID
    rm -rf "$STACK"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

start_loopd() {
    : >"$STACK/ready"
    "$BUILD/src/loopd/blkback-loopd" --dir "$DIR" "$@" >"$STACK/ready" 2>"$STACK/loopd.log" &
    LOOPD_PID=$!
    tries=500
    until grep -q '^ready$' "$STACK/ready"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] && kill -0 "$LOOPD_PID" || {
            echo "Bail out! blkback-loopd did not start: $(cat "$STACK/loopd.log")"
            exit 1
        }
        sleep 0.02
    done
}

is() { [ "$1" = "$2" ] || { echo "got: $1"; echo "not: $2"; return 1; }; }
status_of() { # expected command...
    want=$1
    shift
    "$@"
    got=$?
    [ "$got" -eq "$want" ] || { echo "exit status $got, not $want"; return 1; }
}
value_is() { is "$(xenstore-read "$1")" "$2"; }
gone() { ! xenstore-exists "$1"; }

# Answers for a backend: 1 -> 2, 5 -> 6, for one disk.
fake_backend() { # path of the backend's directory
    while :; do
        case $(xenstore-read "$1/state" 2>/dev/null) in
        1) xenstore-write "$1/state" 2 ;;
        5) xenstore-write "$1/state" 6 ;;
        esac
        sleep 0.02
    done
}
with_backend() { # devid command...
    fake_backend "backend/vbd/$DOM/$1" &
    BACKEND_PID=$!
    shift
    "$@"
    with_status=$?
    stop BACKEND_PID -KILL
    return "$with_status"
}

# ---- the server ----------------------------------------------------------------------------------
check "loopd says how it is used" "$BUILD/src/loopd/blkback-loopd" --help
check "loopd without a folder is a usage error" status_of 2 "$BUILD/src/loopd/blkback-loopd"
check "loopctl without a server: exit 3" status_of 3 loopctl list
says "... and says what to start" "blkback-loopd --dir $DIR"
start_loopd
check "a second server in the same folder is refused" \
    status_of 1 "$BUILD/src/loopd/blkback-loopd" --dir "$DIR"
says "... and says why" "served by another blkback-loopd"

# ---- Debian's xenstore programs ------------------------------------------------------------------
check "xenstore-write" xenstore-write /t/a/b "some value" /t/c 2
check "xenstore-read" value_is /t/a/b "some value"
refuse "xenstore-read of nothing" xenstore-read /t/none
check "xenstore-exists" xenstore-exists /t/a
refuse "xenstore-exists of nothing" xenstore-exists /t/none
check "xenstore-list" is "$(xenstore-list /t)" "a
c"
check "xenstore-ls -f" is "$(xenstore-ls -f /t)" '/t/a = ""
/t/a/b = "some value"
/t/c = "2"'
check "xenstore-chmod" xenstore-chmod -r /t/a n0 r7 b9
check "xenstore-ls -p shows it" is "$(xenstore-ls -f -p /t/a)" '/t/a/b = "some value"   (n0,r7,b9)'
check "xenstore-rm" xenstore-rm /t/a
check "... removes all below" gone /t/a/b
big() {
    n=0
    while [ "$n" -lt 300 ]; do
        echo "/t/big/a-rather-long-name-$n" x
        n=$((n + 1))
    done | xargs xenstore-write
    is "$(xenstore-list /t/big | wc -l)" 300
}
check "xenstore-list of more than one message" big
watch() {
    xenstore-watch -n 3 /t/w >"$STACK/watched" &
    watcher=$!
    until grep -q '^/t/w$' "$STACK/watched"; do sleep 0.02; done
    xenstore-write /t/w/x 1
    xenstore-rm /t/w
    wait "$watcher" && is "$(cat "$STACK/watched")" "/t/w
/t/w/x
/t/w"
}
check "xenstore-watch" watch
check "xenstore-rm -t empties what is empty" xenstore-rm -t /t/big/a-rather-long-name-0

# ---- the toolstack -------------------------------------------------------------------------------
DOM=$(loopctl create --memory 8)
check "create prints the domain's id" is "$DOM" 1
check "list shows it" eval 'loopctl list | grep -q "^ *1 .*8M running"'
check "the guest's store is on a socket of its own" \
    env XENSTORED_PATH="$DIR/store-1.sock" xenstore-write data/mine 1
refuse "... with that guest's rights only" \
    env XENSTORED_PATH="$DIR/store-1.sock" xenstore-write /local/domain/0/x 1
check "attach to no domain: exit 4" status_of 4 loopctl attach 77 xvda /x
check "attach of a nonsense name: exit 2" status_of 2 loopctl attach 1 xvda!x /x
check "a command that there is not: exit 2" status_of 2 loopctl fly
check "attach" with_backend 51712 loopctl attach 1 xvda /some/image --readonly
check "... as libxl writes it, backend" is \
    "$(xenstore-ls -f -p backend/vbd/1/51712)" "$(sed 's/^    //' <<EOF
    backend/vbd/1/51712/bootable = "1"   (n0,r1)
    backend/vbd/1/51712/dev = "xvda"   (n0,r1)
    backend/vbd/1/51712/device-type = "disk"   (n0,r1)
    backend/vbd/1/51712/direct-io-safe = "0"   (n0,r1)
    backend/vbd/1/51712/discard-enable = "1"   (n0,r1)
    backend/vbd/1/51712/frontend = "/local/domain/1/device/vbd/51712"   (n0,r1)
    backend/vbd/1/51712/frontend-id = "1"   (n0,r1)
    backend/vbd/1/51712/mode = "r"   (n0,r1)
    backend/vbd/1/51712/online = "1"   (n0,r1)
    backend/vbd/1/51712/params = "/some/image"   (n0,r1)
    backend/vbd/1/51712/physical-device-path = "/some/image"   (n0,r1)
    backend/vbd/1/51712/removable = "0"   (n0,r1)
    backend/vbd/1/51712/script = "/etc/xen/scripts/block-blkbackd"   (n0,r1)
    backend/vbd/1/51712/specification = "xen"   (n0,r1)
    backend/vbd/1/51712/state = "2"   (n0,r1)
    backend/vbd/1/51712/type = "phy"   (n0,r1)
EOF
)"
check "... and frontend" is \
    "$(xenstore-ls -f -p /local/domain/1/device/vbd/51712)" "$(sed 's/^    //' <<EOF
    /local/domain/1/device/vbd/51712/backend = "/local/domain/0/backend/vbd/1/51712"   (n1,r0)
    /local/domain/1/device/vbd/51712/backend-id = "0"   (n1,r0)
    /local/domain/1/device/vbd/51712/device-type = "disk"   (n1,r0)
    /local/domain/1/device/vbd/51712/state = "1"   (n1,r0)
    /local/domain/1/device/vbd/51712/virtual-device = "51712"   (n1,r0)
EOF
)"
check "attach again: exit 6" status_of 6 loopctl attach 1 xvda /x
check "detach" with_backend 51712 loopctl detach 1 xvda
check "... removes the backend's directory" gone backend/vbd/1
check "... and the frontend's" gone /local/domain/1/device/vbd
check "detach again: exit 4" status_of 4 loopctl detach 1 xvda

cat >"$STACK/script" <<'EOF'
#!/bin/sh
echo "$1 $script $XENBUS_TYPE $XENBUS_PATH $XENBUS_BASE_PATH" >>"${script%/*}/ran"
[ "$1" = add ] || exit 0
case $(xenstore-read "$XENBUS_PATH/params") in
/bad) xenstore-write "$XENBUS_PATH/hotplug-error" "no such thing" "$XENBUS_PATH/hotplug-status" error
      exit 1 ;;
esac
xenstore-write "$XENBUS_PATH/physical-device-path" /from/script \
    "$XENBUS_PATH/hotplug-status" connected
EOF
chmod +x "$STACK/script"
check "attach with a hotplug script" \
    with_backend 51728 loopctl attach 1 xvdb /x --script "$STACK/script"
check "... which ran as libxl runs it" is "$(cat "$STACK/ran")" \
    "add $STACK/script vbd backend/vbd/1/51728 backend"
check "... and whose device is used" value_is backend/vbd/1/51728/physical-device-path /from/script
check "forced detach" with_backend 51728 loopctl detach 1 xvdb --force
check "... runs the script again" is "$(tail -1 "$STACK/ran")" \
    "remove $STACK/script vbd backend/vbd/1/51728 backend"
check "a script that fails: exit 1" status_of 1 \
    with_backend 51728 loopctl attach 1 xvdb /bad --script "$STACK/script"
says "... with its hotplug-error" "no such thing"
check "... and nothing left behind" gone backend/vbd/1
check "no backend: exit 5 after libxl's 10 s" status_of 5 loopctl attach 1 d3p1 /x
says "... says what to look at" "is blkbackd running"
check "... and nothing left behind" gone backend/vbd/1

check "report of nothing: exit 0" status_of 0 loopctl report
check "a failure rule" loopctl fail map:3:ENOSPC 0
check "a wrong failure rule: exit 2" status_of 2 loopctl fail map:3:EWRONG
check "forgetting the rules" loopctl fail clear
check "a limit" loopctl limit ports 100
check "destroy" loopctl destroy 1
check "... removes the domain's directory" gone /local/domain/1
check "destroy again: exit 4" status_of 4 loopctl destroy 1
check "the next domain has a new id" is "$(loopctl create)" 2

# ---- its end -------------------------------------------------------------------------------------
stop LOOPD_PID -KILL
check "a killed server leaves its sockets" test -S "$DIR/store-2.sock"
start_loopd
check "its successor takes the folder over" loopctl list
refuse "... and removes what is stale" test -e "$DIR/store-2.sock"
check "SIGTERM ends it with status 0" stop LOOPD_PID
check "... and nothing is left in its folder" rmdir "$DIR"
done_testing
