//! Containers that are being created, and leftovers of killed creators.

use super::{Containers, files, locks};
use crate::container::ContainerId;
use crate::error::Result;
use crate::storage::record::failed;
use crate::storage::{trash, tree};
use chrono::Utc;
use nix::sys::stat::fstat;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What the names of containers that are being made begin with.
const NEW: &str = ".new-";

/// Seconds after which a directory that its creator has not come to lock is what somebody left.
const UNLOCKED_GRACE: i64 = 60;

/// The name of a container's directory while it is being made.
pub(super) fn aside(id: &ContainerId) -> String {
    format!("{NEW}{id}")
}

impl Containers {
    /// Moves to the trash what killed creators and removers left: directories that are no container yet, or
    /// none any more, and that nobody is at work in. Returns their number.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn collect_half_made(&self) -> Result<usize> {
        let Some(containers) = self.place()? else { return Ok(0) };
        let mut count = 0;
        let fail = |e: nix::Error| failed("read", containers.path(), e.into());
        for name in tree::names(containers.as_fd()).map_err(fail)? {
            let Ok(name) = name.into_string() else { continue };
            let id = name.strip_prefix(NEW).unwrap_or(&name);
            // Anything that is not a directory, or cannot be opened, is reported by `system check`.
            let (Ok(id), Ok(Some(dir))) = (id.parse::<ContainerId>(), containers.below(&name)) else {
                continue;
            };
            let whole =
                id.as_str() == name && (files::is_there(dir.as_fd(), "summary") || is_alive(dir.as_fd()));
            if whole {
                continue;
            }
            if let Ok(Some(_lock)) = abandoned(dir.as_fd())
                && self.discard_dead(&containers, &name, &id).is_ok_and(|moved| moved)
            {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whether a container of this id is being made at this moment. What a killed creator left is removed.
    pub(super) fn is_being_made(&self, id: &ContainerId) -> Result<bool> {
        let Some(containers) = self.place()? else { return Ok(false) };
        let Ok(Some(dir)) = containers.below(&aside(id)) else { return Ok(false) };
        let lock = abandoned(dir.as_fd()).map_err(|e| failed("lock", dir.path(), e))?;
        if lock.is_none() {
            return Ok(true);
        }
        // It may have got its place since we found it here: then it is not what somebody left.
        if containers.look(aside(id))?.is_some() {
            let _ = trash::discard(&self.data, &containers, aside(id));
        }
        Ok(false)
    }
}

fn is_alive(dir: BorrowedFd<'_>) -> bool {
    locks::is_alive(dir, "alive")
}

/// The lock of a half-made directory when nobody else holds it. Its maker takes it a moment after it has made
/// the directory, and writes into the file under it: before that, only age tells.
fn abandoned(dir: BorrowedFd<'_>) -> io::Result<Option<locks::DirLock>> {
    let noted = files::read(dir, "lock").ok().flatten().is_some_and(|note| !note.is_empty());
    if !noted && Utc::now().timestamp() - fstat(dir)?.st_mtime <= UNLOCKED_GRACE {
        return Ok(None);
    }
    locks::try_lock(dir)
}
