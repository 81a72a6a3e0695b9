#!/bin/sh
# Sets up what the tests need and runs all of them: formatting, lints, tests, guests, fuzz targets.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --test
. scripts/env.sh
make check
make vm RELEASE=bookworm
# The second guest has one processor; the fuzz targets take the other.
nice make fuzz-guided FUZZ_SECONDS=10 &
fuzz=$!
status=0
RELEASE=trixie scripts/vm.sh target/*-linux-*/debug/coracle || status=1
wait $fuzz || status=1
exit $status
