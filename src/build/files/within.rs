//! Paths inside a root that somebody else has filled, resolved by hand.
//!
//! Theory of operation. A path is followed component by component. Each directory is opened in the one before, by name
//! and without following; a symlink's target is put in the place of its name. `..` goes back to the directory that
//! led here, which is still open, and nothing goes above the root. So the result is the directory of the file, open,
//! its path without symlinks, and the name in it: whatever is swapped in meanwhile, nothing outside is reached
//! (attack case 41).

use super::path::join;
use crate::storage::unpack::{BASE, file_type, lstat};
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag};
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Symlinks followed on one path (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Most directories on the way.
pub(super) const DEPTH_MAX: usize = 256;

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory it is in (`O_PATH`).
    pub(super) dir: OwnedFd,
    /// The path of that directory, without symlinks.
    pub(super) dir_path: Vec<u8>,
    /// Its name there; `.` for the root itself.
    pub(super) name: CString,
    /// Its status, if it is there.
    pub(super) status: Option<FileStat>,
}

impl Found {
    /// Its path, without symlinks.
    pub(super) fn path(&self) -> Vec<u8> {
        match self.name.to_bytes() {
            b"." => self.dir_path.clone(),
            name => join(&self.dir_path, name),
        }
    }

    /// What it is; `None` if it is not there.
    pub(super) fn kind(&self) -> Option<SFlag> {
        self.status.as_ref().map(file_type)
    }

    /// Opens it as a directory (`O_PATH`).
    pub(super) fn directory(&self) -> nix::Result<OwnedFd> {
        open_dir(self.dir.as_fd(), &self.name)
    }
}

/// Opens a directory by its name in another one, without following.
pub(super) fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<OwnedFd> {
    openat(dir, name, BASE | nix::fcntl::OFlag::O_NOFOLLOW, Mode::empty())
}

/// Looks a path up in `root`, symlinks followed, one at its end too. If something is missing on the way, `make` gets the directory it is missing in and its
/// name, and makes it or says why not; what the path itself leads to may be missing.
///
/// # Errors
/// Those of `make`, openat(2), fstatat(2) and readlinkat(2); `ELOOP` and `ENAMETOOLONG` for too many symlinks and
/// directories.
pub(super) fn find(
    root: BorrowedFd<'_>,
    path: &[u8],
    mut make: impl FnMut(BorrowedFd<'_>, &CStr) -> nix::Result<()>,
) -> nix::Result<Found> {
    let root = openat(root, ".", BASE, Mode::empty())?;
    let mut todo: VecDeque<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    let mut way: Vec<(CString, OwnedFd)> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                way.pop();
                continue;
            }
            _ => {}
        }
        let name = CString::new(part).map_err(|_| Errno::EINVAL)?;
        let here = way.last().map_or(root.as_fd(), |(_, fd)| fd.as_fd());
        let at_end = todo.iter().all(|part| matches!(part.as_slice(), b"" | b"."));
        let mut status = lstat(here, &name)?;
        if status.is_none() && !at_end {
            make(here, &name)?;
            status = lstat(here, &name)?;
        }
        match status.as_ref().map(file_type) {
            Some(SFlag::S_IFLNK) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::ELOOP);
                }
                let target = readlinkat(here, name.as_c_str())?;
                let target = target.as_bytes();
                if target.starts_with(b"/") {
                    way.clear();
                }
                target.rsplit(|b| *b == b'/').for_each(|part| todo.push_front(part.to_vec()));
            }
            _ if at_end => {
                let dir_path = path_of(&way);
                let dir = way.pop().map_or(root, |(_, fd)| fd);
                return Ok(Found { dir, dir_path, name, status });
            }
            Some(SFlag::S_IFDIR) if way.len() < DEPTH_MAX => {
                let next = open_dir(here, &name)?;
                way.push((name, next));
            }
            Some(SFlag::S_IFDIR) => return Err(Errno::ENAMETOOLONG),
            Some(_) => return Err(Errno::ENOTDIR),
            None => return Err(Errno::ENOENT),
        }
    }
    // It ended with `..`, or is the root.
    let dir_path = path_of(&way[..way.len().saturating_sub(1)]);
    let Some((name, _)) = way.pop() else {
        let status = lstat(root.as_fd(), c".")?;
        return Ok(Found { dir: root, dir_path: Vec::new(), name: c".".to_owned(), status });
    };
    let dir = way.pop().map_or(root, |(_, fd)| fd);
    let status = lstat(dir.as_fd(), &name)?;
    Ok(Found { dir, dir_path, name, status })
}

fn path_of(way: &[(CString, OwnedFd)]) -> Vec<u8> {
    way.iter().map(|(name, _)| name.to_bytes()).collect::<Vec<_>>().join(&b'/')
}

/// As [`find`], where nothing is made.
///
/// # Errors
/// As there; `ENOENT` for what is missing on the way.
pub(super) fn look_up(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<Found> {
    find(root, path, |_, _| Err(Errno::ENOENT))
}
