//! Having a container on the disk before a verb says that it is there.
//!
//! Theory of operation. Records are renamed into place and not synced: short containers pay for no disk. One that
//! is to outlive its run is synced as a whole, once, before the verb that made it reports success: what is in
//! its files, then its directory, then the two directories that lead to it. Until then a power cut may leave
//! any part of it, which readers take as a container whose records are lost, and nothing was promised. What can
//! be made again of these (`summary`) or is of one run only (`run.json`, `exit.json`) is not waited for.

use super::super::files;
use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::fsync;
use std::os::fd::{AsFd, BorrowedFd};

/// The files that cannot be made again.
const KEPT: [&str; 2] = ["plan.json", "settings.json"];

impl ContainerDir {
    /// Has what makes the container written to the disk, its names included; returns when it is there.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn keep(&self) -> Result<()> {
        let work = || -> nix::Result<()> {
            for name in KEPT {
                sync_file(self.fd(), name)?;
            }
            match files::open_dir(self.fd(), "secrets") {
                Ok(secrets) => sync_all(secrets.as_fd())?,
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e),
            }
            fsync(self.fd())?;
            self.keep_names()
        };
        work().context(Kind::Storage, || self.doing("write the records to the disk"))
    }

    /// Has the names that lead to containers written to the disk.
    pub(in crate::storage::containers) fn keep_names(&self) -> nix::Result<()> {
        let base = files::open_dir(AT_FDCWD, &self.data.to_string_lossy())?;
        for name in ["containers", "names"] {
            fsync(files::open_dir(&base, name)?)?;
        }
        Ok(())
    }
}

fn sync_file(dir: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(file) => fsync(file),
        // Not every container has each of them.
        Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The files in a directory, then the directory.
fn sync_all(dir: BorrowedFd<'_>) -> nix::Result<()> {
    let mut entries = nix::dir::Dir::from_fd(dir.try_clone_to_owned().map_err(|_| Errno::EMFILE)?)?;
    for entry in entries.iter() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            sync_file(dir, &name)?;
        }
    }
    fsync(dir)
}
