//! Room on the disk, while something is written whose size nobody has promised. Endless input would fill the disk, so
//! part of it is kept free, and writing stops before that part is used.

use crate::error::{Error, Kind, Result};
use crate::storage::record::failed;
use nix::sys::statvfs::{fstatvfs, statvfs};
use std::os::fd::AsFd;
use std::path::Path;

/// Bytes written between two looks at the room that is left.
pub const LOOK_EVERY: u64 = 256 << 10;
/// What is kept free: this part of the disk, and no more than so many bytes.
const KEPT_PART: u64 = 20;
const KEPT_MAX: u64 = 1 << 30;

/// Bytes that this user may still write to the disk that a directory is on.
///
/// # Errors
/// Those of statvfs(3).
pub fn free(dir: &Path) -> Result<u64> {
    let disk = statvfs(dir).map_err(|e| failed("look at the disk of", dir, e.into()))?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// Refuses to continue once only the reserved part of a file's disk is free; `written` bytes are in `place` already.
///
/// # Errors
/// [`Kind::Storage`] then.
pub fn check(file: impl AsFd, written: u64, place: &Path) -> Result<()> {
    // A file system that does not count its blocks has room until it says otherwise.
    let Ok(disk) = fstatvfs(file) else { return Ok(()) };
    let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
    let (free, all) = (bytes(disk.blocks_available()), bytes(disk.blocks()));
    let kept = (all / KEPT_PART).min(KEPT_MAX);
    if all == 0 || free > kept {
        return Ok(());
    }
    let (read, free, kept) = (written >> 20, free >> 20, kept >> 20);
    let message = format!(
        "there is no room for what is read: {read} MiB were written to {}, where {free} MiB are free and {kept} MiB are kept",
        place.display()
    );
    Err(Error::new(Kind::Storage, message).hint(
        "Make room: coracle system prune; or put the store where there is more: coracle --root DIR ...",
    ))
}
