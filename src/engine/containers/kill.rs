//! Killing a container, and seeing it end.

use super::recover::recover;
use super::wait::{await_no_restart, wait_ended};
use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::time::Duration;

/// How long the end of a killed container may take before `stop` and `kill` say that it does not come.
const AFTER_KILL: Duration = Duration::from_secs(20);

/// Kills a container and waits until it has ended. One that does not run is left as it is.
///
/// # Errors
/// When its monitor does not come to an end.
pub fn kill(store: &Store, container: &ContainerDir) -> Result<()> {
    super::force::send_kill(container);
    await_killed(store, container)
}

/// The second half of [`kill`]: waits for the end of one that was sent the signal.
pub(super) fn await_killed(store: &Store, container: &ContainerDir) -> Result<()> {
    await_no_restart(container);
    if !container.status().is_active() && container.in_place() {
        return recover(store, container);
    }
    match wait_ended(store, container, Some(AFTER_KILL))? {
        Some(_) => Ok(()),
        None => Err(super::force::stuck(container)),
    }
}
