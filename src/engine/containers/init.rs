//! Preparing a container for its start.

use super::start::stored_plan;
use crate::engine::volumes;
use crate::error::Result;
use crate::runtime::launch;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Prepares what a start needs other than a process: volumes, helpers, the seccomp filter, and that its
/// ports are free. Nothing is held afterwards, so the container stays as it was. A running one is left alone.
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
