//! Loads one image of an OCI image layout, which a build names (`oci-layout://DIR[:TAG][@DIGEST]`).
//!
//! As `docker buildx build --build-context` has it, a digest decides alone and may be that of a manifest or of an
//! index; a tag is what the layout's index says of an image; and where it has only one, that is meant.

use super::entry::{blob, blob_path, image_entry};
use super::load::{Loaded, Progress, bring, candidate};
use super::manifest::{Descriptor, Index};
use super::names::{INDEX, LAYOUT, REF_NAME};
use super::source::{Source, bad};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Platform};
use crate::storage::Store;

/// The tag that is meant where none was given.
const DEFAULT_TAG: &str = "latest";

/// Which image of a layout is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its tag.
    pub tag: Option<String>,
    /// The digest of its manifest, or of its index.
    pub digest: Option<Digest>,
    /// The platform to choose from an index.
    pub platform: Platform,
}

/// Loads an image without giving it a name. As [`super::load`], to be called in a leaf, inside the user namespace.
///
/// # Errors
/// `NotFound` when the layout does not have it; else as [`super::load`].
pub fn load_wanted(
    store: &Store,
    source: &Source,
    wanted: &Wanted,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Loaded> {
    if source.read(LAYOUT)?.is_none() {
        return Err(bad("it is not an OCI image layout: oci-layout is missing"));
    }
    let entry = match &wanted.digest {
        Some(digest) => by_digest(source, digest)?,
        None => by_tag(source, wanted.tag.as_deref().unwrap_or(DEFAULT_TAG))?,
    };
    let image = image_entry(source, &entry, &wanted.platform)?;
    let image = image.ok_or_else(|| bad(&format!("{} is no image", entry.digest)))?;
    let found = candidate(source, blob(source, &image)?, Vec::new(), blob_path)?;
    bring(store, source, &found, report, stop)
}

fn by_digest(source: &Source, digest: &Digest) -> Result<Descriptor> {
    let name = blob_path(digest);
    let missing = || Error::new(Kind::NotFound, format!("the image layout has no image {digest}"));
    let bytes = source.read(&name)?.ok_or_else(missing)?;
    if digest.of_same_kind(&bytes) != *digest {
        return Err(bad(&format!("{name} is not what was promised")));
    }
    Descriptor::of_document(&bytes, digest.clone())
}

fn by_tag(source: &Source, tag: &str) -> Result<Descriptor> {
    let index = source.read(INDEX)?.ok_or_else(|| bad("index.json is missing"))?;
    let mut entries = Index::parse(INDEX, &index)?.manifests;
    let named = |entry: &Descriptor| entry.annotations.get(REF_NAME).is_some_and(|name| name == tag);
    let at = match entries.iter().position(named) {
        None if entries.len() == 1 => 0,
        None => {
            let message = format!("the image layout has no image with the tag {tag:?}");
            return Err(Error::new(Kind::NotFound, message));
        }
        Some(at) => at,
    };
    Ok(entries.swap_remove(at))
}
