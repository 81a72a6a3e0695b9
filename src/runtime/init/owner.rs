//! Option `U` of a mount: the source and everything in it is given to the payload's user.
//!
//! Works from descriptors and follows no symlink: what lies in the source may be the work of an earlier
//! container. Other file systems mounted within are left alone.

use crate::fork::{Doing, Failure};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Gives `source` to this user and group, numbers of this process's user namespace; `shown` names it in failures.
pub(in crate::runtime) fn hand_over(
    source: BorrowedFd<'_>,
    shown: &Path,
    uid: u32,
    gid: u32,
) -> Result<(), Failure> {
    let to = Owner { uid, gid };
    let give = || -> nix::Result<()> {
        let found = fstatat(source, c"", AtFlags::AT_EMPTY_PATH)?;
        if is_dir(&found) {
            to.below(source, c".", found.st_dev)?;
        }
        to.take(source, c"", &found)
    };
    give().doing("change the owner of", shown)
}

struct Owner {
    uid: u32,
    gid: u32,
}

fn is_dir(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

impl Owner {
    /// Takes what is in the directory `name` of `parent`, as far as it is on this device.
    fn below(&self, parent: BorrowedFd<'_>, name: &CStr, device: u64) -> nix::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut dir = Dir::openat(parent, name, flags, Mode::empty())?;
        let here = openat(parent, name, flags | OFlag::O_PATH, Mode::empty())?;
        for entry in dir.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let found = match fstatat(here.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Removed meanwhile: another container may be using the volume.
                Err(Errno::ENOENT) => continue,
                other => other?,
            };
            if found.st_dev != device {
                continue;
            }
            if is_dir(&found) {
                self.below(here.as_fd(), name, device)?;
            }
            self.take(here.as_fd(), name, &found)?;
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
