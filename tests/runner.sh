#!/bin/sh
# Cargo's runner. It runs a test program as an ordinary user (as-user.sh), with a temporary directory that
# all programs of one `cargo test` share: ct-<pid of cargo>. tests/leftovers.rs, the last of them, looks
# what they left in it. Before, it clears away the directories and processes of runs whose cargo is gone.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd -P)
case "${1:-}" in
--as-user) shift ;;
# A test or a benchmark; `cargo run` has nothing to do with all this.
*/deps/*) exec "$tree/tests/as-user.sh" "$tree/tests/runner.sh" --as-user "$@" ;;
*) exec "$tree/tests/as-user.sh" "$@" ;;
esac
base=${TMPDIR:-/tmp}
for dir in "$base"/ct-*; do
    run=${dir##*/ct-}
    case $run in
    *[!0-9]*) continue ;;
    esac
    if [ -O "$dir" ] && [ ! -L "$dir" ] && [ ! -e "/proc/$run" ]; then
        "$tree/tests/clear-away.sh" "$dir(/|\$)" "$dir"
    fi
done
# exec has kept the process, so its parent is cargo.
TMPDIR=$base/ct-$PPID
export TMPDIR
mkdir -p "$TMPDIR"
exec "$@"
