//! Questions of containers and answers of upstream servers.
#![no_main]

use coracle::netns::bridge::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| fuzzing::exchange(input.1, usize::from(input.0)));
