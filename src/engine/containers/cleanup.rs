//! Cleaning up a container whose monitor was killed.

use super::recover::recover;
use super::removal::remove_ended;
use crate::container::Status;
use crate::engine::images::remove::forget;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// What goes with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanupRequest {
    /// The container.
    pub container: bool,
    /// Its image, if no other container needs that.
    pub image: bool,
}

/// Finishes what is left of the last run of a container, and removes what is to go with it.
///
/// # Errors
/// `Conflict` for a running container; an image that is in use.
pub fn cleanup(store: &Store, container: &ContainerDir, remove: CleanupRequest) -> Result<()> {
    recover(store, container)?;
    let status = container.status();
    if status.is_active() {
        let name = container.called();
        return Err(Error::new(Kind::Conflict, format!("container {name} is {}", status.as_str()))
            .hint(format!("Stop it first: coracle stop {name}")));
    }
    let image = container.spec().ok().and_then(|spec| spec.image);
    if status != Status::Created {
        container.emit(Action::Cleanup);
    }
    if remove.container {
        remove_ended(store, container, true)?;
    }
    if let Some(image) = image.filter(|_| remove.image) {
        forget(store, image.id.as_str())?;
    }
    Ok(())
}

/// Forgets the record of a process of `exec`, named by the beginning of its id.
///
/// # Errors
/// `NotFound` when there is none.
pub fn forget_exec(container: &ContainerDir, id: &str) -> Result<()> {
    let record = container.execs()?.into_iter().find(|record| record.id.as_str().starts_with(id));
    let record = record.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("no process {id:?} of container {}", container.id().short()))
    })?;
    container.remove_exec(&record.id)
}
