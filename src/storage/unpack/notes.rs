//! What is known about a layer after it was unpacked on its own.

use super::owners::Owners;
use std::collections::BTreeSet;

/// What is known after unpacking one layer on its own.
#[derive(Debug, Default)]
pub struct Notes {
    /// Bytes of file content.
    pub size: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// Device nodes, which were not made.
    pub devices: u64,
    /// Extended attributes that were left out.
    pub xattrs_dropped: u64,
    /// Intended owners, when only one id can be mapped.
    pub owners: Owners,
    /// Directories that no entry described, by their path without symlinks.
    pub(super) implied: BTreeSet<Vec<u8>>,
    /// Hard links (path, target) whose target is not in this layer.
    pub(super) unresolved: Vec<(Vec<u8>, Vec<u8>)>,
}
