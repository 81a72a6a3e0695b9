//! Stopping: the signal it asked for, patience, then `SIGKILL`.

use super::kill::kill;
use super::policy::stop_policy;
use super::recover::recover;
use super::signal::ask_to_stop;
use super::start::start;
use super::wait::wait_ended;
use crate::container::Status;
use crate::error::{Error, Kind, Result};
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
            return Ok(Stopped::AlreadyStopped);
        }
        Status::Crashed => return recover(store, container).map(|()| Stopped::AlreadyStopped),
        _ => {}
    }
    // The directory of a --rm container goes with its end.
    let told = Event::of(container, Action::Stop);
    let stopped = wait_stopped(store, container, patience)?;
    store.events().emit(Event { time: Utc::now(), ..told });
    Ok(stopped)
}

/// How [`stop`] found and left the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    AlreadyStopped,
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

/// A container that was asked to stop, and when it is killed.
#[derive(Debug)]
pub struct Stopping<'a> {
    store: &'a Store,
    container: ContainerDir,
    begun: Instant,
    patience: Option<Duration>,
}

/// Asks a container to stop and does not wait, so that many can end at the same time. `seconds` goes before what it
/// asked for itself, and is for ever when negative.
///
/// # Errors
/// `Conflict` for one that is paused: it could not act on the signal.
pub fn begin_stop(store: &Store, container: ContainerDir, seconds: Option<i64>) -> Result<Stopping<'_>> {
    if container.status() == Status::Paused {
        let name = container.called();
        return Err(Error::new(Kind::Conflict, format!("container {name} is paused"))
            .hint(format!("Let it go on first: coracle unpause {name}; or end it: coracle kill {name}")));
    }
    let (signal, patience) = stop_policy(&container, seconds);
    ask_to_stop(&container, signal)?;
    Ok(Stopping { store, container, begun: Instant::now(), patience })
}

impl Stopping<'_> {
    /// Waits for the end, and kills the container when its time is over.
    ///
    /// # Errors
    /// When a killed container's monitor does not come to an end.
    pub fn finish(self) -> Result<(ContainerDir, Stopped)> {
        let left = self.patience.map(|patience| patience.saturating_sub(self.begun.elapsed()));
        let stopped = finish_stop(self.store, &self.container, left)?;
        Ok((self.container, stopped))
    }

    /// Waits for the end, and starts the container again.
    ///
    /// # Errors
    /// When it does not end, or cannot be started.
    pub fn restart(self) -> Result<()> {
        let store = self.store;
        let (container, _) = self.finish()?;
        start(store, &container, None)?;
        container.emit(Action::Restart);
        Ok(())
    }
}
