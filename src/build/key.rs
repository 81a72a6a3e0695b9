//! Keys of the build cache: what a step's result depends on, and nothing else. No time, no name of a stage, no place
//! on this machine, and no value of a secret.

use crate::image::Digest;
use serde::Serialize;

/// The form of keys: another one makes all results that are kept unknown.
const FORM: u32 = 1;

/// The key of a step of this kind that depends on these values.
pub(super) fn of(kind: &str, values: &impl Serialize) -> Digest {
    // The types that are given here have no maps with other keys than text, so this cannot fail.
    let text = serde_json::to_vec(&(FORM, kind, values)).unwrap_or_default();
    Digest::sha256_of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_and_the_kind_does() {
        let key = of("run", &["a", "b"]);
        assert_eq!(key, of("run", &["a", "b"]));
        assert_ne!(key, of("run", &["a b"]));
        assert_ne!(key, of("copy", &["a", "b"]));
    }
}
