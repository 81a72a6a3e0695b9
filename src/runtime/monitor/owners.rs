//! Changes the owners of files that are mounted into a container with its own id map, from outside.
//!
//! Inside, files that belong to an unmapped id, such as the user's own files and those created by the user,
//! cannot be chowned; the root of the shared namespace can do that. The payload's user is looked up in the
//! container's root, as stage 2 does later. For containers with the ids of the shared namespace nothing is done
//! here: stage 2 handles option `U`.

use crate::fork::{Doing, Failure};
use crate::runtime::{init, passwd};
use crate::spec::{ContainerSpec, MountSource};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

/// Changes the owner of the sources of mounts with option `U` to the payload's user, and clears the option in
/// the plan.
///
/// # Errors
/// A user that does not exist, a file that cannot be given away.
pub(super) fn hand_over(
    plan: &mut ContainerSpec,
    prepared: &BTreeMap<usize, PathBuf>,
    merged: &Path,
) -> Result<(), Failure> {
    if !plan.ids.is_shifted() {
        return Ok(());
    }
    for at in 0..plan.mounts.len() {
        let mount = &plan.mounts[at];
        let source = match (&mount.source, prepared.get(&at)) {
            _ if !mount.chown => continue,
            (_, Some(place)) => place,
            (MountSource::Bind { path, .. }, None) => path,
            // Memory, which is made inside.
            _ => continue,
        };
        let look = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let found = open(source, look, Mode::empty()).doing("open", source)?;
        let found = match &mount.subpath {
            Some(part) => init::part_of(found.as_fd(), part)?,
            None => found,
        };
        let (uid, gid) = payload_user(plan, merged)?;
        init::give_away(found.as_fd(), &mount.destination, uid, gid)?;
        plan.mounts[at].chown = false;
    }
    Ok(())
}

/// Gives an unused directory to `owner`: it is empty and belongs to its creator. In docker's dialect it stays root's.
///
/// # Errors
/// Those of `owner`, and of the calls it takes.
pub(super) fn first_use(
    plan: &ContainerSpec,
    directory: &Path,
    owner: impl FnOnce() -> Result<(u32, u32), Failure>,
) -> Result<(), Failure> {
    if plan.files.as_docker && !plan.ids.is_shifted() {
        return Ok(());
    }
    let found = fs::metadata(directory).doing("look at", directory)?;
    let unused = fs::read_dir(directory).doing("read directory", directory)?.next().is_none();
    if (found.uid(), found.gid()) != (0, 0) || !unused {
        return Ok(());
    }
    let (uid, gid) = owner()?;
    lchown(directory, Some(uid), Some(gid)).doing("change the owner of", directory)
}

/// Gives the pipes among the payload's streams to the container's root, which gives them to the payload's user.
pub(in crate::runtime) fn lend_pipes(plan: &ContainerSpec, stdio: &init::Stdio) {
    if plan.ids.is_shifted() {
        init::give_pipes(plan, stdio, plan.ids.root());
    }
}

/// Whom the payload runs as, outside.
///
/// # Errors
/// A user that does not exist.
pub(super) fn payload_user(plan: &ContainerSpec, merged: &Path) -> Result<(u32, u32), Failure> {
    let look = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(merged, look, Mode::empty()).doing("open", merged)?;
    let user = passwd::resolve(root.as_fd(), &plan.process.user)?;
    match plan.ids.outside((user.uid, user.gid)) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => {
            let shown = format!("{}:{}", user.uid, user.gid);
            Err(Failure::other("use user", shown, "the container has no such id"))
        }
    }
}
