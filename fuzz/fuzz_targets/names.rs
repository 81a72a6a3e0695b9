//! Names of images, transports, digests and platforms: each means the same when it is written and read again.
#![no_main]

use coracle::image::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzzing::name(text));
