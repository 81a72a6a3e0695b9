#!/bin/sh
# Fuzz targets of fuzz/, guided by coverage: scripts/fuzz.sh SECONDS [TARGET ...], all of them without names. Needs a
# nightly toolchain and cargo-fuzz. What a target finds stays in fuzz/corpus and fuzz/artifacts. As root, the targets run
# as the tests' user. Leaks are not looked for: what threads have that are about to end would be taken for some.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2; exit 1; }
LIBSECCOMP_LIB_PATH=${LIBSECCOMP_LIB_PATH:-$(pkg-config --variable=libdir libseccomp)}
export LIBSECCOMP_LIB_PATH
cargo +nightly fuzz build
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
# The targets run below a directory that the tests' user may write to.
owner=
[ "$(id -u)" -ne 0 ] || { tests/as-user.sh true; owner=coracle-test; }
# Stores are synced: in memory where that can be.
TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
export TMPDIR
trap 'chmod -R u+rwx "$TMPDIR"; rm -rf "$TMPDIR"' EXIT
[ -z "$owner" ] || chown "$owner" "$TMPDIR"
failed=
for target; do
    binary=$(echo fuzz/target/*/release/"$target")
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    [ -z "$owner" ] || chown -R "$owner" "fuzz/corpus/$target" "fuzz/artifacts/$target"
    seeds="fuzz/seeds/$target"
    if [ "$target" = containerfile ]; then
        seeds=fuzz/corpus/of-tests
        mkdir -p "$seeds"
        for file in tests/corpus/*/Containerfile tests/corpus/*/Dockerfile tests/corpus/*/.*ignore; do
            [ ! -f "$file" ] || cp "$file" "$seeds/$(echo "$file" | tr / -)"
        done
    fi
    echo "==> $target, $seconds s"
    tests/as-user.sh "$binary" -max_total_time="$seconds" -timeout=10 -detect_leaks=0 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="fuzz/artifacts/$target/" "fuzz/corpus/$target" "$seeds" || failed="$failed $target"
done
[ -z "$failed" ] || { echo "crashed:$failed; see fuzz/artifacts" >&2; exit 1; }
