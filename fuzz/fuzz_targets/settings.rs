//! coracle.toml.
#![no_main]

use coracle::host::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::settings(bytes));
