//! A note that a container's root may be mounted by `mount`, in some mount namespace.
//!
//! It says where to look and nothing else: what is mounted is in the kernel's tables ([`crate::storage::mounted`]).
//! Without it, no start of a container looks for namespaces.

use super::{ContainerDir, files};
use crate::error::Result;
use crate::storage::mounted::{Mounts, Sort};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::io::ErrorKind;
use std::path::PathBuf;

const NOTE: &str = "mounted";

impl ContainerDir {
    /// Where `mount` shows its root.
    pub fn mount_point(&self) -> PathBuf {
        Mounts::of(&self.data).point(Sort::Container, self.id.as_str())
    }

    /// Notes that it may be mounted from now on.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn note_mounted(&self) -> Result<()> {
        match files::create(self.fd(), NOTE, b"") {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(self.unwritten(NOTE, e)),
            _ => Ok(()),
        }
    }

    /// Whether it may be.
    pub fn may_be_mounted(&self) -> bool {
        files::is_there(self.fd(), NOTE)
    }

    /// Notes that it is mounted nowhere. The caller holds the container, so that nobody mounts it now.
    pub fn note_unmounted(&self) {
        // One that stays costs the next start a look.
        let _ = unlinkat(self.fd(), NOTE, UnlinkatFlags::NoRemoveDir);
    }
}
