#!/bin/sh
# Fuzz targets of fuzz/, guided by coverage: scripts/fuzz.sh SECONDS [TARGET ...], all of them without names, one for each
# processor at a time. What a target finds stays in fuzz/corpus and fuzz/artifacts. As root, the targets run as the tests'
# user. Leaks are not looked for: what threads have that are about to end would be taken for some.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

if [ "$1" = --one ]; then
    seconds=$2 target=$3
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    [ "$(id -u)" -ne 0 ] || chown -R coracle-test "fuzz/corpus/$target" "fuzz/artifacts/$target"
    seeds="fuzz/seeds/$target"
    [ "$target" != containerfile ] || seeds=fuzz/corpus/of-tests
    log="$TMPDIR/$target.log"
    status=0
    tests/as-user.sh "$(echo target/*/debug/"$target")" -max_total_time="$seconds" -timeout=25 -detect_leaks=0 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target/" "fuzz/corpus/$target" "$seeds" >"$log" 2>&1 || status=1
    if [ $status -eq 0 ]; then
        echo "==> $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        cat "$log"
        echo "==> $target: crashed, see fuzz/artifacts/$target"
    fi
    exit $status
fi

seconds=$1
shift
RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/cover.sh cargo build --locked -p coracle-fuzz --bins
[ $# -gt 0 ] || set -- $(basename -s .rs fuzz/fuzz_targets/*.rs)
mkdir -p fuzz/corpus/of-tests
for file in tests/corpus/*/Containerfile tests/corpus/*/Dockerfile tests/corpus/*/.*ignore; do
    [ ! -f "$file" ] || cp "$file" "fuzz/corpus/of-tests/$(echo "$file" | tr / -)"
done
# Stores are synced: in memory where that can be. The tests' user may write there.
TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
export TMPDIR
trap 'chmod -R u+rwx "$TMPDIR"; rm -rf "$TMPDIR"' EXIT
[ "$(id -u)" -ne 0 ] || { tests/as-user.sh true; chown coracle-test "$TMPDIR"; }
printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" scripts/fuzz.sh --one "$seconds"
