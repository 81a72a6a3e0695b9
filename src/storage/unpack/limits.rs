//! Limits on archives.

use crate::error::{Error, Kind, Result};

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
