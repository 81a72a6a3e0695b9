//! Headers of registries: WWW-Authenticate and Link.
#![no_main]

use coracle::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::headers(bytes));
