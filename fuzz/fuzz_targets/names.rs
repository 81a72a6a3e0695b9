//! Names of images, transports, digests and platforms: each means the same when it is written and read again.
#![no_main]

use coracle::image::{Digest, Location, Platform, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<Reference>() {
        let again: Reference = name.to_string().parse().expect("a name is read as it was written");
        assert_eq!(again.to_string(), name.to_string());
        assert_eq!((again.registry(), again.path()), (name.registry(), name.path()));
        assert!(!name.path().split('/').any(|part| matches!(part, "" | "." | "..")), "{text}");
        assert!(name.to_string().is_ascii(), "{text}");
        assert_eq!(name.with_registry().with_registry(), name.with_registry());
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.as_str(), text);
    }
    if let Ok(Some(Location::File(place))) = Location::of(text) {
        assert_eq!(Location::of(&place.to_string()).ok(), Some(Some(Location::File(place))));
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().ok(), Some(platform));
    }
});
