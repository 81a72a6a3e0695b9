//! What holds of every name, for property tests and fuzz targets (fuzz/).

use super::{Digest, Location, Platform, Reference};

/// A name means the same when it is written and read again, and none leads out of where it is put; likewise digests,
/// transports and platforms.
pub fn name(text: &str) {
    if let Ok(name) = text.parse::<Reference>() {
        let written = name.to_string();
        let again = written.parse::<Reference>();
        assert!(again.is_ok(), "{text}");
        if let Ok(again) = again {
            assert_eq!(again.to_string(), written);
            assert_eq!((again.registry(), again.path()), (name.registry(), name.path()));
        }
        assert!(!name.path().split('/').any(|part| matches!(part, "" | "." | "..")), "{text}");
        assert!(written.is_ascii(), "{text}");
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
}
