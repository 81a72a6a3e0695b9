//! Directories for what is being made.
//!
//! Theory of operation. A directory in `tmp/` has a lock on it while its maker lives ([`claim`]), so that a clean-up
//! knows that somebody is at work there. Dropped, it is deleted. What a killed process leaves is unlocked, and the next
//! command that makes something takes it (`trash::collect_leftovers`).

use super::claim;
use super::place::{Place, TMP};
use super::record::failed;
use super::trash;
use crate::error::Result;
use nix::fcntl::RenameFlags;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

/// A directory in `tmp/`, deleted on drop unless it was moved to its place.
#[derive(Debug)]
pub struct Scratch {
    tmp: Place,
    name: String,
    home: Place,
    placed: bool,
    lock: File,
}

impl Scratch {
    /// A new, empty one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn below(data: &Path) -> Result<Scratch> {
        let tmp = Place::make(&data.join(TMP))?;
        let (name, home, lock) = claim::new_directory(&tmp)?;
        Ok(Scratch { tmp, name, home, placed: false, lock })
    }

    /// The directory.
    pub(super) fn home(&self) -> &Place {
        &self.home
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// The same directory, for a forked process that may move it to its place. Nothing happens to what has been moved
    /// when the other handle is dropped.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn again(&self) -> Result<Scratch> {
        let failed = |e| failed("open", self.home.path(), e);
        Ok(Scratch {
            tmp: self.tmp.again().map_err(failed)?,
            name: self.name.clone(),
            home: self.home.again().map_err(failed)?,
            placed: false,
            lock: self.lock.try_clone().map_err(failed)?,
        })
    }

    /// The descriptors that a forked process needs to go on with it.
    pub fn descriptors(&self) -> [RawFd; 3] {
        [self.tmp.as_fd().as_raw_fd(), self.home.as_fd().as_raw_fd(), self.lock.as_raw_fd()]
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

    /// As [`Scratch::place`], for a name that must be free.
    ///
    /// # Errors
    /// Those of renameat2(2); `EEXIST` when the name is taken.
    pub(super) fn place_new(&mut self, to: &Place, name: &str) -> nix::Result<()> {
        self.tmp.rename_as(&self.name, to, name, RenameFlags::RENAME_NOREPLACE)?;
        self.placed = true;
        Ok(())
    }

    /// Puts it in the place of what is there, which is deleted in its stead.
    ///
    /// # Errors
    /// Those of renameat2(2).
    pub(super) fn exchange(self, to: &Place, name: &str) -> nix::Result<()> {
        self.tmp.rename_as(&self.name, to, name, RenameFlags::RENAME_EXCHANGE)
    }
}

impl AsFd for Scratch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.home.as_fd()
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.placed {
            let deleted = trash::remove_in(&self.tmp, self.name.as_str());
            // Files of other ids are deleted by somebody in the user namespace. What stays behind is unlocked now, and
            // the next clean-up takes it.
            if let (Err(_), Some(data)) = (deleted, self.tmp.path().parent()) {
                let _ = trash::discard(data, &self.tmp, &self.name);
            }
        }
    }
}
