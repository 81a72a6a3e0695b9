//! `COPY --link`: files are written as if nothing was there, and then laid over what is.
//!
//! Theory of operation. BuildKit makes such a layer on an empty tree. Overlay would show the same as if what stands in
//! the way of it had been removed before, so that is what is done here: a symlink or file on the way to a destination
//! is replaced by a directory, and what is at a destination that is a file by that.

use super::tree::failed;
use super::within::open_dir;
use crate::error::Result;
use crate::storage::tree::remove_tree;
use crate::storage::unpack::{BASE, file_type, lstat};
use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

/// What is to be at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A directory.
    Directory,
    /// Something else.
    File,
}

/// Removes what stands in the way of a plain path in a root.
pub(super) fn clear_way(root: BorrowedFd<'_>, path: &[u8], end: End) -> Result<()> {
    clear(root, path, end).map_err(|e| failed("replace", path, e))
}

fn clear(root: BorrowedFd<'_>, path: &[u8], end: End) -> nix::Result<()> {
    let mut here = openat(root, ".", BASE, Mode::empty())?;
    let mut parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let name = CString::new(part).map_err(|_| Errno::EINVAL)?;
        let Some(status) = lstat(here.as_fd(), &name)? else { return Ok(()) };
        let is_directory = file_type(&status) == SFlag::S_IFDIR;
        match (is_directory, parts.peek().is_none() && end == End::File) {
            (_, true) => return remove_tree(here.as_fd(), &name),
            (true, false) => here = open_dir(here.as_fd(), &name)?,
            (false, false) => return unlink(here.as_fd(), &name),
        }
    }
    Ok(())
}

/// Removes what is no directory.
pub(super) fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
