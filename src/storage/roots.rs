//! The paths of a store's parts.

use std::path::{Path, PathBuf};

/// The directories below the data root, each mode 0700.
pub(super) const DIRECTORIES: [&str; 11] = [
    "oci",
    "oci/blobs",
    "oci/blobs/sha256",
    "refs",
    "images",
    "layers",
    "containers",
    "names",
    "volumes",
    "trash",
    "tmp",
];

/// Where a store's parts are.
#[derive(Debug)]
pub(super) struct Roots {
    /// Without links on the way.
    pub(super) data: PathBuf,
    /// The same as the user calls it.
    pub(super) given: PathBuf,
    pub(super) runtime: PathBuf,
    /// Further stores, read-only: images and layers there are used in place.
    pub(super) image_stores: Vec<PathBuf>,
}

impl Roots {
    /// The data roots to read images from: our own, then the additional ones.
    pub(super) fn readable(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.data.as_path()).chain(self.image_stores.iter().map(PathBuf::as_path))
    }
}
