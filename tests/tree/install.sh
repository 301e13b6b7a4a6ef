#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh BUILD: what `make install` puts where, in a private folder.
set -u
build=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

check() { # name command...
    n=$((n + 1))
    name=$1
    shift
    if "$@" >"$dir/out" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        tail -5 "$dir/out" | sed 's/^/# /'
        failed=1
    fi
}

# shellcheck disable=SC2317 # called by check
runs() { # program: from where it was installed
    "$(find "$dir/root" -type f -name "$1")" --version
}

# shellcheck disable=SC2317
there() { # end of a path, [more tests of find]
    path=$1
    shift
    find "$dir/root" -type f -path "*$path" "$@" | grep -q .
}

check "it installs" meson install -C "$build" --no-rebuild --destdir "$dir/root"
for program in blkbackd blkbackctl blkfront blkback-loopd blkback-loopctl; do
    check "$program runs where it was installed" runs "$program"
done
check "the worker is where the daemon looks for it" there libexec/blkbackd/blkbackd-vbd
check "the hotplug script is where libxl looks for it" there /etc/xen/scripts/block-blkbackd
check "and is a program" there /block-blkbackd -perm -u=x
check "the unit is where systemd looks for it" there /etc/systemd/system/blkbackd.service
if command -v scdoc >/dev/null; then
    check "man pages are installed" there man/man8/blkbackd.8
fi
echo "1..$n"
exit $failed
