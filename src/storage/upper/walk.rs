//! Going through a tree by descriptors.

use crate::storage::tree;
use crate::storage::unpack::{DIRECTORY, file_type, lstat};
use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{FileStat, Mode, SFlag};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Calls `visit` for everything below a directory: with the directory that it is in, its name there and its status. A
/// directory comes before what is in it. Not by recursion: how deep it goes is for a container to say.
///
/// # Errors
/// Those of openat(2), getdents64(2) and fstatat(2), and of `visit`.
pub(super) fn walk(
    top: BorrowedFd<'_>,
    mut visit: impl FnMut(BorrowedFd<'_>, &CStr, &FileStat) -> nix::Result<()>,
) -> nix::Result<()> {
    let level = |dir: OwnedFd| -> nix::Result<(OwnedFd, std::vec::IntoIter<CString>)> {
        let names = tree::names(dir.as_fd())?;
        Ok((dir, names.into_iter()))
    };
    let mut open = vec![level(openat(top, ".", DIRECTORY, Mode::empty())?)?];
    while let Some((dir, names)) = open.last_mut() {
        let Some(name) = names.next() else {
            open.pop();
            continue;
        };
        let Some(status) = lstat(dir.as_fd(), &name)? else { continue };
        visit(dir.as_fd(), &name, &status)?;
        if file_type(&status) != SFlag::S_IFDIR {
            continue;
        }
        match openat(&*dir, name.as_c_str(), DIRECTORY, Mode::empty()) {
            // `visit` has removed it.
            Err(Errno::ENOENT) => {}
            below => open.push(level(below?)?),
        }
    }
    Ok(())
}
