//! Preparing a container for its start.

use super::start::stored_plan;
use crate::engine::volumes;
use crate::error::Result;
use crate::runtime::launch;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Makes ready what a start needs beside a process: volumes, helpers, the system call filter, and that its
/// ports are free. Nothing is held afterwards, so the container stays as it was. One that runs is left alone.
///
/// # Errors
/// When its start would be refused.
pub fn init(store: &Store, container: &ContainerDir) -> Result<()> {
    if container.status().is_active() || container.is_in_hand() {
        return Ok(());
    }
    let spec = stored_plan(container)?;
    drop(launch::prepare(store, &spec)?);
    volumes::prepare(store, &spec)?;
    container.emit(Action::Init);
    Ok(())
}
