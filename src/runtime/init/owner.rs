//! Mount option `U`: changes the owner of the source and everything in it to the payload's user, unless the source
//! itself is that user's already.
//!
//! It works from descriptors and follows no symlinks, because the contents of the source may come from an
//! earlier container. Other file systems mounted inside are left alone.

use crate::fork::{Doing, Failure};
use crate::storage::tree;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Changes the owner of `source` to this user and group, numbers of this process's user namespace; `shown`
/// names it in failures.
pub(in crate::runtime) fn hand_over(
    source: BorrowedFd<'_>,
    shown: &Path,
    uid: u32,
    gid: u32,
) -> Result<(), Failure> {
    let to = Owner { uid, gid };
    let give = || -> nix::Result<()> {
        let found = fstatat(source, c"", AtFlags::AT_EMPTY_PATH)?;
        // The top is given away last, so what is in it has been, and what others own there since is theirs.
        if (found.st_uid, found.st_gid) == (uid, gid) {
            return Ok(());
        }
        if is_dir(&found) {
            to.below(source, &found)?;
        }
        to.take(source, c"", &found)
    };
    give().doing("change the owner of", shown)
}

struct Owner {
    uid: u32,
    gid: u32,
}

/// A directory that is given away when all that is in it has been.
struct Level {
    dir: OwnedFd,
    names: std::vec::IntoIter<CString>,
    /// Its own name, and what is known of it.
    own: (CString, FileStat),
}

impl Level {
    fn open(parent: BorrowedFd<'_>, own: (CString, FileStat)) -> nix::Result<Level> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = openat(parent, own.0.as_c_str(), flags, Mode::empty())?;
        Ok(Level { names: tree::names(dir.as_fd())?.into_iter(), dir, own })
    }
}

fn is_dir(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

impl Owner {
    /// Takes what is in a directory, as far as it is on this device. Not by recursion: how deep it goes was for
    /// a container to say.
    fn below(&self, top: BorrowedFd<'_>, found: &FileStat) -> nix::Result<()> {
        let device = found.st_dev;
        let mut open = vec![Level::open(top, (c".".to_owned(), *found))?];
        while let Some(mut level) = open.pop() {
            let Some(name) = level.names.next() else {
                if let Some(above) = open.last() {
                    self.take(above.dir.as_fd(), &level.own.0, &level.own.1)?;
                }
                continue;
            };
            let found = match fstatat(&level.dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Removed meanwhile: another container may be using the volume.
                Err(Errno::ENOENT) => None,
                other => Some(other?).filter(|found| found.st_dev == device),
            };
            let below = match found {
                Some(found) if is_dir(&found) => Some(Level::open(level.dir.as_fd(), (name, found))?),
                Some(found) => self.take(level.dir.as_fd(), &name, &found).map(|()| None)?,
                None => None,
            };
            open.push(level);
            open.extend(below);
        }
        Ok(())
    }

    fn take(&self, dir: BorrowedFd<'_>, name: &CStr, found: &FileStat) -> nix::Result<()> {
        if (found.st_uid, found.st_gid) == (self.uid, self.gid) {
            return Ok(());
        }
        let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
        match fchownat(dir, name, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)), flags) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        }
    }
}
