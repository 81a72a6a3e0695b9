//! Small blobs of layouts, and which image of an index is meant.

use super::manifest::{Descriptor, Index};
use super::source::{Source, bad};
use crate::error::{Error, Kind, Result};
use crate::image::choice::{self, Offer};
use crate::image::{Digest, Platform};
use crate::storage::blobs::SMALL_BLOB_MAX;

/// Indexes within indexes that are followed.
const NESTING_MAX: usize = 3;
/// What BuildKit says of an entry that describes another one and is no image.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// The entry of one image of a layout: this one, or what it has for this platform. `None` for what is no image.
///
/// # Errors
/// As [`resolved`].
pub(super) fn image_entry(
    source: &Source,
    entry: &Descriptor,
    platform: &Platform,
) -> Result<Option<Descriptor>> {
    resolved(entry.clone(), platform, |entry| blob(source, entry))
}

/// As [`image_entry`], with the indexes from `read`.
///
/// # Errors
/// An index that is malformed, has nothing for the platform, or leads to others without end.
pub(super) fn resolved(
    mut entry: Descriptor,
    platform: &Platform,
    read: impl Fn(&Descriptor) -> Result<Vec<u8>>,
) -> Result<Option<Descriptor>> {
    for _ in 0..NESTING_MAX {
        if entry.is_image() {
            return Ok(Some(entry));
        }
        if !entry.is_index() {
            return Ok(None);
        }
        entry = for_platform(Index::parse(entry.digest.as_str(), &read(&entry)?)?, platform)?;
    }
    Err(bad("it holds an index of indexes of indexes"))
}

/// What an index has for a platform: an image, or an index of its own. An entry that does not say what it is for
/// comes after those that do.
fn for_platform(index: Index, wanted: &Platform) -> Result<Descriptor> {
    let is_one = |e: &Descriptor| (e.is_image() || e.is_index()) && !e.annotations.contains_key(ATTESTATION);
    let mut entries: Vec<Descriptor> = index.manifests.into_iter().filter(is_one).collect();
    let offers: Vec<Option<Offer<'_>>> = entries
        .iter()
        .map(|entry| {
            let platform = entry.platform.as_ref()?;
            let (os, architecture) = (&platform.os, &platform.architecture);
            Some(Offer { os, architecture, variant: platform.variant.as_deref() })
        })
        .collect();
    let best = choice::choose(&offers, &choice::refined(wanted));
    match best.or_else(|| entries.iter().position(|entry| entry.platform.is_none())) {
        None => Err(Error::new(Kind::Image, format!("the archive has no image for {wanted}"))),
        Some(at) => Ok(entries.swap_remove(at)),
    }
}

/// Where a blob of a layout is.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A small blob of a layout, verified.
pub(super) fn blob(source: &Source, entry: &Descriptor) -> Result<Vec<u8>> {
    blob_at_most(source, entry, SMALL_BLOB_MAX)
}

/// As [`blob`], for one of at most so many bytes.
pub(super) fn blob_at_most(source: &Source, entry: &Descriptor, max: u64) -> Result<Vec<u8>> {
    let name = blob_path(&entry.digest);
    let bytes = source.read_at_most(&name, max)?;
    let bytes = bytes.ok_or_else(|| source.refused(&format!("{name} is missing")))?;
    if is_true(&entry.digest, entry.size, &bytes) {
        return Ok(bytes);
    }
    Err(source.refused(&format!("{name} is not what was promised")))
}

/// Refuses a member that is not what was promised.
pub(super) fn check(name: &str, digest: &Digest, size: u64, bytes: &[u8]) -> Result<()> {
    if is_true(digest, size, bytes) {
        return Ok(());
    }
    Err(bad(&format!("{name} is not what was promised")))
}

fn is_true(digest: &Digest, size: u64, bytes: &[u8]) -> bool {
    bytes.len() as u64 == size && digest.of_same_kind(bytes) == *digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offer: &[&str], wanted: &str) -> Option<u64> {
        let entry = |(at, text): (usize, &&str)| {
            let mut entry = serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{at:064}"), "size": at,
            });
            let parts: Vec<&str> = text.split('/').collect();
            match parts.as_slice() {
                ["attestation"] => {
                    entry["annotations"] = serde_json::json!({ATTESTATION: "attestation-manifest"})
                }
                [os, architecture, rest @ ..] => {
                    entry["platform"] = serde_json::json!({"os": os, "architecture": architecture});
                    if let [variant] = rest {
                        entry["platform"]["variant"] = (*variant).into();
                    }
                }
                _ => {}
            }
            entry
        };
        let all: Vec<serde_json::Value> = offer.iter().enumerate().map(entry).collect();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": all}).to_string();
        let index = Index::parse("index", index.as_bytes()).unwrap();
        for_platform(index, &wanted.parse().unwrap()).ok().map(|entry| entry.size)
    }

    #[test]
    fn the_best_entry_is_taken_and_no_attestation() {
        let arms = ["unknown/unknown", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/amd64"];
        assert_eq!(chosen(&arms, "linux/arm/v6"), Some(1));
        assert_eq!(chosen(&arms, "linux/arm"), Some(2));
        assert_eq!(chosen(&arms, "linux/arm64"), Some(3));
        assert_eq!(chosen(&arms, "linux/s390x"), None);
        assert_eq!(chosen(&["linux/arm/v7"], "linux/arm/v6"), None);
        assert_eq!(chosen(&["attestation", "", "linux/amd64"], "linux/amd64"), Some(2));
        assert_eq!(chosen(&["attestation", ""], "linux/amd64"), Some(1));
        assert_eq!(chosen(&["attestation"], "linux/amd64"), None);
    }
}
