//! Acting on containers that run: signals, stopping, waiting, and finishing what a dead monitor left.
//!
//! Theory of operation. A signal goes to the container's first process through a pidfd, opened by the
//! recorded pid and start time (attack case 37). The monitor reaps that process and writes `exit.json`;
//! everyone else watches the container's directory for it. With `--rm` the end is the moment the
//! directory left its place, for then name and ports are free. A monitor that died leaves the status
//! `Crashed`: whoever notices first finishes its work by [`recover`].

use super::cgroup;
use crate::container::{ExitRecord, Status};
use crate::error::{Context, Error, Kind, Result};
use crate::plan::ContainerPlan;
use crate::storage::Store;
use crate::storage::containers::watch::{self, Watch};
use crate::storage::containers::{ContainerDir, DirLock, LOST_EXIT_CODE, RunRecord, Summary};
use crate::storage::events::{Action, Event};
use crate::storage::trash::{self, Swept};
use crate::sys::process;
use crate::userns;
use chrono::Utc;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the end of a killed container may take before `stop` and `rm -f` give up on its monitor.
const AFTER_KILL: Duration = Duration::from_secs(20);

/// Sends a signal to the container's first process.
///
/// # Errors
/// `Conflict` when the container does not run.
pub fn signal(container: &ContainerDir, signal: i32) -> Result<()> {
    container.await_start();
    let status = container.status();
    let not_running = || {
        Error::new(
            Kind::Conflict,
            format!("container {} is {}, not running", container.called(), status.as_str()),
        )
        .hint("See which containers run: coracle ps")
    };
    if !status.is_live() {
        return Err(not_running());
    }
    let pidfd = container.run_record()?.and_then(|run| run.open_init()).ok_or_else(not_running)?;
    match process::pidfd_send_signal(pidfd.as_fd(), signal) {
        Ok(()) => Ok(()),
        Err(Errno::ESRCH) => Err(not_running()),
        Err(e) => {
            Err(e).context(Kind::Runtime, || format!("send signal {signal} to container {}", container.id()))
        }
    }
}

/// Freezes a running container's processes.
///
/// # Errors
/// `Conflict` when it does not run or is paused already; `Host` when this account may have no cgroup for
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

/// Lets a paused container's processes go on.
///
/// # Errors
/// `Conflict` when it is not paused.
pub fn unpause(container: &ContainerDir) -> Result<()> {
    let _lock = container.lock()?;
    let mut run = in_state(container, Status::Paused, "unpaused")?;
    // In this order: a command killed in between leaves one that can be unpaused once more.
    cgroup::thaw(container, &run)?;
    run.paused = false;
    container.write_run(&run)?;
    container.emit(Action::Unpause);
    Ok(())
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
        error.hint("See how containers stand: coracle ps -a")
    };
    if status != wanted {
        return Err(wrong());
    }
    container.run_record()?.ok_or_else(wrong)
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

/// The first half of stopping: says that the container is not to be started again, sends `signal` and does
/// not wait, so that many containers can end at the same time. One that does not run is none of its
/// business; one that is just being started is waited for.
///
/// # Errors
/// When the signal is refused.
pub fn ask_to_stop(container: &ContainerDir, with: i32) -> Result<()> {
    container.await_start();
    if !container.status().is_active() {
        return Ok(());
    }
    let noted = note_stop(container);
    match signal(container, with) {
        // It ended by itself just now, or waits to be started again.
        Err(e) if e.kind() == Kind::Conflict => nudge(container),
        other => other?,
    }
    if noted.is_err() {
        // A full disk. The monitor itself keeps in mind that it was told.
        nudge(container);
    }
    Ok(())
}

/// Writes down that the container is wanted stopped, before anything is signalled: its monitor starts no
/// further run then, whoever is killed meanwhile.
///
/// # Errors
/// When the note cannot be written.
pub fn note_stop(container: &ContainerDir) -> Result<()> {
    match container.run_record()? {
        Some(run) => container.ask_stop(run.run),
        None => Ok(()),
    }
}

