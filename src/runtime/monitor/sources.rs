//! Prepares the sources of the plan's mounts: creates and fills volumes, assembles images and overlays.
//!
//! Theory of operation. Everything is mounted in the monitor's own mount namespace, below our own directories,
//! and disappears with it; stage 2 has a copy of that namespace and binds from there. A volume on tmpfs or on a
//! host directory is mounted over its empty `_data`. An overlay's upper directory is in the container's
//! directory and is emptied when the container starts, unless the user supplied one.

use super::layers::Layers;
use super::owners;
use crate::fork::{Doing, Failure};
use crate::runtime::failure::storage_failure;
use crate::spec::{ContainerSpec, MountSource, MountSpec, OverlaySpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::rootfs;
use crate::storage::volumes::{self, Backing, Medium, Volume};
use crate::sys::mount::{self, Tree, attr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::Mode;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Prepares the mounts of a plan whose root stands at `merged`, made of these layers; returns where each is,
/// by its place in the plan.
///
/// # Errors
/// The failed step.
pub(in crate::runtime) fn prepare(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    (layers, merged): (&Layers, &Path),
) -> Result<BTreeMap<usize, PathBuf>, Failure> {
    let mut places = BTreeMap::new();
    let mut backed = BTreeSet::new();
    for (at, planned) in plan.mounts.iter().enumerate() {
        let mut lowers = match &planned.source {
            MountSource::Volume { name, anonymous, .. } => {
                let failed = |e: crate::error::Error| storage_failure("prepare volume", name.as_str(), &e);
                let volume = store.volumes().ensure(name, *anonymous).map_err(failed)?;
                let path = store.volumes().path(name).map_err(failed)?;
                let backing = volume.backing().map_err(failed)?;
                if backed.insert(name) {
                    back(&backing, &path)?;
                }
                if fills(planned, &volume, &backing) {
                    let _alone = store.volumes().fill_alone(name).map_err(failed)?;
                    fill(merged, planned, &path)?;
                }
                if !backing.has_owner() {
                    owners::first_use(plan, &path, || owners::payload_user(plan, merged))?;
                }
                vec![path]
            }
            MountSource::Image { layers: chain, .. } => layers.of(chain)?,
            // It may be reached through links of the user's own; below the store there are none.
            MountSource::Bind { path, .. } if planned.overlay.is_some() => {
                vec![path.canonicalize().doing("find", path)?]
            }
            _ => continue,
        };
        let throw_away = OverlaySpec::default();
        let overlay = match &planned.source {
            MountSource::Image { .. } => Some(&throw_away),
            _ => planned.overlay.as_ref(),
        };
        if let Some(overlay) = overlay {
            let place = overlay_place(&dir.path(), at);
            // That of a former run of this monitor.
            let _ = umount2(&place.join("merged"), MntFlags::MNT_DETACH);
            places.insert(at, rootfs::overlay_at(&place, &lowers, overlay.kept.as_ref(), layers.overlay())?);
        } else if let (MountSource::Volume { .. }, Some(path)) = (&planned.source, lowers.pop()) {
            places.insert(at, path);
        }
    }
    Ok(places)
}

/// The paths of the mounts that a monitor has prepared for a plan, valid in copies of its mount namespace.
///
/// # Errors
/// A volume that is gone.
pub(in crate::runtime) fn standing(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
) -> crate::error::Result<BTreeMap<usize, PathBuf>> {
    let mut places = BTreeMap::new();
    for (at, planned) in plan.mounts.iter().enumerate() {
        match &planned.source {
            _ if is_overlay(planned) => {
                drop(places.insert(at, overlay_place(&dir.path(), at).join("merged")))
            }
            MountSource::Volume { name, .. } => drop(places.insert(at, store.volumes().path(name)?)),
            _ => {}
        }
    }
    Ok(places)
}

fn is_overlay(planned: &MountSpec) -> bool {
    planned.overlay.is_some() || matches!(planned.source, MountSource::Image { .. })
}

/// Where the overlay of the mount at this place in the plan is kept, below the container's directory.
fn overlay_place(container: &Path, at: usize) -> PathBuf {
    container.join("overlays").join(at.to_string())
}

/// Unmounts the overlays of a container whose directory is or was here.
pub(super) fn release(plan: &ContainerSpec, container: &Path) {
    for (at, planned) in plan.mounts.iter().enumerate() {
        if is_overlay(planned) {
            let _ = umount2(&overlay_place(container, at).join("merged"), MntFlags::MNT_DETACH);
        }
    }
}

/// Whether this mount fills its volume from the image.
fn fills(planned: &MountSpec, volume: &Volume, backing: &Backing) -> bool {
    let asked = matches!(planned.source, MountSource::Volume { copy_up: true, .. });
    // A requested owner is not overridden by the image's.
    let free = !backing.has_owner() || volume.options.contains_key("copy");
    asked && free && backing.copy && planned.overlay.is_none() && planned.subpath.is_none()
}

fn fill(merged: &Path, planned: &MountSpec, path: &Path) -> Result<(), Failure> {
    let root = open(merged, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let target = open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let (root, target) = (root.doing("open", merged)?, target.doing("open", path)?);
    volumes::copy_up(root.as_fd(), &planned.destination, target.as_fd()).map(drop)
}

/// Mounts what a volume lies on over its directory.
fn back(backing: &Backing, path: &Path) -> Result<(), Failure> {
    let tree = match &backing.medium {
        Medium::Directory => return Ok(()),
        Medium::Memory(options) => memory(options).doing("mount tmpfs on", path)?,
        Medium::Bind { path: source, recursive } => bind(source, *recursive).doing("open", source)?,
    };
    let mut attributes = attr::NOSUID | attr::NODEV;
    attributes |= if backing.read_only { attr::RDONLY } else { 0 };
    attributes |= if backing.no_exec { attr::NOEXEC } else { 0 };
    mount::set_attributes(tree.as_fd(), attributes, 0, libc::MS_PRIVATE, true).doing("set flags of", path)?;
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let target = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    mount::move_mount(tree.as_fd(), target.doing("open", path)?.as_fd()).doing("mount on", path)
}

fn memory(options: &[(String, String)]) -> nix::Result<OwnedFd> {
    let text = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
    let texts = options.iter().map(|(key, value)| Ok((text(key)?, text(value)?)));
    let texts = texts.collect::<nix::Result<Vec<_>>>()?;
    let options: Vec<(&CStr, &CStr)> = texts.iter().map(|(k, v)| (k.as_c_str(), v.as_c_str())).collect();
    mount::new_mount(c"tmpfs", &options, 0)
}

fn bind(source: &Path, recursive: bool) -> nix::Result<OwnedFd> {
    let found = open(source, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let copy = |tree| mount::open_tree(found.as_fd(), Path::new(""), tree);
    match copy(if recursive { Tree::CloneRecursive } else { Tree::Clone }) {
        // Mounts below it may not be uncovered in a user namespace: take them along.
        Err(Errno::EINVAL) if !recursive => copy(Tree::CloneRecursive),
        other => other,
    }
}
