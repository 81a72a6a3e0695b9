//! Unpacking a layer's archive.

pub mod finish;
pub mod owners;

use crate::error::{Error, Kind, Result};
use crate::image::DiffId;
use owners::Owners;
use std::io::Read;
use std::os::fd::OwnedFd;

/// What an archive may ask for before it is refused (attack case 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed archive.
    pub bytes: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// Directories between the root and an entry.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 30, entries: 10_000_000, depth: 256 }
    }
}

/// What is known after unpacking one layer by itself.
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
}

/// Unpacks.
///
/// # Errors
/// Not built yet.
pub(super) fn run(
    _root: &OwnedFd,
    _source: impl Read + Send + 'static,
    diff_id: &DiffId,
    _limits: Limits,
) -> Result<Notes> {
    Err(Error::new(Kind::Storage, format!("unpack {}", diff_id.0)))
}
