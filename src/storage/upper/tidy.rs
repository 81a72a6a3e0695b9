//! Making a tree say what its archive says: times, and what an archive cannot hold.

use super::Upper;
use super::walk::walk;
use crate::error::Result;
use crate::storage::tree::{keep_times, remove_tree};
use crate::storage::unpack::file_type;
use crate::storage::whiteout;
use nix::sys::stat::{FileStat, SFlag, UtimensatFlags, fstat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// Which times files get, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Times {
    /// This one, all of them.
    All(i64),
    /// This one, those that are later.
    Latest(i64),
}

impl Times {
    /// The time for a file with this one; `None` when that is right.
    fn instead_of(self, status: &FileStat) -> Option<TimeSpec> {
        let found = (status.st_mtime, status.st_mtime_nsec);
        let (wrong, wanted) = match self {
            Times::All(time) => (found != (time, 0), time),
            Times::Latest(time) => (found > (time, 0), time),
        };
        wrong.then(|| TimeSpec::new(wanted, 0))
    }
}

impl Upper {
    /// Removes what an archive cannot hold: sockets, and files whose names would hide others. The times of the
    /// directories that they are in stay.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(in crate::storage) fn tidy(&self) -> Result<()> {
        let remove = |dir: BorrowedFd<'_>, name: &CStr, status: &FileStat| match file_type(status) {
            SFlag::S_IFDIR if whiteout::is_reserved(name.to_bytes()) => {
                keep_times(dir, || remove_tree(dir, name))
            }
            kind if kind == SFlag::S_IFSOCK || whiteout::is_reserved(name.to_bytes()) => {
                // A whiteout of such a name is packed as what it is.
                if whiteout::is_at(dir, name, status)? {
                    return Ok(());
                }
                keep_times(dir, || unlinkat(dir, name, UnlinkatFlags::NoRemoveDir))
            }
            _ => Ok(()),
        };
        walk(self.top(), remove).map_err(|e| self.fail(e))
    }

    /// Sets times.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(in crate::storage) fn set_times(&self, times: Times) -> Result<()> {
        let set = || -> nix::Result<()> {
            walk(self.top(), |dir, name, status| match times.instead_of(status) {
                Some(time) => utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink),
                None => Ok(()),
            })?;
            match times.instead_of(&fstat(self.top())?) {
                Some(time) => futimens(self.top(), &time, &time),
                None => Ok(()),
            }
        };
        set().map_err(|e| self.fail(e))
    }
}
