//! auth.json, as logins are kept in it.
#![no_main]

use coracle::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::credentials(bytes));
