//! Where files are copied from.

use super::ignore::Ignore;
use super::path::shown;
use crate::error::{Error, Kind};
use crate::storage::record;
use crate::sys::fd::{despite_leases, open_within};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{FileStat, SFlag, fstat};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Whom the files of a tree belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// A context: whoever they are of on the host, in an image they are root's.
    Root,
    /// A stage or an image: they keep their owners.
    Kept,
}

/// A context, a stage or an image that files are copied from.
#[derive(Debug)]
pub struct Tree {
    /// Its root directory, open for reading. Nothing outside is ever reached.
    pub root: OwnedFd,
    /// What is left out of it.
    pub ignore: Option<Ignore>,
    /// Whom its files belong to.
    pub owners: Owners,
}

impl Tree {
    /// Opens a regular file by its path without symlinks, with its status.
    ///
    /// # Errors
    /// Those of openat2(2); `ESTALE` when it is no regular file any more.
    pub(super) fn open(&self, path: &[u8]) -> nix::Result<(File, FileStat)> {
        let file = File::from(despite_leases(|| self.open_as(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK))?);
        let status = fstat(&file)?;
        match crate::storage::unpack::file_type(&status) {
            SFlag::S_IFREG => Ok((file, status)),
            _ => Err(Errno::ESTALE),
        }
    }

    /// Opens a directory by its path without symlinks.
    ///
    /// # Errors
    /// Those of openat2(2).
    pub(super) fn open_dir(&self, path: &[u8]) -> nix::Result<OwnedFd> {
        self.open_as(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    fn open_as(&self, path: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
        let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let path = CString::new(if path.is_empty() { b"." } else { path }).map_err(|_| Errno::EINVAL)?;
        open_within(self.root.as_fd(), path.as_c_str(), flags | OFlag::O_NOCTTY, bounds)
    }
}

/// As [`failed`], where the standard library has read or written.
pub(super) fn io_failed(doing: &str, path: &[u8], error: &io::Error) -> Error {
    failed(doing, path, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

/// As [`failed`], for a source that could not be opened.
pub(super) fn unreadable(doing: &str, path: &[u8], errno: Errno) -> Error {
    let error = failed(doing, path, errno);
    match errno {
        Errno::EACCES => error.hint(
            "This account may not read it. Let it: chmod u+rX FILE (before it is packed, if the context is an \
             archive); or leave it out in .containerignore.",
        ),
        _ => error,
    }
}

/// A failed step on a file that is copied from or to, in words.
pub(super) fn failed(doing: &str, path: &[u8], errno: Errno) -> Error {
    let error = Error::new(Kind::Storage, format!("{doing} {}", shown(path))).caused_by(errno);
    match errno {
        // What to do about these does not depend on the place.
        Errno::ENOSPC | Errno::EDQUOT | Errno::EMFILE | Errno::EIO => match record::hint(Some(errno)) {
            Some(hint) => error.hint(hint),
            None => error,
        },
        _ => error,
    }
}
