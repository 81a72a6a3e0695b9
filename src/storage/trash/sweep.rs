//! Emptying the trash, and moving leftovers of interrupted commands to it.

use super::discard;
use crate::error::Result;
use crate::storage::blobs::PARTIAL;
use crate::storage::place::{Place, TMP, TRASH};
use crate::storage::record::{failed, open_regular};
use crate::storage::store::Store;
use crate::storage::tree::{names, remove_tree};
use nix::fcntl::OFlag;
use std::fs::{File, TryLockError};
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

/// Something in `tmp/` that is younger may not be locked by its maker yet.
const GRACE: Duration = Duration::from_secs(60);
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
    count += store.containers().collect_stray_names()?;
    for name in names(tmp.as_fd()).map_err(|e| failed("read", tmp.path(), e.into()))? {
        let Ok(name) = name.into_string() else { continue };
        let grace = if name.starts_with(PARTIAL) { PARTIAL_GRACE } else { GRACE };
        let age = |written: i64| {
            let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written.unsigned_abs());
            written.elapsed().unwrap_or_default()
        };
        let old = tmp.look(&name)?.is_some_and(|found| age(found.st_mtime) > grace);
        // Its maker holds a shared lock for as long as it lives.
        if old && !is_locked(&tmp, &name) && discard(store.data(), &tmp, &name).is_ok_and(|moved| moved) {
            count += 1;
        }
    }
    Ok(count)
}

/// Whether somebody holds the lock on a file or directory of `tmp/`. Nobody can have one on anything else.
fn is_locked(tmp: &Place, name: &str) -> bool {
    let file = match tmp.below(name) {
        Ok(Some(below)) => below.as_fd().try_clone_to_owned().map(File::from),
        _ => open_regular(tmp.as_fd(), name, OFlag::O_RDONLY),
    };
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
