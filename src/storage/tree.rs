//! Directory trees, by descriptors: listing a directory, and deleting a tree.
//!
//! Theory of operation. Trees are never deleted through a symlink. A directory nested too deep for recursion is
//! moved up to the top of the tree first, so depth costs nothing. Mounts are not entered. Several processes may be at
//! the same tree, as monitors that end at once are at the trash: what another one has deleted is fine, or each of them
//! could give up because of the others, and nobody would be left to finish.

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
    let Some(top) = open_for_removal(parent, name)? else { return Ok(()) };
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
/// directory that another one threw away is not ours to delete. `None` when it is gone.
fn open_for_removal(parent: BorrowedFd<'_>, name: &CStr) -> nix::Result<Option<OwnedFd>> {
    let open = |flags: OFlag| {
        let flags = flags | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        open_within(parent, name, flags, ResolveFlag::RESOLVE_NO_XDEV)
    };
    let opened = match open(OFlag::O_RDONLY) {
        Err(Errno::EACCES) => open_up(parent, name).and_then(|()| open(OFlag::O_RDONLY)),
        other => other,
    };
    match opened {
        Err(Errno::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Lets its owner into a directory, and move it.
///
/// # Errors
/// Those of openat2(2) and fchmodat(2); `ENOTDIR` for what is no directory.
pub(super) fn open_up(parent: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let found = open_within(parent, name, flags, ResolveFlag::RESOLVE_NO_XDEV)?;
    let path = link_of(&found);
    stat::fchmodat(fcntl::AT_FDCWD, path.as_str(), Mode::S_IRWXU, FchmodatFlags::FollowSymlink)
}

/// Empties a directory; true when something was moved to `top`, which must be emptied again.
fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, depth: usize) -> nix::Result<bool> {
    let mut moved = false;
    for name in names(dir)? {
        if let Gone::Yes = unlink(dir, &name, UnlinkatFlags::NoRemoveDir)? {
            continue;
        }
        if depth >= DEPTH {
            match fcntl::renameat(dir, name.as_c_str(), top, unique().as_str()) {
                Err(Errno::ENOENT) => {}
                other => other?,
            }
            moved = true;
            continue;
        }
        let Some(below) = open_for_removal(dir, &name)? else { continue };
        moved |= empty(below.as_fd(), top, depth + 1)?;
        drop(below);
        unlink(dir, &name, UnlinkatFlags::RemoveDir)?;
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// Monitors that end at once empty the trash at once, and the last one is not to give up because of the others.
    #[test]
    fn several_at_the_same_tree_delete_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = File::open(dir.path()).unwrap();
        for _ in 0..20 {
            for at in 0..100 {
                std::fs::create_dir_all(dir.path().join(format!("tree/{at}/a/b"))).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| remove_tree(held.as_fd(), c"tree").unwrap());
                }
            });
            assert!(!dir.path().join("tree").exists());
        }
    }
}
