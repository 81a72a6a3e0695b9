#!/bin/sh
# Sets up what the tests need and runs all of them: formatting, lints, tests, the guest.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --test
. scripts/env.sh
make check
make vm
