//! Deleting: rename into `trash/` first, take apart later.
//!
//! Theory of operation. One rename makes a thing invisible, whatever its size; the slow part comes when
//! nobody waits for it. Trees are taken apart by descriptors and never through a symlink. A directory
//! nested too deep for recursion is moved up to the top of the tree first, so depth costs nothing.
//! Files of other ids need the user namespace; plain unlinking is tried first, and what it cannot do is
//! reported as [`Swept::NeedsNamespace`] for the caller to enter one.

use super::Store;
use super::blobs::PARTIAL;
use super::place::{Place, TMP, TRASH};
use super::record::{failed, open_regular, unique};
use crate::error::Result;
use crate::sys::fd::{link_of, open_within};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag, ResolveFlag};
use nix::sys::stat::{self, FchmodatFlags, Mode};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::fs::{File, TryLockError};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Deepest recursion; each level holds one descriptor.
const DEPTH: usize = 64;

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

/// Moves something in a directory of the store out of sight, whatever it is; gives whether it was there.
pub(super) fn discard(data: &Path, from: &Place, name: &str) -> Result<bool> {
    let trash = Place::make(&data.join(TRASH))?;
    match from.rename(name, &trash, &unique()) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(e) => Err(failed("remove", &from.path().join(name), e.into())),
    }
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
/// nowhere. Gives how many.
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

/// Deletes a file or tree in a directory of the store.
pub(super) fn remove_in(place: &Place, name: impl Into<Vec<u8>>) -> Result<()> {
    let name = name.into();
    let path = place.path().join(std::ffi::OsStr::from_bytes(&name));
    let name = CString::new(name).map_err(|e| failed("remove", &path, e.into()))?;
    remove_tree(place.as_fd(), &name).map_err(|e| failed("remove", &path, e.into()))
}

/// Deletes `name` in `parent` with everything below it; one that is not there is fine.
///
/// # Errors
/// Those of unlinkat(2) and openat(2).
pub(super) fn remove_tree(parent: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
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
