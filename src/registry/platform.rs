//! Selects the entry of an index for this machine or the requested platform.

use super::shown::shown;
use crate::image::choice::{self, Offer};
use crate::image::{Digest, Platform};
use oci_client::manifest::{ImageIndexEntry, Platform as Offered};

/// The best entry for a platform: its digest as written.
pub(super) fn choose<'a>(entries: &'a [ImageIndexEntry], wanted: &Platform) -> Option<&'a ImageIndexEntry> {
    let words: Vec<Option<Words>> =
        entries.iter().map(|entry| entry.platform.as_ref().map(Words::of)).collect();
    let offers: Vec<Option<Offer<'_>>> = words.iter().map(|words| words.as_ref().map(Words::offer)).collect();
    entries.get(choice::choose(&offers, wanted)?)
}

/// What an entry says of its platform.
struct Words {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Words {
    fn of(platform: &Offered) -> Words {
        Words {
            os: platform.os.to_string(),
            architecture: platform.architecture.to_string(),
            variant: platform.variant.clone(),
        }
    }

    fn offer(&self) -> Offer<'_> {
        Offer { os: &self.os, architecture: &self.architecture, variant: self.variant.as_deref() }
    }
}

/// What an index offers, for the message that nothing fits; attestations are not platforms.
pub(super) fn offered(entries: &[ImageIndexEntry]) -> String {
    let words: Vec<Words> = entries.iter().filter_map(|e| e.platform.as_ref()).map(Words::of).collect();
    let names = choice::offered(words.iter().map(Words::offer));
    names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")
}

/// Whether an image that says it is for `os/architecture` is for the wanted platform.
pub(super) fn agrees(os: &str, architecture: &str, wanted: &Platform) -> bool {
    let same = |says: &str, wants: &str| says.is_empty() || says == wants;
    same(os, &wanted.os) && same(architecture, &wanted.architecture)
}

/// The digest of an entry, checked.
///
/// # Errors
/// When it is not a digest.
pub(super) fn digest_of(entry: &ImageIndexEntry) -> crate::error::Result<Digest> {
    entry.digest.parse()
}
