#!/bin/sh
# Sets up, builds, installs (binary, man pages, completions) and runs the main job once.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
. scripts/env.sh
printf '==> build (a few minutes the first time)\n' >&2
make build
printf '==> install below %s\n' "${PREFIX:-/usr/local}" >&2
if [ "$(id -u)" -eq 0 ] || [ -w "${PREFIX:-/usr/local}/bin" ]; then
    make install
else
    sudo make install ${PREFIX:+PREFIX="$PREFIX"}
fi
coracle=${PREFIX:-/usr/local}/bin/coracle
# coracle is for people who are not root: root tries it as the unprivileged user of the tests.
as=
[ "$(id -u)" -ne 0 ] || as=tests/as-user.sh
set -- run --rm --rootfs /:O sh -c 'echo "hello from a container"'
printf '==> coracle run --rm --rootfs /:O sh -c ...\n' >&2
$as "$coracle" "$@"
