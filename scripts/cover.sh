#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER for the targets in fuzz/: the flags of cargo-fuzz that libFuzzer needs to see which
# branches an input takes. Only this project's code gets them, so dependencies are built once for tests and targets. The
# flags are LLVM's, and work with a stable compiler; sanitizers would not. libFuzzer wraps functions of the C library,
# which a static program cannot do.
set -eu
for word; do
    shift
    case $word in
        build_script_*) plain=yes ;;
        target-feature=+crt-static) word=target-feature=-crt-static ;;
    esac
    set -- "$@" "$word"
done
[ -z "${plain:-}" ] || exec "$@"
exec "$@" --cfg fuzzing -C passes=sancov-module \
    -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
