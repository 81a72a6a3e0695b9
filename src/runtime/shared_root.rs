//! The root of a container that is mounted already: by `mount`, in some other mount namespace.
//!
//! Theory of operation. Two overlays on the same upper directory do not see each other's changes. So whoever is to mount
//! a container's root looks whether somebody has it mounted, and takes a copy of that mount instead: both then are
//! one file system, as for podman, which mounts a root once and counts. The caller holds the container, so that
//! nobody else mounts it meanwhile.

use super::door;
use crate::error::Result;
use crate::fork::Doing;
use crate::storage::containers::ContainerDir;
use crate::storage::mounted::holders;
use crate::storage::tree;
use crate::sys::mount::{self, Tree};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat, stat};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A detached copy of the container's root as it is mounted elsewhere; `None` if it is not.
pub(super) fn find(dir: &ContainerDir) -> Option<OwnedFd> {
    if !dir.may_be_mounted() {
        return None;
    }
    let point = dir.mount_point();
    for namespace in holders::of(&point) {
        if let Ok(Some(tree)) = door::among_mounts(&namespace, || copy_of(&point)) {
            return Some(tree);
        }
    }
    dir.note_unmounted();
    None
}

/// A copy of what is mounted there, if that is of any use: what serves it may have ended.
fn copy_of(point: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let root = open(point, flags, Mode::empty()).doing("open", point)?;
    let device = fstat(&root).doing("examine", point)?.st_dev;
    let beside = point.parent().and_then(|parent| stat(parent).ok()).map(|parent| parent.st_dev);
    if beside == Some(device) || tree::names(root.as_fd()).is_err() {
        return Ok(None);
    }
    let copy = mount::open_tree(root.as_fd(), Path::new(""), Tree::CloneRecursive);
    Ok(Some(copy.doing("copy the mount on", point)?))
}
