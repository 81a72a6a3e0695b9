//! Emptying the trash, and moving leftovers of interrupted commands to it.

use super::discard;
use crate::error::Result;
use crate::storage::blobs::PARTIAL;
use crate::storage::claim;
use crate::storage::place::{Place, TMP, TRASH};
use crate::storage::record::failed;
use crate::storage::store::Store;
use crate::storage::tree::{names, remove_tree};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long an unfinished download is kept for the next pull.
const PARTIAL_GRACE: Duration = Duration::from_secs(24 * 3600);

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// Nothing is left.
    Clean,
    /// This many items were deleted; there may be more.
    Deleted(usize),
    /// Something is left that only a process inside the user namespace can delete.
    NeedsNamespace,
}

/// Deletes up to `limit` items from the trash.
///
/// # Errors
/// When the trash cannot be read.
pub fn sweep(store: &Store, limit: usize) -> Result<Swept> {
    // Not made here: a monitor comes by at its end, when somebody may be taking the whole store away.
    let Some(trash) = Place::find(&store.data().join(TRASH))? else { return Ok(Swept::Clean) };
    let mut deleted = 0;
    let mut stuck = false;
    for name in names(trash.as_fd()).map_err(|e| failed("read", trash.path(), e.into()))? {
        if deleted == limit {
            break;
        }
        crate::failpoint::reach("trash.sweep");
        match remove_tree(trash.as_fd(), &name) {
            Ok(()) => deleted += 1,
            // Another sweep may be at the same item; whatever is left is taken the next time.
            Err(_) => stuck = true,
        }
    }
    Ok(match (stuck, deleted) {
        (true, _) => Swept::NeedsNamespace,
        (false, 0) => Swept::Clean,
        (false, n) => Swept::Deleted(n),
    })
}

/// Moves what interrupted commands left to the trash: in `tmp/`, half-made containers, names that lead
/// nowhere. Returns how many.
///
/// # Errors
/// When `tmp/` cannot be read.
pub fn collect_leftovers(store: &Store) -> Result<usize> {
    let tmp = Place::make(&store.data().join(TMP))?;
    let mut count = store.containers().collect_half_made()?;
    count += store.pods().collect_half_made()?;
    count += store.containers().collect_stray_names()?;
    for name in names(tmp.as_fd()).map_err(|e| failed("read", tmp.path(), e.into()))? {
        // Ours are text; what else stands here goes as well.
        let (is_partial, name) =
            (name.to_bytes().starts_with(PARTIAL.as_bytes()), Path::new(OsStr::from_bytes(name.to_bytes())));
        if is_partial && !tmp.look(name)?.is_some_and(|found| is_old(found.st_mtime)) {
            continue;
        }
        let Some(_left) = claim::left(&tmp, name) else { continue };
        match discard(store.data(), &tmp, name) {
            Ok(moved) => count += usize::from(moved),
            Err(e) => log::debug!("{}", e.in_one_line()),
        }
    }
    Ok(count)
}

/// Whether a download that was last written then is not worth going on with; in seconds since 1970.
fn is_old(written: i64) -> bool {
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written.unsigned_abs());
    written.elapsed().unwrap_or_default() > PARTIAL_GRACE
}
