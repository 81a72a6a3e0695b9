//! Freezing and thawing the processes of a container.

use crate::container::Status;
use crate::error::{Error, Kind, Result};
use crate::runtime::cgroup;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::storage::events::Action;

/// Freezes a running container's processes.
///
/// # Errors
/// `Conflict` when it is not running or is paused already; `Host` when this account may have no cgroup for
/// it.
pub fn pause(container: &ContainerDir) -> Result<()> {
    let _lock = container.lock()?;
    let mut run = in_state(container, Status::Running, "paused")?;
    cgroup::freeze(container, &run)?;
    run.paused = true;
    if let Err(e) = container.write_run(&run) {
        cgroup::thaw(container, &run)?;
        return Err(e);
    }
    container.emit(Action::Pause);
    Ok(())
}

/// Thaws a paused container's processes.
///
/// # Errors
/// `Conflict` when it is not paused.
pub fn unpause(container: &ContainerDir) -> Result<()> {
    let _lock = container.lock()?;
    let mut run = in_state(container, Status::Paused, "unpaused")?;
    // In this order, so that if the command is killed in between, the container can be unpaused again.
    cgroup::thaw(container, &run)?;
    run.paused = false;
    container.write_run(&run)?;
    container.emit(Action::Unpause);
    Ok(())
}

/// Refuses what a paused container cannot do.
///
/// # Errors
/// `Conflict` when it is paused.
pub(super) fn refuse_paused(container: &ContainerDir) -> Result<()> {
    if container.status() != Status::Paused {
        return Ok(());
    }
    let name = container.called();
    Err(Error::new(Kind::Conflict, format!("container {name} is paused"))
        .hint(format!("Unpause it first: coracle unpause {name}")))
}

/// The record of this run, when the container is in the state that a verb needs.
fn in_state(container: &ContainerDir, wanted: Status, verb: &str) -> Result<RunRecord> {
    container.await_start();
    let status = container.status();
    let wrong = || {
        let name = container.called();
        let error = Error::new(
            Kind::Conflict,
            format!("container {name} is {}, so it cannot be {verb}", status.as_str()),
        );
        error.hint("See the state of containers: coracle ps -a")
    };
    if status != wanted {
        return Err(wrong());
    }
    container.run_record()?.ok_or_else(wrong)
}
