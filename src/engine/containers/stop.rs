//! Stopping: the signal it asked for, patience, then `SIGKILL`.

use super::kill::kill;
use super::recover::recover;
use super::signal::ask_to_stop;
use super::wait::wait_ended;
use crate::container::Status;
use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::watch::{self, Watch};
use crate::storage::events::{Action, Event};
use chrono::Utc;
use std::time::{Duration, Instant};

/// Stops a container: `signal`, then `SIGKILL` after `patience`; `None` waits for ever.
///
/// # Errors
/// Those of [`ask_to_stop`] and [`finish_stop`].
pub fn stop(
    store: &Store,
    container: &ContainerDir,
    with: i32,
    patience: Option<Duration>,
) -> Result<Stopped> {
    ask_to_stop(container, with)?;
    finish_stop(store, container, patience)
}

/// The second half of stopping: waits for the end and kills the container when `patience` is over;
/// `None` waits for ever.
///
/// # Errors
/// When a killed container's monitor does not come to an end.
pub fn finish_stop(store: &Store, container: &ContainerDir, patience: Option<Duration>) -> Result<Stopped> {
    match container.status() {
        Status::Created | Status::Exited if !still_to_be_removed(container) => {
            return Ok(Stopped::NotRunning);
        }
        Status::Crashed => return recover(store, container).map(|()| Stopped::NotRunning),
        _ => {}
    }
    // The directory of a --rm container goes with its end.
    let told = Event::of(container, Action::Stop);
    let stopped = wait_stopped(store, container, patience)?;
    store.events().emit(Event { time: Utc::now(), ..told });
    Ok(stopped)
}

/// How to stop a container: its stop signal, and how long it gets; `None` is for ever. `seconds` goes before
/// what it asked for itself, and is for ever when negative.
pub fn stop_policy(container: &ContainerDir, seconds: Option<i64>) -> (i32, Option<Duration>) {
    // A container whose plan is lost is stopped like one that asked for nothing.
    let lifecycle = container.spec().map(|plan| plan.lifecycle);
    let (signal, own) = lifecycle.map_or((15, 10), |l| (l.stop_signal, l.stop_timeout));
    let seconds = seconds.unwrap_or(i64::from(own));
    (signal, u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// How [`stop`] found and left the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    NotRunning,
    /// It ended within the time given.
    Ended,
    /// It had to be killed.
    Killed,
}

fn wait_stopped(store: &Store, container: &ContainerDir, patience: Option<Duration>) -> Result<Stopped> {
    let begun = Instant::now();
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        if wait_ended(store, container, left)?.is_none() {
            break;
        }
        // Its monitor may have been about to start it again, or may just have done so.
        if !container.status().is_active() {
            return Ok(Stopped::Ended);
        }
        let mut watch = [Watch::new(container)];
        if container.status() == Status::Restarting {
            watch::wait_any(&mut watch, Some(Duration::from_millis(50)));
        }
        if patience.is_some_and(|patience| patience <= begun.elapsed()) {
            break;
        }
    }
    kill(store, container)?;
    Ok(Stopped::Killed)
}

/// Whether the container has ended and its monitor is about to remove it.
fn still_to_be_removed(container: &ContainerDir) -> bool {
    container.status() == Status::Exited && container.summary().auto_remove && container.in_place()
}
