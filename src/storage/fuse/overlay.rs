//! A user space overlay, for where the kernel refuses to mount its own.
//!
//! Theory of operation. Only its speed should distinguish it from the kernel's overlay (overlayfs.rst, with
//! `userxattr`): it leaves exactly the same format in `upper`, and code that reads that format (`commit`,
//! `diff`, a later run with the kernel's overlay) needs no special case.
//!
//! - **Finding files** ([`tree`], [`lookup`]): layer 0 is the upper directory, followed by the lower ones,
//!   topmost first. The kernel refers to files by number; a number stays valid until it has been forgotten as
//!   often as it was returned. A file is identified by the directory in which it was found and its name there,
//!   so renaming a directory takes along everything below it. Files are only ever reached by single names and
//!   by `openat2` beneath a layer's own descriptor: both kinds of layers are hostile.
//! - **Copy-up** ([`copy_up`]): before its first change, a file of a lower layer is copied to the work
//!   directory with owner, mode, times, attributes and holes, and renamed into the upper layer. Its number
//!   stays the same. Processes that have it open for reading read the copy from then on, as POSIX requires and
//!   unlike the kernel's overlay. A hard link in a lower layer is separated from its other names by this, as in
//!   the kernel's: each such name is a file of its own here, shown with the common number as long as they are
//!   one file.
//! - **Changes** ([`change`], [`rename`]): made in place, or in the work directory and renamed over a whiteout.
//!   If lower layers still have a removed name, it is covered by a whiteout in the same step. A directory to
//!   which lower layers contribute is not renamed (`EXDEV`), as without `redirect_dir`.
//! - **Contents** ([`content`]): one descriptor per open file, however often it is open. Data is in the upper
//!   file before write(2) returns, and that of a mapping before it is unmapped: once the last process of a run
//!   has been reaped, everything is in the upper directory.
//! - **Locking**: one lock covers everything that names files; reading, writing and syncing work without it, in
//!   a few threads.
//! - **Resource use** by a container is bounded by what it holds itself: open files, and the names the kernel
//!   keeps. All listings together have a limit of their own. It cannot create or see overlay's markers: there
//!   are no devices, and attributes in `user.overlay.` are hidden and refused.
//!
//! ACLs (`system.posix_acl_*`) are copied when a file is copied up, but are not shown: only the permission bits
//! count. Inode numbers are stable while the kernel knows the file; a file that was copied up, forgotten and
//! found again has its upper file's number.

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
