//! registries.conf, with names looked up in it.
#![no_main]

use coracle::image::Reference;
use coracle::registry::fuzzing;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 7] =
    ["x", "x:1", "a.io/foo/x:2", "a.io/foo", "z.c.io/x", "docker.io/library/x", "a.io:5000/x"];

fuzz_target!(|bytes: &[u8]| {
    let names: Vec<Reference> = NAMES.iter().filter_map(|name| name.parse().ok()).collect();
    fuzzing::registries(bytes, &names);
});
