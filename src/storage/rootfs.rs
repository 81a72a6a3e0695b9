//! Root file systems: the kinds, and how one is assembled.
//!
//! Theory of operation. [`assemble`] runs in the monitor: inside the shared user namespace, in a mount
//! namespace of its own. It mounts the complete root on the container's `merged` directory there and nowhere
//! else, so the mount disappears with the monitor, and its last sync happens after the exit code is delivered.
//! Overlay layers are passed to the kernel as descriptors (since Linux 6.13); older kernels get mount(2) with
//! descriptor numbers as names, relative to `/proc/self/fd`, which with 127 layers stays far below the limit of
//! 4096 bytes. `userxattr` allows a user namespace to mount overlay (Linux 5.11,
//! Documentation/filesystems/overlayfs.rst).
//!
//! If the kernel refuses (the store is itself on an overlay, the file system lacks what overlay needs, a
//! security module forbids it), our own overlay ([`fuse::overlay`]) is used instead; the upper directory has
//! the same format with either. Only the refusal decides this. Nothing is probed beforehand, so it costs
//! nothing where the kernel mounts overlays.

use crate::fork::{Doing, Failure, Step};
use crate::storage::place::{self, Place};
use crate::storage::{fuse, trash};
use crate::sys::mount::{self, FsContext, Tree, attr};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::mount::MsFlags;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

mod assemble;
mod host_tree;
mod read_only;

pub use assemble::assemble;
pub use read_only::show;

/// The directories a root is assembled from and on.
#[derive(Debug)]
pub struct Places {
    /// Unpacked layers, bottom first; for [`RootSpec::Layers`](crate::spec::RootSpec::Layers).
    pub lowers: Vec<PathBuf>,
    /// What the container changes.
    pub upper: PathBuf,
    /// Overlay's scratch directory, on the same file system as `upper`.
    pub work: PathBuf,
    /// Where the result is mounted.
    pub merged: PathBuf,
    /// Nothing of the container has run on it yet: its `/` is still to become the topmost layer's.
    pub fresh: bool,
    /// Nobody will look at `upper` after a crash: skip syncs.
    pub volatile: bool,
    /// Which overlay driver combines the layers.
    pub overlay: Overlay,
}

/// Which overlay driver combines the layers (`--storage-opt overlay.driver`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlay {
    /// The kernel, and a process of ours where it refuses.
    #[default]
    Auto,
    /// The kernel or nobody.
    Kernel,
    /// A process of ours, by FUSE.
    Fuse,
}

impl std::str::FromStr for Overlay {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Overlay::Auto),
            "kernel" => Ok(Overlay::Kernel),
            "fuse" => Ok(Overlay::Fuse),
            _ => Err(()),
        }
    }
}

/// Mounts an overlay of `lowers` (bottom first) at `place`, a directory of ours that is made and emptied
/// first; what changes is kept there too, or in the `upper` and `work` directories that are given. Gives
/// where it is mounted.
///
/// # Errors
/// The failed step.
pub fn overlay_at(
    place: &Path,
    lowers: &[PathBuf],
    kept: Option<&(PathBuf, PathBuf)>,
    driver: Overlay,
) -> Result<PathBuf, Failure> {
    let (upper, work, merged) = (place.join("upper"), place.join("work"), place.join("merged"));
    let failed = |e: crate::error::Error| Failure::other("empty", place.to_string_lossy(), e.in_one_line());
    if let (Some(beside), Some(name)) = (place.parent(), place.file_name().and_then(|name| name.to_str())) {
        let beside = Place::make(beside).map_err(failed)?;
        trash::remove_in(&beside, name).map_err(failed)?;
        let place = beside.new_below(name).map_err(failed)?;
        for part in ["upper", "work", "merged"] {
            place.new_below(part).map_err(failed)?;
        }
    }
    if let Some((upper, work)) = kept {
        overlay(lowers, &resolved(upper)?, &resolved(work)?, &merged, false, driver)?;
        return Ok(merged);
    }
    show_as(&upper, lowers)?;
    overlay(lowers, &upper, &work, &merged, true, driver)?;
    Ok(merged)
}

/// The top directory of an overlay shows as the upper one: gives that the mode and owner of the topmost layer.
fn show_as(upper: &Path, lowers: &[PathBuf]) -> Result<(), Failure> {
    let Some(top) = lowers.last() else { return Ok(()) };
    let found = fs::metadata(top).doing("look at", top)?;
    let own = fs::metadata(upper).doing("look at", upper)?;
    if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
        // An owner that does not exist here stays ours.
        let _ = chown(upper, Some(found.uid()), Some(found.gid()));
    }
    let mode = found.mode() & 0o7777;
    if own.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(upper, fs::Permissions::from_mode(mode)).doing("set the mode of", upper)
}

/// The working directory as a descriptor, for absolute paths of our own.
fn cwd() -> std::os::fd::BorrowedFd<'static> {
    AT_FDCWD
}

