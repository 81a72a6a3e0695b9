//! An overlay in user space, for places where the kernel refuses its own.
//!
//! Theory of operation. It is meant to be told from the kernel's overlay (overlayfs.rst, with `userxattr`)
//! by its speed alone: what lies in `upper` afterwards has the very same form, and whatever reads that form
//! (`commit`, `diff`, a later run on the kernel's overlay) needs to know nothing.
//!
//! - **What is where** ([`tree`], [`lookup`]): layer 0 is the upper directory, then the lower ones, the top
//!   one first. The kernel names files by number; a number stands for a file until it is forgotten as often
//!   as it was given. A file is known by the directory it was found in and its name there, so a directory
//!   that is renamed takes along what is below it. Nothing is ever reached by anything but single names and
//!   `openat2` beneath a layer's own descriptor: both kinds of layers are hostile.
//! - **Copy-up** ([`copy_up`]): before the first change a file of a lower layer is copied to the work
//!   directory with owner, mode, times, attributes and holes, and renamed into the upper one. Its number
//!   stays. Who has it open for reading reads the copy from then on, as POSIX wants it and the kernel's
//!   overlay does not. A file with several names in a lower layer loses the others by it, as there: every
//!   such name is a file of its own here, with the common number shown as long as they are one file.
//! - **Changes** ([`change`], [`rename`]): made in place, or in the work directory and renamed over a
//!   whiteout. What lower layers still have under a name that goes is covered by a whiteout in the same step.
//!   A directory that lower layers contribute to is not renamed (`EXDEV`), as without `redirect_dir`.
//! - **Contents** ([`content`]): one descriptor for each open file, however often it is open. Data goes to
//!   the upper file before write(2) returns, and that of a mapping before the mapping is gone: when the last
//!   process of a run has been reaped, everything is in the upper directory.
//! - **One lock** is held for whatever names files; reading, writing and syncing go without it, by a few
//!   threads.
//! - **What a container can ask for** is bounded by what it holds itself: open files, and the names the
//!   kernel keeps. Listings together have a bound of their own. It cannot make or see overlay's marks: there
//!   are no devices, and names of attributes in `user.overlay.` are hidden and refused.
//!
//! Access lists (`system.posix_acl_*`) go along when a file is copied up and are not shown: the permission
//! bits alone count. Inode numbers stay while the kernel knows the file; one that was copied up, forgotten and
//! found again has its upper file's.

mod attributes;
mod change;
mod content;
mod copy_up;
mod listing;
mod lookup;
mod opened;
mod process;
mod rename;
mod server;
mod tree;

use super::mount_served;
use crate::fork::{Doing, Failure};
use crate::storage::place;
use crate::storage::unpack::lstat;
use crate::sys::mount::{self, Tree};
use nix::errno::Errno;
use opened::Opened;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What an overlay is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The directories below, the bottom one first; not empty.
    pub lowers: &'a [PathBuf],
    /// Where changes go.
    pub upper: &'a Path,
    /// A directory beside it, on the same file system.
    pub work: &'a Path,
    /// Nobody will look at `upper` after a crash: skip syncs.
    pub volatile: bool,
}

/// Mounts an overlay of `parts` on `place`. The caller has one thread, is in the shared user namespace and
/// owns its mount namespace.
///
/// # Errors
/// The failed step; one that names the device when there is none.
pub fn mount(parts: &Parts<'_>, place: &Path) -> Result<(), Failure> {
    let mut layers = vec![directory(parts.upper)?];
    for lower in parts.lowers.iter().rev() {
        layers.push(alone(lower)?);
    }
    let opened = Opened { layers, work: directory(parts.work)?, volatile: parts.volatile };
    mount_served(false, place, |link, device| process::main(link, device, &opened)).map(drop)
}

/// Whether the kernel has mounted these directories as volatile: then what is in the upper one may be
/// anything, and the kernel's refusal is to stand (overlayfs.rst, "Volatile mount").
pub fn was_volatile(work: &Path) -> bool {
    place::held(&work.join("work/incompat"))
        .is_ok_and(|dir| matches!(lstat(dir.as_fd(), c"volatile"), Ok(Some(_))))
}

fn directory(path: &Path) -> Result<OwnedFd, Failure> {
    place::held(path).doing("open directory", path)
}

/// A directory without what is mounted below it, as the kernel's overlay has it. Where nobody may look
/// below those mounts, they are not crossed.
fn alone(path: &Path) -> Result<OwnedFd, Failure> {
    let held = directory(path)?;
    match mount::open_tree(held.as_fd(), Path::new(""), Tree::Clone) {
        Err(Errno::EINVAL) => Ok(held),
        other => other.doing("open directory", path),
    }
}

#[cfg(test)]
mod tests;