/// Wakes the monitor: it ends its waiting, or stops a payload that it has just started again.
fn nudge(container: &ContainerDir) {
    if let Ok(Some(monitor)) = container.run_record().map(|run| run.and_then(|run| run.open_monitor())) {
        // One that has ended needs no waking.
        let _ = process::pidfd_send_signal(monitor.as_fd(), libc::SIGTERM);
    }
}

/// Ends a pause before a restart: the container has ended then. The policy and what was asked of it stay.
pub fn end_pause(container: &ContainerDir) {
    nudge(container);
    await_no_restart(container);
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

/// How to stop a container: its stop signal, and how long it gets; `None` is for ever. `seconds` goes before
/// what it asked for itself, and is for ever when negative.
pub fn manner(container: &ContainerDir, seconds: Option<i64>) -> (i32, Option<Duration>) {
    // A container whose plan is lost is stopped like one that asked for nothing.
    let lifecycle = container.plan::<ContainerPlan>().map(|plan| plan.lifecycle);
    let (signal, own) = lifecycle.map_or((15, 10), |l| (l.stop_signal, l.stop_timeout));
    let seconds = seconds.unwrap_or(i64::from(own));
    (signal, u64::try_from(seconds).ok().map(Duration::from_secs))
}

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

/// Whether the container has ended and its monitor is about to remove it.
fn still_to_be_removed(container: &ContainerDir) -> bool {
    container.status() == Status::Exited && container.summary().auto_remove && container.in_place()
}

/// Kills a container and waits until it has ended. One that does not run is left as it is.
///
/// # Errors
/// When its monitor does not come to an end.
pub fn kill(store: &Store, container: &ContainerDir) -> Result<()> {
    if note_stop(container).is_err() {
        nudge(container);
    }
    match signal(container, libc::SIGKILL) {
        Err(e) if e.kind() == Kind::Conflict => nudge(container),
        other => other?,
    }
    await_no_restart(container);
    if !container.status().is_active() && container.in_place() {
        return recover(store, container);
    }
    match wait_ended(store, container, Some(AFTER_KILL))? {
        Some(_) => Ok(()),
        None => Err(Error::new(
            Kind::Runtime,
            format!("container {} was killed and did not end", container.id().short()),
        )
        .hint("A process of it may hang in the kernel; look for state D in: ps -eo pid,stat,wchan,args")),
    }
}

/// Waits while the monitor still waits to start the container again; it was told not to.
fn await_no_restart(container: &ContainerDir) {
    let begun = Instant::now();
    while container.status() == Status::Restarting && begun.elapsed() < AFTER_KILL {
        let mut watch = [Watch::new(container)];
        if container.status() == Status::Restarting {
            watch::wait_any(&mut watch, Some(Duration::from_millis(50)));
        }
    }
}

/// A failure with a container that somebody else removed meanwhile is none.
fn unless_gone(container: &ContainerDir, result: Result<()>) -> Result<()> {
    if container.in_place() { result } else { Ok(()) }
}

/// Waits for the end of a container, `limit` at most; one that was never started is waited for. Gives
/// the exit code, `None` when the time is over. For a `--rm` container the end is that it is removed.
///
/// # Errors
/// When its records cannot be read.
pub fn wait_ended(store: &Store, container: &ContainerDir, limit: Option<Duration>) -> Result<Option<u8>> {
    let begun = Instant::now();
    let auto_remove = container.summary().auto_remove;
    let run = container.run_record()?.map(|run| run.run);
    // The directory of a --rm container may be deleted before its records are read.
    let note = container.exit_note().ok();
    let mut code = None;
    loop {
        // Before looking, so that nothing falls between looking and waiting.
        let mut watch = [Watch::new(container)];
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
            let had_monitor = watch[0].has_monitor();
            watch::wait_any(&mut watch, left);
            if !had_monitor && container.is_alive() {
                // It has been started meanwhile: watch its monitor as well.
                break;
            }
        }
    }
}

