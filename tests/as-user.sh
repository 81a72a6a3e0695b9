#!/bin/sh
# Runs a program as an unprivileged user with a subuid range, which it makes when missing; as anyone else
# than root it just runs it. CORACLE_TEST_AS=root keeps root.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd -P)
CORACLE_TEST_CACHE=${CORACLE_TEST_CACHE:-$tree/target/test-cache}
export CORACLE_TEST_CACHE
if [ "$(id -u)" -ne 0 ] || [ "${CORACLE_TEST_AS:-}" = root ]; then
    exec "$@"
fi
user=coracle-test

if [ "${1:-}" = --in-private-mounts ]; then
    # The tree lies where the user may not go (below /root, in a 0700 temporary directory): show him
    # the tree alone, at its own path.
    shift
    closed=$1
    shift
    mount --make-rprivate /
    stash=$(mktemp -d)
    mount --bind "$tree" "$stash"
    mount -t tmpfs -o mode=0755,size=64m coracle-tree "$closed"
    mkdir -p "$tree"
    mount --move "$stash" "$tree"
    rmdir "$stash"
    cd "$tree"
else
    exec 9>/run/coracle-test.lock
    flock 9
    if ! id "$user" >/dev/null 2>&1; then
        useradd --create-home --shell /bin/sh "$user"
    fi
    for file in subuid subgid; do
        grep -qs "^$user:" /etc/$file || echo "$user:524288:65536" >>/etc/$file
    done
    # udev would do this on a laptop; in a small guest or container nobody does.
    [ -c /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; } 2>/dev/null || true
    for device in /dev/net/tun /dev/fuse; do
        [ ! -c $device ] || chmod 0666 $device
    done
    install -d -m 0700 -o "$user" -g "$user" "/run/user/$(id -u "$user")"
    install -d -m 0755 -o "$user" -g "$user" "$CORACLE_TEST_CACHE"
    exec 9>&-
    # The topmost directory on the way to the tree that the user may not enter.
    closed=
    dir=$(dirname "$tree")
    while [ "$dir" != / ]; do
        setpriv --reuid "$user" --regid "$user" --init-groups test -x "$dir" || closed=$dir
        dir=$(dirname "$dir")
    done
    if [ -n "$closed" ]; then
        exec unshare --mount --propagation unchanged "$0" --in-private-mounts "$closed" "$@"
    fi
fi

home=$(getent passwd "$user" | cut -d: -f6)
exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all \
    env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME="$home" USER="$user" LOGNAME="$user" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" \
    TMPDIR="${TMPDIR:-/tmp}" "$@"
