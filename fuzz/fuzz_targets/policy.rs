//! policy.json, with names that it decides on.
#![no_main]

use coracle::image::Reference;
use coracle::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["a.io/foo/x:2", "a.io/foo", "z.c.io/x", "docker.io/library/x"];

fuzz_target!(|bytes: &[u8]| {
    let names: Vec<Reference> = NAMES.iter().filter_map(|name| name.parse().ok()).collect();
    fuzzing::policy(bytes, &names);
});