/// The exit code of a container's last run: `code`, with which a run has just ended, unless its monitor
/// starts it again. Waits for the end of that monitor then.
///
/// # Errors
/// When its records cannot be read.
pub fn last_code(store: &Store, container: &ContainerDir, code: u8) -> Result<u8> {
    if !container.status().is_active() {
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

/// Finishes the work of a monitor that died: what is left of the run is killed and an exit record with
/// [`LOST_EXIT_CODE`] is written; a `--rm` container is removed. Nothing happens while a monitor lives.
///
/// # Errors
/// When a record cannot be written.
pub fn recover(store: &Store, container: &ContainerDir) -> Result<()> {
    unless_gone(container, finish_and_remove(store, container))
}

fn finish_and_remove(store: &Store, container: &ContainerDir) -> Result<()> {
    if container.finish_dead()?.is_some()
        && let Ok(plan) = container.plan()
    {
        cgroup::clear(&plan);
    }
    let leftover = container.summary();
    if leftover.auto_remove && leftover.run > 0 && !container.is_alive() {
        let lock = container.lock()?;
        if container.status() == Status::Exited {
            remove(store, container, &lock, true)?;
        }
    }
    Ok(())
}

/// The containers, dead monitors' work finished first; the latest first.
///
/// # Errors
/// When the containers cannot be listed.
pub fn list(store: &Store) -> Result<Vec<Summary>> {
    let list = store.containers().list()?;
    if !list.iter().any(|s| s.status == Status::Crashed) {
        return Ok(list);
    }
    for crashed in list.iter().filter(|s| s.status == Status::Crashed) {
        // A store that cannot be written is listed as it is.
        if let Ok(container) = store.containers().open(&crashed.id) {
            let _ = recover(store, &container);
        }
    }
    store.containers().list()
}

/// Removes a container that does not run: its name is free and its directory in the trash when this
/// returns; [`sweep`] deletes it. With `volumes`, its anonymous volumes go too.
///
/// # Errors
/// When the directory cannot be moved.
pub fn remove(store: &Store, container: &ContainerDir, lock: &DirLock, volumes: bool) -> Result<()> {
    // A container whose plan is lost can be removed like any other.
    let plan = container.plan::<ContainerPlan>().ok();
    container.trash(lock)?;
    if let Some(plan) = &plan {
        // Its monitor may have been killed when only this was left to do.
        cgroup::clear(plan);
    }
    match plan.filter(|_| volumes) {
        Some(plan) => super::volumes::remove_anonymous(store, &plan),
        None => Ok(()),
    }
}

/// Removes a container if it does not run: `false` when it does, or was removed by somebody else.
///
/// # Errors
/// When its records cannot be written or the directory cannot be moved.
pub fn remove_ended(store: &Store, container: &ContainerDir, volumes: bool) -> Result<bool> {
    recover(store, container)?;
    let lock = match container.lock() {
        Err(e) if e.kind() == Kind::NotFound => return Ok(false),
        other => other?,
    };
    if container.status().is_active() || container.is_in_hand() || !container.in_place() {
        return Ok(false);
    }
    remove(store, container, &lock, volumes).map(|()| true)
}

/// Ends a container by all means, for its removal: stops it, or kills it and its monitor.
///
/// # Errors
/// When it cannot be signalled.
pub fn end(store: &Store, container: &ContainerDir, with: i32, patience: Option<Duration>) -> Result<()> {
    if stop(store, container, with, patience).is_ok() {
        return Ok(());
    }
    // The monitor is stuck: without it the container is a dead monitor's leftover.
    if let Some(monitor) = container.run_record()?.and_then(|run| run.open_monitor()) {
        let _ = process::pidfd_send_signal(monitor.as_fd(), libc::SIGKILL);
        let mut watch = [Watch::new(container)];
        watch::wait_any(&mut watch, Some(Duration::from_secs(1)));
    }
    recover(store, container)
}

/// Deletes what is in the trash, in the user namespace where that is needed.
///
/// # Errors
/// When the trash cannot be read or the namespace cannot be entered.
pub fn sweep(store: &Store) -> Result<()> {
    if trash::sweep(store, usize::MAX)? == Swept::NeedsNamespace {
        userns::in_child(store.runtime(), || trash::sweep(store, usize::MAX).map(drop))?;
    }
    Ok(())
}

/// Deletes what is in the trash, at the end of a verb whose work is done without: names and ports
/// are free already, and what cannot be deleted now is deleted by a later command.
pub fn tidy(store: &Store) {
    if let Err(error) = sweep(store) {
        log::warn!("empty the trash: {error}: {}", error.causes().join(": "));
    }
}
