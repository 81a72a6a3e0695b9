//! The documents of an image in the store: its manifest and its configuration.

use super::manifest::Manifest;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Image};
use crate::storage::Store;

/// The manifest of an image, and its bytes.
///
/// # Errors
/// When it is missing or damaged.
pub(super) fn manifest_of(store: &Store, image: &Image) -> Result<(Manifest, Vec<u8>)> {
    let bytes = store.blobs().read(&image.manifest)?.ok_or_else(|| missing(image, &image.manifest))?;
    Ok((Manifest::parse(image.manifest.as_str(), &bytes)?, bytes))
}

/// The configuration of an image, as bytes.
///
/// # Errors
/// When it is missing.
pub(super) fn config_of(store: &Store, image: &Image) -> Result<Vec<u8>> {
    store.blobs().read(&image.id)?.ok_or_else(|| missing(image, &image.id))
}

/// The failure for a blob of an image that is not there.
pub(super) fn missing(image: &Image, digest: &Digest) -> Error {
    Error::new(Kind::NotFound, format!("blob {digest} of image {} is missing", image.id.short()))
        .hint("Fetch the image again: coracle pull IMAGE")
}
