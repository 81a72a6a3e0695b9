//! Unpacking a layer's archive.
//!
//! Theory of operation. Three steps on two threads: `decode` turns compressed bytes into the archive
//! and verifies it, `tar` turns the archive into entries, and `entry` makes them in the layer's own
//! directory, through `tree`. What can only be decided with the layers below at hand is noted and left
//! to `finish`.

mod attributes;
pub(in crate::storage) mod decode;
mod entry;
pub mod extract;
pub(in crate::storage) mod finish;
pub mod owners;
pub(in crate::storage) mod tar;
mod tree;

pub(in crate::storage) use attributes::{chmod_held, copy as copy_xattrs};
pub(in crate::storage) use tree::{BASE, DIRECTORY, file_type, lstat, normalise, resolve};

use crate::error::{Error, Kind, Result};
use crate::image::DiffId;
use crate::storage::id_map;
use entry::{Maker, Ownership};
use owners::Owners;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// What an archive may ask for before it is refused (attack case 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed archive.
    pub bytes: u64,
    /// How many times larger than its compressed form an archive above [`Limits::ratio_from`] may be.
    pub ratio: u64,
    /// Bytes below which the ratio does not matter: a gigabyte of zeros is an honest image.
    pub ratio_from: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// Components in a path.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 30, ratio: 500, ratio_from: 16 << 30, entries: 10_000_000, depth: 256 }
    }
}

impl Limits {
    pub(in crate::storage) fn check_bytes(&self, unpacked: u64, packed: u64) -> Result<()> {
        if unpacked > self.bytes {
            return Err(Error::new(
                Kind::Image,
                format!("the layer unpacks to more than the {} bytes allowed", self.bytes),
            ));
        }
        if unpacked > self.ratio_from && unpacked / self.ratio > packed {
            return Err(Error::new(
                Kind::Image,
                format!(
                    "the layer unpacks to more than {} times its size, as decompression bombs do",
                    self.ratio
                ),
            ));
        }
        Ok(())
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
    /// Directories that no entry described, by their path without symlinks.
    implied: BTreeSet<Vec<u8>>,
    /// Hard links (path, target) whose target is not in this layer.
    unresolved: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Unpacks the archive that `source` gives, compressed or not, into `root`.
pub(super) fn run(
    root: &OwnedFd,
    source: impl Read + Send + 'static,
    diff_id: &DiffId,
    limits: Limits,
) -> Result<Notes> {
    let ownership = if id_map::many_ids()? { Ownership::Set } else { Ownership::Recorded };
    let mut archive = tar::Archive::new(decode::start(source, diff_id, limits)?);
    let mut maker = Maker::new(root.as_fd(), ownership, umask()?, limits);
    while let Some(entry) = archive.next()? {
        maker.make(&entry, &mut archive)?;
    }
    archive.into_end()?;
    maker.finish()
}

/// This process's file mode creation mask, read without changing it.
fn umask() -> Result<u32> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|e| Error::new(Kind::Host, "read /proc/self/status").caused_by(e))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    // Without the line (Linux before 4.7) every bit may be masked, and every mode is set by hand.
    Ok(mask.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777))
}

#[cfg(test)]
mod peers;
#[cfg(test)]
mod tests;
