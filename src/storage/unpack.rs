//! Unpacking a layer's archive.
//!
//! Theory of operation. Three steps on two threads: `decode` decompresses and verifies the archive, `tar`
//! parses it into entries, and `entry` creates them in the layer's own directory, through `tree`. What can only
//! be decided with the layers below is noted and left to `finish`.

mod attributes;
pub(in crate::storage) mod decode;
mod entry;
pub mod extract;
pub(in crate::storage) mod finish;
mod limits;
mod notes;
pub mod owners;
pub(in crate::storage) mod tar;
mod tree;

pub(in crate::storage) use attributes::copy as copy_xattrs;
pub use attributes::{chmod_held, set_from_archive};
pub use limits::Limits;
pub use notes::Notes;
pub use tree::{BASE, DIRECTORY, file_type, lstat};
pub(in crate::storage) use tree::{normalise, resolve};

use crate::error::{Error, Kind, Result};
use crate::image::DiffId;
use crate::storage::id_ranges;
use crate::sys::read::text_of;
use entry::{Maker, Ownership};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// Unpacks the archive that `source` gives, compressed or not, into `root`.
pub(super) fn run(
    root: &OwnedFd,
    source: impl Read + Send + 'static,
    diff_id: &DiffId,
    limits: Limits,
) -> Result<Notes> {
    let ownership = if id_ranges::many_ids()? { Ownership::Set } else { Ownership::Recorded };
    let mut archive = tar::Archive::new(decode::start(source, diff_id, limits)?);
    let mut maker = Maker::new(root.as_fd(), ownership, umask()?, limits);
    while let Some(entry) = archive.next()? {
        maker.make(&entry, &mut archive)?;
    }
    archive.into_end()?;
    maker.finish()
}

/// How many bytes [`is_archive`] needs.
pub const ARCHIVE_START: usize = tar::BLOCK;

/// Whether a file that begins so can be an archive, plain or compressed, and is no text.
pub fn is_archive(start: &[u8]) -> bool {
    decode::format(start) != "tar" || start.first_chunk().is_some_and(tar::begins_with)
}

/// This process's file mode creation mask, read without changing it.
fn umask() -> Result<u32> {
    let status = text_of("/proc/self/status")
        .map_err(|e| Error::new(Kind::Host, "read /proc/self/status").caused_by(e))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    // Without the line (Linux before 4.7) every bit may be masked, and every mode is set by hand.
    Ok(mask.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777))
}

#[cfg(test)]
mod peers;
#[cfg(test)]
mod tests;
