//! Directories for what is being made.
//!
//! Theory of operation. A directory in `tmp/` has a lock on it while its maker lives, so that a clean-up knows that
//! somebody is at work there. Dropped, it is deleted. What a killed process leaves is unlocked, and the next command
//! that makes something takes it (`trash::collect_leftovers`).

use super::place::{Place, TMP};
use super::record::{failed, unique};
use super::trash;
use crate::error::Result;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A directory in `tmp/`, deleted on drop unless it was moved to its place.
#[derive(Debug)]
pub struct Scratch {
    tmp: Place,
    name: String,
    home: Place,
    placed: bool,
    _lock: File,
}

impl Scratch {
    /// A new, empty one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn below(data: &Path) -> Result<Scratch> {
        let tmp = Place::make(&data.join(TMP))?;
        let name = unique();
        let home = tmp.new_below(&name)?;
        let lock = home.as_fd().try_clone_to_owned().map(File::from);
        let lock = lock.and_then(|file| file.lock_shared().map(|()| file));
        let lock = lock.map_err(|e| failed("lock", home.path(), e))?;
        Ok(Scratch { tmp, name, home, placed: false, _lock: lock })
    }

    /// The directory.
    pub(super) fn home(&self) -> &Place {
        &self.home
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Moves it to its place.
    ///
    /// # Errors
    /// Those of renameat2(2); something that is there already is not replaced, and this one deleted.
    pub(super) fn place(mut self, to: &Place, name: &str) -> nix::Result<()> {
        self.tmp.rename(&self.name, to, name)?;
        self.placed = true;
        Ok(())
    }
}

impl AsFd for Scratch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.home.as_fd()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.placed {
            // What stays behind is unlocked now, and the next clean-up takes it.
            let _ = trash::remove_in(&self.tmp, self.name.as_str());
        }
    }
}
