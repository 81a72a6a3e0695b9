#!/bin/sh
# Cargo's runner. As root it runs the program as an unprivileged user with a subuid range, which it
# makes when missing; as anyone else it just runs it. CORACLE_TEST_AS=root keeps root.
set -eu
if [ "$(id -u)" -ne 0 ] || [ "${CORACLE_TEST_AS:-}" = root ]; then
    exec "$@"
fi
user=coracle-test
exec 9>/run/coracle-test.lock
flock 9
if ! id "$user" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/sh "$user"
fi
for file in subuid subgid; do
    grep -qs "^$user:" /etc/$file || echo "$user:524288:65536" >>/etc/$file
done
# udev would do this on a laptop.
for device in /dev/net/tun /dev/fuse; do
    [ ! -c $device ] || chmod 0666 $device
done
home=$(getent passwd "$user" | cut -d: -f6)
uid=$(id -u "$user")
install -d -m 0700 -o "$user" -g "$user" "/run/user/$uid"
exec 9>&-
exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all \
    env HOME="$home" USER="$user" LOGNAME="$user" XDG_RUNTIME_DIR="/run/user/$uid" \
    TMPDIR="${TMPDIR:-/tmp}" "$@"
