//! Writing a container to disk before a command reports that it exists.
//!
//! Theory of operation. Records are renamed into place and not synced, so short-lived containers do not wait
//! for the disk. A container that outlives its run is synced as a whole, once, before the command that created
//! it reports success: the contents of its files, then its directory, then the two directories above it. Until
//! then a power cut may leave any part of it, which readers treat as a container whose records are lost, and
//! success was not reported. Files that can be rebuilt (`summary`) or that belong to a single run (`run.json`,
//! `exit.json`) are not waited for.

use super::super::{CONTAINERS, NAMES};
use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use crate::storage::place::Place;
use crate::storage::record::open_regular;
use crate::storage::tree;
use nix::fcntl::OFlag;
use nix::unistd::fsync;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};

/// The files that cannot be made again.
const KEPT: [&str; 2] = ["plan.json", "settings.json"];

impl ContainerDir {
    /// Has what makes the container written to the disk, its names included; returns when it is there.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn keep(&self) -> Result<()> {
        let doing = || self.doing("write the records to the disk");
        for name in KEPT {
            sync_file(self.fd(), name).context(Kind::Storage, doing)?;
        }
        if let Some(secrets) = Place::find(&self.path().join("secrets"))? {
            for name in tree::names(secrets.as_fd()).context(Kind::Storage, doing)? {
                sync_file(secrets.as_fd(), &name.to_string_lossy()).context(Kind::Storage, doing)?;
            }
            secrets.sync()?;
        }
        self.keep_place()?;
        Place::open(&self.data.join(CONTAINERS))?.sync()
    }

    /// Has what names it, and the names in its own directory, written to the disk.
    ///
    /// # Errors
    /// When the disk reports one.
    pub(in crate::storage::containers) fn keep_place(&self) -> Result<()> {
        fsync(self.fd()).context(Kind::Storage, || self.doing("write the records to the disk"))?;
        Place::open(&self.data.join(NAMES))?.sync()
    }
}

fn sync_file(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match open_regular(dir, name, OFlag::O_RDONLY) {
        Ok(file) => file.sync_all(),
        // Not every container has each of them.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}
