//! Waiting for a container to exit.

use super::recover::recover;
use crate::container::{ExitRecord, Status};
use crate::error::{Error, Kind, Result};
use crate::runtime::health;
use crate::spec::health::Health;
use crate::storage::Store;
use crate::storage::containers::watch::{self, Watch};
use crate::storage::containers::{ContainerDir, LOST_EXIT_CODE, ProcessRef, RunRecord};
use std::time::{Duration, Instant};

/// How long the end of a killed container may take before `stop` and `kill` say that it does not come.
pub(super) const AFTER_KILL: Duration = Duration::from_secs(20);
/// Polling interval for a container that is being started.
const MOMENT: Duration = Duration::from_millis(5);
/// Polling interval for events without notification.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Waits for a container to exit, for at most `limit`, also if it was never started. Returns the exit code,
/// or `None` after the limit. A `--rm` container has to be removed as well.
///
/// # Errors
/// When its records cannot be read.
pub(super) fn wait_ended(
    store: &Store,
    container: &ContainerDir,
    limit: Option<Duration>,
) -> Result<Option<u8>> {
    let begun = Instant::now();
    let auto_remove = container.summary().auto_remove;
    let run = container.run_record()?.map(|run| run.run);
    // The directory of a --rm container may be deleted before its records are read.
    let note = container.exit_note().ok();
    let mut code = None;
    // Made only once a look shows that there is something to wait for: closing one may take long.
    let mut watch: Option<Watch> = None;
    loop {
        let exit = container.exit_record()?.filter(|exit| run.is_none_or(|run| exit.run >= run));
        code = exit.map(|exit: ExitRecord| exit.code).or(code);
        let gone = !container.in_place();
        if gone || (code.is_some() && !auto_remove) {
            let noted = || note.as_ref()?.code(run.unwrap_or(0));
            return Ok(Some(code.or_else(noted).unwrap_or(LOST_EXIT_CODE)));
        }
        if container.status() == Status::Crashed {
            recover(store, container)?;
            continue;
        }
        if auto_remove && code.is_some() && !container.is_alive() {
            // The monitor was killed between its exit record and the removal.
            recover(store, container)?;
            return Ok(code);
        }
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        let Some(current) = watch.as_mut() else {
            watch = Some(Watch::end(container));
            // Once more, so that nothing falls between looking and waiting.
            continue;
        };
        // Releasing the files of a container that is not running notifies nobody.
        let look = container.is_in_hand().then_some(LOOK);
        watch::wait_any([&mut *current], [left, look].into_iter().flatten().min());
        // What was waited for has happened, or there is now a monitor to watch as well.
        if current.is_spent() || !current.has_monitor() && container.is_alive() {
            watch = None;
        }
    }
}

/// A state to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Made, and not started yet.
    Created,
    /// Its payload runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It was asked to stop and has not ended yet.
    Stopping,
    /// Its run has ended.
    Ended,
    /// Its health checks have found this.
    Health(Health),
    /// It is gone.
    Removed,
}

/// Waits until a container is in one of these states or gone; returns the exit code when it has ended.
/// Without a condition the exit is waited for; a container that was never started counts as exited with 0, or
/// with the code of its failed start.
///
/// # Errors
/// When its records cannot be read.
pub fn wait_until(store: &Store, container: &ContainerDir, conditions: &[Condition]) -> Result<Option<u8>> {
    if conditions.is_empty() {
        // As in docker and podman: what was never started is not running.
        if container.status() == Status::Created && !container.is_alive() {
            return Ok(Some(container.exit_record()?.map_or(0, |failed| failed.code)));
        }
        return wait_ended(store, container, None);
    }
    check(container, conditions)?;
    loop {
        let mut watch = [watch_for(container, conditions)];
        match look(store, container, conditions)? {
            Look::Reached(code) => return Ok(code),
            Look::Wait(soon) => watch::wait_any(&mut watch, soon),
        }
    }
}

/// Waits until the first of these containers is in one of these states or gone, as [`wait_until`] does for one;
/// without a condition for the first exit.
///
/// # Errors
/// When records cannot be read.
pub fn wait_first(
    store: &Store,
    containers: &[ContainerDir],
    conditions: &[Condition],
) -> Result<Option<u8>> {
    if conditions.is_empty() {
        let never_ran =
            |container: &&ContainerDir| container.status() == Status::Created && !container.is_alive();
        if let Some(container) = containers.iter().find(never_ran) {
            return wait_until(store, container, conditions);
        }
    }
    let wanted = if conditions.is_empty() { &[Condition::Ended] } else { conditions };
    // The directory of a --rm container may be deleted before its records are read.
    let mut notes = Vec::new();
    for container in containers {
        check(container, wanted)?;
        let run = container.run_record()?.map_or(0, |run| run.run);
        notes.push(container.exit_note().ok().map(|note| (note, run)));
    }
    loop {
        let mut watches: Vec<Watch> =
            containers.iter().map(|container| watch_for(container, wanted)).collect();
        let mut soon = None;
        for (container, note) in containers.iter().zip(&notes) {
            match look(store, container, wanted)? {
                Look::Reached(None) if wanted.contains(&Condition::Ended) && !container.in_place() => {
                    return Ok(note.as_ref().and_then(|(note, run)| note.code(*run)));
                }
                Look::Reached(code) => return Ok(code),
                Look::Wait(again) => soon = soon.or(again),
            }
        }
        watch::wait_any(&mut watches, soon);
    }
}

