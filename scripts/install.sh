#!/bin/sh
# Sets up, builds and installs coracle (binary, man pages, completions), then runs a first container.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
. scripts/env.sh
printf '==> build (a few minutes the first time)\n' >&2
make build
printf '==> install in %s\n' "${PREFIX:-/usr/local}" >&2
if [ "$(id -u)" -eq 0 ] || [ -w "${PREFIX:-/usr/local}/bin" ]; then
    make install
else
    sudo make install ${PREFIX:+PREFIX="$PREFIX"}
fi
coracle=${PREFIX:-/usr/local}/bin/coracle
# coracle is meant for ordinary users: if run by root, try it as the unprivileged user of the tests.
as=
[ "$(id -u)" -ne 0 ] || as=tests/as-user.sh
# Ubuntu only allows programs with an AppArmor profile to create user namespaces; `coracle info` prints it.
if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
    cure=$($as "$coracle" info --format \
        '{{range .checks}}{{if eq .name "user-namespaces"}}{{range .cure}}{{.}}{{end}}{{end}}{{end}}')
    if [ -n "$cure" ]; then
        printf '==> %s\n' "$cure" >&2
        [ "$(id -u)" -ne 0 ] || cure="sudo() { \"\$@\"; }
$cure"
        sh -euc "$cure" >/dev/null
    fi
fi
set -- run --rm --rootfs /:O sh -c 'echo "hello from a container"'
printf '==> coracle run --rm --rootfs /:O sh -c ...\n' >&2
$as "$coracle" "$@"
