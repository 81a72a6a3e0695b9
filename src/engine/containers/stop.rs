//! Stopping containers: the stop signal, a time-out, then `SIGKILL`.
//!
//! Theory of operation. Containers that one command stops end in parallel. All are signalled before any is
//! waited for, and while one is waited for, every container whose time-out expires is killed.

use super::force::send_kill;
use super::kill::await_killed;
use super::pause::refuse_paused;
use super::policy::{stop_policy, timed_out};
use super::recover::recover;
use super::running::Running;
use super::signal::ask;
use super::start::start;
use super::wait::{AFTER_KILL, rest_of_pause, wait_ended};
use crate::container::{Signal, Status};
use crate::error::{Result, Warning};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, ProcessRef};
use crate::storage::events::{Action, Event};
use chrono::Utc;
use std::borrow::Borrow;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Stops a container: `signal`, then `SIGKILL` after `patience`; `None` waits forever.
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

/// Stops a container with its own stop signal and time-out.
///
/// # Errors
/// As [`stop`].
pub(super) fn stop_by_policy(store: &Store, container: &ContainerDir) -> Result<Stopped> {
    let (signal, patience) = stop_policy(container, None);
    stop(store, container, signal, patience)
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
    /// The monitor that was signalled: a run started by another command since is left alone.
    asked: Option<ProcessRef>,
    /// What it was sent.
    signal: i32,
    /// How long it has.
    patience: Option<Duration>,
    /// When it is killed; `None` for never, or once it has been.
    deadline: Cell<Option<Instant>>,
    killed: Cell<bool>,
    /// The event of its exit, prepared because the directory of a --rm container disappears.
    told: Option<Event>,
}

impl<'a, C: Borrow<ContainerDir>> Stopping<'a, C> {
    /// None yet.
    pub fn new(store: &'a Store) -> Stopping<'a, C> {
        Stopping { store, all: Vec::new() }
    }

    /// Like [`Stopping::ask`], with the container's own stop signal and time-out; `signal` and `seconds` override them,
    /// and a negative time-out is forever.
    ///
    /// # Errors
    /// `Conflict` for a paused container, which could not act on the signal.
    pub fn begin(&mut self, container: C, signal: Option<Signal>, seconds: Option<i64>) -> Result<usize> {
        let dir = container.borrow();
        refuse_paused(dir)
            .map_err(|error| error.hint(format!("Or kill it as it is: coracle kill {}", dir.called())))?;
        // One that an exchange has stopped is to stay so.
        dir.end_loan()?;
        let (own, patience) = stop_policy(dir, seconds);
        self.ask(container, signal.map_or(own, Signal::number), patience)
    }

    /// The first half of stopping: signals a container, without waiting for it to exit. Returns its index.
    ///
    /// # Errors
    /// When the signal is refused.
    pub fn ask(&mut self, container: C, signal: i32, patience: Option<Duration>) -> Result<usize> {
        let dir = container.borrow();
        dir.await_start();
        let active = dir.status().is_active();
        let told = (active || still_to_be_removed(dir)).then(|| dir.event(Action::Stop));
        let asked = if active { dir.run_record()?.map(|run| run.monitor) } else { None };
        ask(dir, signal)?;
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        self.all.push(One {
            container,
            asked,
            signal,
            patience,
            deadline: Cell::new(deadline),
            killed: Cell::new(false),
            told,
        });
        Ok(self.all.len() - 1)
    }

    /// That the container at `index` had to be killed, although it had time to end.
    pub fn warning(&self, index: usize) -> Option<Warning> {
        let One { killed, signal, patience, container, .. } = &self.all[index];
        timed_out(container.borrow(), *signal, *patience).filter(|_| killed.get())
    }

    /// The container at `index`.
    pub fn container(&self, index: usize) -> &ContainerDir {
        self.all[index].container.borrow()
    }

    /// The second half: waits for the container at `index` to exit, and meanwhile kills every one whose
    /// time-out expires.
    ///
    /// # Errors
    /// When a killed container's monitor does not exit.
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
    pub fn restart(&self, index: usize) -> Result<Running> {
        self.finish(index)?;
        let container = self.container(index);
        let running = start(self.store, container, None)?;
        container.emit(Action::Restart);
        Ok(running)
    }

    fn end_of(&self, index: usize) -> Result<Stopped> {
        let (container, one) = (self.container(index), &self.all[index]);
        while one.still_runs() && !one.killed.get() {
            let next = self.all.iter().filter_map(|one| one.deadline.get()).min();
            let left = next.map(|at| at.saturating_duration_since(Instant::now()));
            if wait_ended(self.store, container, left)?.is_some() {
                // Its monitor may be about to start it again.
                rest_of_pause(container);
            }
            self.kill_overdue();
        }
        if one.killed.get() {
            await_killed(self.store, container)?;
            return Ok(Stopped::Killed);
        }
        if still_to_be_removed(container) {
            wait_ended(self.store, container, Some(AFTER_KILL))?;
        }
        Ok(Stopped::Ended)
    }

    fn kill_overdue(&self) {
        let now = Instant::now();
        for one in self.all.iter().filter(|one| one.deadline.get().is_some_and(|at| at <= now)) {
            one.deadline.set(None);
            if one.still_runs() {
                one.killed.set(true);
                send_kill(one.container.borrow());
            }
        }
    }
}

impl<C: Borrow<ContainerDir>> One<C> {
    /// Whether the container still runs, including in a further run of the same monitor.
    fn still_runs(&self) -> bool {
        let container = self.container.borrow();
        let monitor = || container.run_record().ok().flatten().map(|run| run.monitor);
        self.asked.is_some() && container.status().is_active() && monitor() == self.asked
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

/// Whether the container has ended and its monitor is about to remove it.
fn still_to_be_removed(container: &ContainerDir) -> bool {
    container.status() == Status::Exited && container.summary().auto_remove && container.in_place()
}
