//! Manifests and indexes, as registries and archives have them.
#![no_main]

use coracle::image::Index;
use coracle::registry::fuzzing;
use coracle::storage::archive::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::manifest(bytes);
    let _ = Manifest::parse("x", bytes);
    if let Ok(index) = Index::parse("x", bytes) {
        let written = serde_json::to_vec(&index).expect("an index can be written");
        assert_eq!(Index::parse("x", &written).ok(), Some(index));
    }
});