/// Opens a directory for use as a layer or mount target: one of ours, or one of the user's that was resolved.
fn directory(path: &Path) -> Result<OwnedFd, Failure> {
    place::held(path).doing("open directory", path)
}

/// A directory of the user's own, which may be reached through links.
fn resolved(path: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(path).doing("open directory", path)
}

fn attach(tree: OwnedFd, target: &Path) -> Result<(), Failure> {
    let target_fd = directory(target)?;
    mount::move_mount(tree.as_fd(), target_fd.as_fd()).doing("mount root on", target)
}

/// Mounts an overlay of `lowers` (bottom first) and `upper` on `target`, by whom `driver` says.
fn overlay(
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
    volatile: bool,
    driver: Overlay,
) -> Result<(), Failure> {
    if lowers.is_empty() {
        // An image without layers: there is nothing for overlay to lie over.
        let tree = mount::open_tree(cwd(), upper, Tree::Clone).doing("open", upper)?;
        return attach(tree, target);
    }
    let by_kernel = match driver {
        Overlay::Fuse => None,
        _ => match overlay_of_kernel(lowers, upper, work, target, volatile) {
            Err(failure) if driver == Overlay::Auto && is_refusal(&failure, work) => Some(failure),
            other => return other,
        },
    };
    let parts = fuse::overlay::Parts { lowers, upper, work, volatile };
    fuse::overlay::mount(&parts, target).map_err(|mut failure| match by_kernel {
        None => failure,
        // The user decides which of the two is easier to fix.
        Some(refused) => {
            failure.detail =
                format!("{failure}; it is needed, as the kernel refuses an overlay there ({refused})");
            failure
        }
    })
}

/// Whether the kernel will never mount such an overlay, as opposed to a mount that went wrong.
fn is_refusal(failure: &Failure, work: &Path) -> bool {
    let never = [Errno::EINVAL, Errno::ENODEV, Errno::EPERM, Errno::EACCES, Errno::EOPNOTSUPP, Errno::ENOSYS];
    failure.step() == Step::MountOverlay
        && never.contains(&failure.errno())
        && !fuse::overlay::was_volatile(work)
}

fn overlay_of_kernel(
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
    volatile: bool,
) -> Result<(), Failure> {
    let lowers = lowers.iter().rev().map(|l| directory(l)).collect::<Result<Vec<_>, _>>()?;
    let changes = (directory(upper)?, directory(work)?);
    overlay_of_descriptors(&lowers, Some(&changes), target, volatile)
}

/// Mounts an overlay of these directories on `target`, the top one first; read-only without a place for `changes`, an
/// upper and a work directory.
fn overlay_of_descriptors(
    lowers: &[OwnedFd],
    changes: Option<&(OwnedFd, OwnedFd)>,
    target: &Path,
    volatile: bool,
) -> Result<(), Failure> {
    match overlay_by_descriptor(lowers, changes, volatile) {
        Ok(tree) => attach(tree, target),
        // Before 6.13 a descriptor is not accepted as a layer (EINVAL), and fsconfig takes none that was
        // opened for its path alone, as ours are (EBADF); before 6.5 overlay has the old mount interface,
        // where fsconfig takes strings only (EOPNOTSUPP).
        Err(Errno::EBADF | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            overlay_by_number(lowers, changes, target, volatile).doing(Step::MountOverlay, target)
        }
        Err(e) => Err(e).doing(Step::MountOverlay, target),
    }
}

fn overlay_by_descriptor(
    lowers: &[OwnedFd],
    changes: Option<&(OwnedFd, OwnedFd)>,
    volatile: bool,
) -> nix::Result<OwnedFd> {
    let context = FsContext::open(c"overlay")?;
    for lower in lowers {
        context.fd(c"lowerdir+", lower.as_fd())?;
    }
    if let Some((upper, work)) = changes {
        context.fd(c"upperdir", upper.as_fd())?;
        context.fd(c"workdir", work.as_fd())?;
    }
    context.flag(c"userxattr")?;
    if volatile {
        context.flag(c"volatile")?;
    }
    context.mount(if changes.is_some() { 0 } else { attr::RDONLY })
}

fn overlay_by_number(
    lowers: &[OwnedFd],
    changes: Option<&(OwnedFd, OwnedFd)>,
    target: &Path,
    volatile: bool,
) -> nix::Result<()> {
    let numbers: Vec<String> = lowers.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let mut options = format!("lowerdir={},userxattr", numbers.join(":"));
    if let Some((upper, work)) = changes {
        options.push_str(&format!(",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd()));
    }
    if volatile {
        options.push_str(",volatile");
    }
    nix::unistd::chdir("/proc/self/fd")?;
    let flags = if changes.is_some() { MsFlags::empty() } else { MsFlags::MS_RDONLY };
    let mounted = nix::mount::mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()));
    nix::unistd::chdir("/")?;
    mounted
}
