//! Killing a container and waiting for it to exit.

use super::policy::stop_policy;
use super::recover::recover;
use super::signal::{note_stop, signal};
use super::wait::{AFTER_KILL, await_no_restart, wait_ended};
use crate::container::{Signal, Status};
use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Sends a requested signal. One that is meant to end the container (`SIGKILL`, `SIGTERM` and its stop
/// signal) ends it for good, whatever its restart policy; another is for the payload's own use. After `SIGKILL` the
/// container has ended when this returns.
///
/// # Errors
/// `Conflict` when it is not running.
pub fn kill_with(store: &Store, container: &ContainerDir, with: Signal) -> Result<()> {
    if with == Signal::KILL && container.status() == Status::Restarting {
        // What would be killed is the next run.
        kill(store, container)?;
        container.emit(Action::Kill);
        return Ok(());
    }
    let ends =
        || [Signal::KILL, Signal::TERM].contains(&with) || with.number() == stop_policy(container, None).0;
    if container.status().is_live() && ends() {
        note_stop(container)?;
    }
    signal(container, with.number())?;
    container.emit(Action::Kill);
    if with == Signal::KILL {
        // There is one way this ends, so what comes next may rely on it.
        kill(store, container)?;
    }
    Ok(())
}

/// Kills a container and waits until it has ended. One that is not running is left as it is.
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
