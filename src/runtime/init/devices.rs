//! Requested host devices, each mounted over a file of its own.
//!
//! An ordinary user cannot create device nodes, so the host's own are mounted. The path of a node may refer to
//! something else by now, and the image must not be able to interfere: the source is opened without following
//! links and must still be a device, and the target is a descriptor inside the root (attack cases 16 to 18).

use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, Target};
use crate::spec::DeviceSpec;
use crate::sys::fd::open_within;
use crate::sys::mount::{self, Tree};
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Mounts the nodes inside `root`.
pub(super) fn bind(root: BorrowedFd<'_>, devices: &[DeviceSpec]) -> Result<(), Failure> {
    let strictly = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    for device in devices {
        let shown = || device.host.to_string_lossy().into_owned();
        let found = match open_within(AT_FDCWD, &device.host, OFlag::O_PATH, strictly) {
            Err(_) if device.optional => continue,
            other => other.doing("open device", &device.host)?,
        };
        let kind = fstat(&found).doing("examine device", &device.host)?.st_mode & SFlag::S_IFMT.bits();
        if ![SFlag::S_IFCHR.bits(), SFlag::S_IFBLK.bits()].contains(&kind) {
            return Err(Failure::other("use device", shown(), "it is no longer a device"));
        }
        let tree = mount::open_tree(found.as_fd(), Path::new(""), Tree::Clone);
        let tree = tree.doing("open device", &device.host)?;
        files::mount_at(root, &device.inside, Target::File, tree.as_fd())?;
    }
    Ok(())
}
