//! Mounting the roots of containers, and images, for their user to look at.

use super::containers;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::fork;
use crate::image::{ChainId, Digest};
use crate::runtime::mounting;
use crate::storage::containers::{ContainerDir, Summary};
use crate::storage::events::{Action, Event};
use crate::storage::images::Listed;
use crate::storage::mounted::{Mounts, Sort};
use crate::storage::{Store, fuse, rootfs};
use crate::userns;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Refuses a command that mounts, where its mounts would be seen by nobody: outside the user namespace of the
/// containers.
///
/// # Errors
/// `Usage` there; `program` and `command` are what was called, in words, `name` is what it was to mount.
pub fn check_namespace(program: &str, command: &str, name: Option<&str>) -> Result<()> {
    if userns::inside() {
        return Ok(());
    }
    // A name that a shell would take apart is no name here.
    let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b));
    let name = name.filter(plain).unwrap_or("NAME");
    Err(Error::new(
        Kind::Usage,
        format!("cannot run command \"{program} {command}\" in rootless mode, must execute `{program} unshare` first"),
    )
    .hint(format!(
        "Mount inside `coracle unshare`: coracle unshare sh -c 'ls \"$(coracle {command} {name})\"'"
    )))
}

/// Mounts the root of a container in this mount namespace; gives where. One that runs is seen live.
///
/// # Errors
/// When its layers are missing or a mount is refused.
pub fn mount_container(store: &Store, container: &ContainerDir) -> Result<PathBuf> {
    let plan = container.spec()?;
    let work = |_: &fork::Reporter<()>| mounting::mount(store, container, &plan);
    let point = fork::leaf("mount", &[container.fd().as_raw_fd()], work, |()| {})?;
    container.emit(Action::Mount);
    Ok(point)
}

/// Mounts an image with these layers, read-only, in this mount namespace; gives where.
///
/// # Errors
/// When a layer is missing or the mount is refused.
pub fn mount_image(store: &Store, image: &Digest, layers: &[ChainId]) -> Result<PathBuf> {
    store.verify_id_map()?;
    let lowers = layers.iter().map(|layer| store.layers().path(layer)).collect::<Result<Vec<_>>>()?;
    let id = image.hex();
    let work = |_: &fork::Reporter<()>| {
        let mounts = Mounts::of(store.data());
        let (point, _held) = mounts.make(Sort::Image, id)?;
        failpoint::reach("mount.point");
        fuse::outlive();
        match mounts.depth(Sort::Image, id)? {
            0 => rootfs::show(&lowers, &mounts.aside(id)?, &point, store.overlay())?,
            _ => mounts.repeat(&point)?,
        }
        Ok(point)
    };
    let point = fork::leaf("mount", &[], work, |()| {})?;
    store.events().emit(Event::image_named(Action::Mount, image.as_str(), ""));
    Ok(point)
}

/// Takes back one mount of a container's root in this mount namespace, or with `all` every one.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount_container(store: &Store, container: &ContainerDir, all: bool) -> Result<bool> {
    let was = Mounts::of(store.data()).take_back(Sort::Container, container.id().as_str(), all)?;
    if was {
        container.emit(Action::Unmount);
    }
    Ok(was)
}

/// As [`unmount_container`], of an image.
///
/// # Errors
/// As there.
pub fn unmount_image(store: &Store, image: &Digest, all: bool) -> Result<bool> {
    let was = Mounts::of(store.data()).take_back(Sort::Image, image.hex(), all)?;
    if was {
        store.events().emit(Event::image_named(Action::Unmount, image.as_str(), ""));
    }
    Ok(was)
}

/// The containers whose roots are mounted in this mount namespace, newest first, and where.
///
/// # Errors
/// When the containers or the mounts cannot be listed.
pub fn mounted_containers(store: &Store) -> Result<Vec<(Summary, PathBuf)>> {
    let mounts = Mounts::of(store.data());
    let ids = mounts.ids(Sort::Container)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let shown = |found: Summary| {
        let id = found.id.as_str();
        let point = ids.iter().any(|mounted| mounted == id).then(|| mounts.point(Sort::Container, id))?;
        Some((found, point))
    };
    Ok(containers::list(store)?.into_iter().filter_map(shown).collect())
}

/// The images that are mounted in this mount namespace, newest first, and where.
///
/// # Errors
/// When the images or the mounts cannot be listed.
pub fn mounted_images(store: &Store) -> Result<Vec<(Listed, PathBuf)>> {
    let mounts = Mounts::of(store.data());
    let ids = mounts.ids(Sort::Image)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut all: Vec<(Listed, PathBuf)> = Vec::new();
    for id in ids {
        let Ok(digest) = format!("sha256:{id}").parse() else { continue };
        if let Some(listed) = store.images().listed(&digest)? {
            all.push((listed, mounts.point(Sort::Image, &id)));
        }
    }
    all.sort_by(|(a, _), (b, _)| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
    Ok(all)
}