/// Refuses to wait for what a container cannot reach.
fn check(container: &ContainerDir, conditions: &[Condition]) -> Result<()> {
    let of_health = conditions.iter().any(|condition| matches!(condition, Condition::Health(_)));
    if of_health && health::of(container, &container.spec()?).is_none() {
        return Err(Error::new(
            Kind::Conflict,
            format!("container {} has no health check", container.called()),
        )
        .hint("Containers get one from their image or by: coracle run --health-cmd COMMAND ..."));
    }
    Ok(())
}

fn watch_for(container: &ContainerDir, conditions: &[Condition]) -> Watch {
    let for_end = conditions.iter().all(|condition| *condition == Condition::Ended);
    if for_end { Watch::end(container) } else { Watch::new(container) }
}

/// What a look at a container shows.
enum Look {
    /// One of the states, or that it is gone; the exit code when it has ended.
    Reached(Option<u8>),
    /// None of them; whether to look again soon.
    Wait(Option<Duration>),
}

fn look(store: &Store, container: &ContainerDir, conditions: &[Condition]) -> Result<Look> {
    let status = match container.status() {
        Status::Crashed => {
            recover(store, container)?;
            Status::Exited
        }
        status => status,
    };
    let holds = conditions.iter().any(|condition| match condition {
        Condition::Created => matches!(status, Status::Created | Status::Starting),
        Condition::Running => status == Status::Running,
        Condition::Paused => status == Status::Paused,
        Condition::Stopping => status.is_live() && is_stopping(container),
        Condition::Ended => status == Status::Exited,
        Condition::Health(wanted) => status.is_live() && container.summary().health == Some(*wanted),
        Condition::Removed => false,
    });
    // A container that is removed reaches no other state.
    if holds || !container.in_place() {
        let exit = container.exit_record()?.filter(|_| status == Status::Exited);
        return Ok(Look::Reached(exit.map(|exit| exit.code)));
    }
    // That the payload runs is no change in the directory.
    Ok(Look::Wait((status == Status::Starting || container.is_starting()).then_some(MOMENT)))
}

/// Whether a run was asked to stop.
fn is_stopping(container: &ContainerDir) -> bool {
    let run = container.run_record().ok().flatten().map(|run| run.run);
    run.zip(container.stop_asked()).is_some_and(|(run, asked)| asked >= run)
}

/// The exit code of a container's last run: `code`, with which a run of this monitor has just ended, unless that
/// one starts it again. Waits for the end of that monitor then.
///
/// # Errors
/// When its records cannot be read.
pub(super) fn last_code(
    store: &Store,
    container: &ContainerDir,
    monitor: Option<ProcessRef>,
    code: u8,
) -> Result<u8> {
    // Somebody may have started it once more since, while this command was stopped.
    let still_its = || container.run_record().ok().flatten().map(|run| run.monitor) == monitor;
    if !container.status().is_active() || !still_its() {
        return Ok(code);
    }
    // The directory of a --rm container is gone when its monitor is, and may be going now.
    let Ok(note) = container.exit_note() else { return Ok(code) };
    if let Some(monitor) = container.run_record()?.as_ref().and_then(RunRecord::open_monitor) {
        watch::wait_process(&monitor);
    }
    if container.in_place() {
        recover(store, container)?;
    }
    Ok(note.code(0).unwrap_or(code))
}

/// Waits while the monitor still waits to restart the container; it has been told not to.
pub(super) fn await_no_restart(container: &ContainerDir) {
    let begun = Instant::now();
    while container.status() == Status::Restarting && begun.elapsed() < AFTER_KILL {
        rest_of_pause(container);
    }
}

/// Waits until the delay before a restart is over: for the end of the monitor or, if it continues, a moment.
pub(super) fn rest_of_pause(container: &ContainerDir) {
    let mut watch = [Watch::monitor(container)];
    if container.status() == Status::Restarting {
        watch::wait_any(&mut watch, Some(LOOK));
    }
}
