//! Directory trees, by descriptors: listing a directory, and deleting a tree.
//!
//! Theory of operation. Trees are never deleted through a symlink. A directory nested too deep for recursion is
//! moved up to the top of the tree first, so depth costs nothing. Mounts are not entered.

use super::record::unique;
use crate::sys::fd::{link_of, open_within};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag, ResolveFlag};
use nix::sys::stat::{self, FchmodatFlags, Mode};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Deepest recursion; each level holds one descriptor.
const DEPTH: usize = 64;

/// The names in a directory, without `.` and `..`.
///
/// # Errors
/// Those of openat(2) and getdents64(2).
pub fn names(dir: BorrowedFd<'_>) -> nix::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut stream = Dir::openat(dir, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in stream.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Deletes `name` in `parent` with everything below it; one that is not there is fine.
///
/// # Errors
/// Those of unlinkat(2) and openat(2).
pub fn remove_tree(parent: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    match unlink(parent, name, UnlinkatFlags::NoRemoveDir)? {
        Gone::Yes => return Ok(()),
        Gone::IsDirectory => {}
    }
    let top = open_for_removal(parent, name)?;
    empty_tree(top.as_fd())?;
    unlink(parent, name, UnlinkatFlags::RemoveDir).map(drop)
}

/// Deletes everything in a directory, which stays.
///
/// # Errors
/// Those of unlinkat(2) and openat(2).
pub(super) fn empty_tree(dir: BorrowedFd<'_>) -> nix::Result<()> {
    // Deep directories are moved up to the top while it is being emptied.
    while empty(dir, dir, 0)? {}
    Ok(())
}

/// Changes what is in a directory but not its times.
///
/// # Errors
/// Those of fstat(2) and utimensat(2), and of `change`.
pub(super) fn keep_times(dir: BorrowedFd<'_>, change: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    let before = stat::fstat(dir)?;
    change()?;
    let accessed = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    stat::futimens(dir, &accessed, &TimeSpec::new(before.st_mtime, before.st_mtime_nsec))
}

enum Gone {
    Yes,
    IsDirectory,
}

fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: UnlinkatFlags) -> nix::Result<Gone> {
    let again = || unlinkat(parent, name, flags);
    let result = match again() {
        // A directory that its owner may not write is opened up first.
        Err(Errno::EACCES) => stat::fchmod(parent, Mode::S_IRWXU).and_then(|()| again()),
        other => other,
    };
    match result {
        Ok(()) | Err(Errno::ENOENT) => Ok(Gone::Yes),
        Err(Errno::EISDIR) => Ok(Gone::IsDirectory),
        Err(e) => Err(e),
    }
}

/// Opens a directory to be emptied, unless something is mounted there: what a process mounted into a
/// directory that another one threw away is not ours to delete.
fn open_for_removal(parent: BorrowedFd<'_>, name: &CStr) -> nix::Result<OwnedFd> {
    let open = |flags: OFlag| {
        let flags = flags | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        open_within(parent, name, flags, ResolveFlag::RESOLVE_NO_XDEV)
    };
    match open(OFlag::O_RDONLY) {
        Err(Errno::EACCES) => {
            let found = open(OFlag::O_PATH)?;
            let path = link_of(&found);
            stat::fchmodat(fcntl::AT_FDCWD, path.as_str(), Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
            open(OFlag::O_RDONLY)
        }
        other => other,
    }
}

/// Empties a directory; true when something was moved to `top`, which must be emptied again.
fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, depth: usize) -> nix::Result<bool> {
    let mut moved = false;
    for name in names(dir)? {
        if let Gone::Yes = unlink(dir, &name, UnlinkatFlags::NoRemoveDir)? {
            continue;
        }
        if depth >= DEPTH {
            fcntl::renameat(dir, name.as_c_str(), top, unique().as_str())?;
            moved = true;
            continue;
        }
        let below = open_for_removal(dir, &name)?;
        moved |= empty(below.as_fd(), top, depth + 1)?;
        drop(below);
        unlink(dir, &name, UnlinkatFlags::RemoveDir)?;
    }
    Ok(moved)
}
