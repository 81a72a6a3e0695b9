//! Stopping: the signal it asked for, patience, then `SIGKILL`.
//!
//! Theory of operation. Containers that are stopped by one command end side by side: all are asked before any is
//! waited for, and when patience is over all are killed for whom it is, not the one alone whose turn it is to be
//! waited for.

use super::force::send_kill;
use super::kill::await_killed;
use super::policy::stop_policy;
use super::recover::recover;
use super::signal::ask_to_stop;
use super::start::start;
use super::wait::{rest_of_pause, wait_ended};
use crate::container::Status;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::{Action, Event};
use chrono::Utc;
use std::borrow::Borrow;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Stops a container: `signal`, then `SIGKILL` after `patience`; `None` waits for ever.
///
/// # Errors
/// Those of [`Stopping::ask`] and [`Stopping::finish`].
pub fn stop(
    store: &Store,
    container: &ContainerDir,
    signal: i32,
    patience: Option<Duration>,
) -> Result<Stopped> {
    let mut stopping = Stopping::new(store);
    let index = stopping.ask(container, signal, patience)?;
    stopping.finish(index)
}

/// Containers that are being stopped.
#[derive(Debug)]
pub struct Stopping<'a, C> {
    store: &'a Store,
    all: Vec<One<C>>,
}

#[derive(Debug)]
struct One<C> {
    container: C,
    /// When it is killed; `None` is never.
    deadline: Option<Instant>,
    killed: Cell<bool>,
    /// The event of its end; the directory of a --rm container goes with that.
    told: Option<Event>,
}

impl<'a, C: Borrow<ContainerDir>> Stopping<'a, C> {
    /// None yet.
    pub fn new(store: &'a Store) -> Stopping<'a, C> {
        Stopping { store, all: Vec::new() }
    }

    /// As [`Stopping::ask`], as the container itself wants to be stopped; `seconds` goes before what it asked for,
    /// and is for ever when negative.
    ///
    /// # Errors
    /// `Conflict` for one that is paused: it could not act on the signal.
    pub fn begin(&mut self, container: C, seconds: Option<i64>) -> Result<usize> {
        let dir = container.borrow();
        if dir.status() == Status::Paused {
            let name = dir.called();
            return Err(Error::new(Kind::Conflict, format!("container {name} is paused"))
                .hint(format!("Unpause it first: coracle unpause {name}; or end it: coracle kill {name}")));
        }
        let (signal, patience) = stop_policy(dir, seconds);
        self.ask(container, signal, patience)
    }

    /// The first half of stopping: asks one more, and does not wait for its end. Gives its index.
    ///
    /// # Errors
    /// Those of [`ask_to_stop`].
    pub fn ask(&mut self, container: C, signal: i32, patience: Option<Duration>) -> Result<usize> {
        let asked = container.borrow();
        let ends = asked.status().is_active() || still_to_be_removed(asked);
        let told = ends.then(|| asked.event(Action::Stop));
        ask_to_stop(asked, signal)?;
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        self.all.push(One { container, deadline, killed: Cell::new(false), told });
        Ok(self.all.len() - 1)
    }

    /// The container at `index`.
    pub fn container(&self, index: usize) -> &ContainerDir {
        self.all[index].container.borrow()
    }

    /// The second half: waits for the end of the container at `index`, and kills every one whose patience is
    /// over meanwhile.
    ///
    /// # Errors
    /// When a killed container's monitor does not come to an end.
    pub fn finish(&self, index: usize) -> Result<Stopped> {
        let One { killed, told, .. } = &self.all[index];
        let container = self.container(index);
        let stopped = match (container.status(), told) {
            (Status::Created | Status::Exited, None) if !still_to_be_removed(container) => {
                return Ok(Stopped::AlreadyStopped);
            }
            (Status::Crashed, _) => {
                recover(self.store, container)?;
                return Ok(if killed.get() { Stopped::Killed } else { Stopped::AlreadyStopped });
            }
            _ => self.end_of(index)?,
        };
        if let Some(told) = told {
            self.store.events().emit(Event { time: Utc::now(), ..told.clone() });
        }
        Ok(stopped)
    }

    /// The second half of restarting: waits as [`Stopping::finish`] does, and starts the container again.
    ///
    /// # Errors
    /// When it does not end, or cannot be started.
    pub fn restart(&self, index: usize) -> Result<()> {
        self.finish(index)?;
        let container = self.container(index);
        start(self.store, container, None)?;
        container.emit(Action::Restart);
        Ok(())
    }

    fn end_of(&self, index: usize) -> Result<Stopped> {
        let (container, killed) = (self.container(index), &self.all[index].killed);
        while !killed.get() {
            let open = self.all.iter().filter(|one| !one.killed.get());
            let next = open.filter_map(|one| one.deadline).min();
            let left = next.map(|next| next.saturating_duration_since(Instant::now()));
            if has_stopped(self.store, container, left)? {
                return Ok(Stopped::Ended);
            }
            self.kill_overdue();
        }
        await_killed(self.store, container)?;
        Ok(Stopped::Killed)
    }

    fn kill_overdue(&self) {
        let now = Instant::now();
        let overdue = |one: &&One<C>| !one.killed.get() && one.deadline.is_some_and(|at| at <= now);
        for one in self.all.iter().filter(overdue) {
            one.killed.set(true);
            if one.container.borrow().status().is_active() {
                send_kill(one.container.borrow());
            }
        }
    }
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

/// Waits for the end of a container and of what its restart policy makes of it, `limit` at most.
fn has_stopped(store: &Store, container: &ContainerDir, limit: Option<Duration>) -> Result<bool> {
    let begun = Instant::now();
    loop {
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        if wait_ended(store, container, left)?.is_none() {
            return Ok(false);
        }
        // Its monitor may have been about to start it again, or may just have done so.
        if !container.status().is_active() {
            return Ok(true);
        }
        rest_of_pause(container);
        if limit.is_some_and(|limit| limit <= begun.elapsed()) {
            return Ok(false);
        }
    }
}

/// Whether the container has ended and its monitor is about to remove it.
fn still_to_be_removed(container: &ContainerDir) -> bool {
    container.status() == Status::Exited && container.summary().auto_remove && container.in_place()
}
