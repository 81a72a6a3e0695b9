//! Writing the records of a new container, and creating what its plan needs.

use super::remove::remove;
use crate::container::Name;
use crate::engine::{networks, volumes};
use crate::error::Result;
use crate::runtime::secrets;
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::os::fd::BorrowedFd;

/// Creates a container's records, then the copies of secrets and the volumes that its plan needs. The
/// container comes first, so that its volumes are in use as soon as they exist; if the creator is killed in
/// between, they are created at the start.
///
/// # Errors
/// `Conflict` when the name is taken; when the file system refuses, or a secret was removed in the meantime.
pub(in crate::engine) fn record(store: &Store, plan: &ContainerSpec, name: &Name) -> Result<ContainerDir> {
    let add_files = |dir: BorrowedFd<'_>| secrets::prepare(store, dir, plan);
    let dir = store.containers().create_with(&plan.id, name, plan, add_files)?;
    match volumes::prepare(store, plan).and_then(|()| networks::present(store, plan)) {
        Ok(()) => Ok(dir),
        Err(error) => {
            discard(store, &dir);
            Err(error)
        }
    }
}

/// Removes a container that never ran. What cannot be removed is left for `rm`.
pub(in crate::engine) fn discard(store: &Store, dir: &ContainerDir) {
    let removed = dir.lock().and_then(|lock| remove(store, dir, &lock, true));
    if let Err(error) = removed {
        log::info!("container {} is kept: {error}", dir.id().short());
    }
}

/// Writes a container that outlives its run to disk, with its anonymous volumes; named ones already are.
///
/// # Errors
/// When the disk reports one.
pub(in crate::engine) fn keep(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    dir.keep()?;
    plan.mounts.iter().try_for_each(|mount| match &mount.source {
        MountSource::Volume { name, anonymous: true, .. } => store.volumes().keep(name),
        _ => Ok(()),
    })
}
