//! Acting on containers that run: signals, stopping, waiting, and finishing what a dead monitor left.
//!
//! Theory of operation. A signal goes to the container's first process through a pidfd, opened by the
//! recorded pid and start time (attack case 37). The monitor reaps that process and writes `exit.json`;
//! everyone else watches the container's directory for it. With `--rm` the end is the moment the
//! directory left its place, for then name and ports are free. A monitor that died leaves the status
//! `Crashed`: whoever notices first finishes its work by [`recover`].

use super::cgroup;
use crate::container::{ExitRecord, Name, Status};
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::storage::Store;
use crate::storage::containers::watch::{self, Watch};
use crate::storage::containers::{ContainerDir, DirLock, LOST_EXIT_CODE, ProcessRef, RunRecord, Summary};
use crate::storage::events::{Action, Event};
use crate::storage::trash::{self, Swept};
use crate::sys::process;
use crate::userns;
use chrono::Utc;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

mod force;
pub use force::{Target, end_all};

/// How long the end of a killed container may take before `stop` and `kill` say that it does not come.
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
    ask(container, with)
}

fn ask(container: &ContainerDir, with: i32) -> Result<()> {
    if !container.status().is_active() {
        return Ok(());
    }
    let noted = note_stop(container);
    tell_monitor(container, libc::SIGCONT);
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
    tell_monitor(container, libc::SIGTERM);
    // Somebody may have stopped it.
    tell_monitor(container, libc::SIGCONT);
}

fn tell_monitor(container: &ContainerDir, signal: i32) {
    if let Ok(Some(monitor)) = container.run_record().map(|run| run.and_then(|run| run.open_monitor())) {
        // One that has ended needs no waking.
        let _ = process::pidfd_send_signal(monitor.as_fd(), signal);
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
    let lifecycle = container.spec().map(|plan| plan.lifecycle);
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
    force::send_kill(container);
    await_no_restart(container);
    if !container.status().is_active() && container.in_place() {
        return recover(store, container);
    }
    match wait_ended(store, container, Some(AFTER_KILL))? {
        Some(_) => Ok(()),
        None => Err(force::stuck(container)),
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

/// The exit code of a container's last run: `code`, with which a run of this monitor has just ended, unless that
/// one starts it again. Waits for the end of that monitor then.
///
/// # Errors
/// When its records cannot be read.
pub fn last_code(
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
        && let Ok(plan) = container.spec()
    {
        cgroup::clear(&plan);
    }
    failpoint::reach("recover.finished");
    let leftover = container.summary();
    if leftover.auto_remove && leftover.run > 0 && !container.is_alive() {
        let lock = container.lock()?;
        if container.status() == Status::Exited {
            remove(store, container, &lock, true)?;
        }
    }
    Ok(())
}

/// Finishes the work of a monitor that died, if there is any: whoever meets a container looks here first.
/// Where nothing can be written the container is left as it is.
fn settle(store: &Store, container: &ContainerDir) {
    let leftover = match container.status() {
        Status::Crashed => true,
        // Its monitor was killed between its exit record and the removal.
        Status::Exited => container.summary().auto_remove && !container.is_alive(),
        _ => false,
    };
    if leftover && let Err(error) = recover(store, container) {
        log::info!("container {} is left as it is: {error}", container.id().short());
    }
}

/// Finds a container by full id, name or unique beginning of an id. A `--rm` container whose monitor died is
/// none any more.
///
/// # Errors
/// `NotFound`; `Conflict` when several ids begin like that.
pub fn find(store: &Store, text: &str) -> Result<ContainerDir> {
    let found = store.containers().find(text)?;
    settle(store, &found);
    if found.in_place() { Ok(found) } else { store.containers().find(text) }
}

/// The container that has exactly this name; what is left of a removal, or of a `--rm` container whose monitor
/// died, holds none.
pub fn holder(store: &Store, name: &Name) -> Option<ContainerDir> {
    let found = find(store, name.as_str()).ok()?;
    (found.is_listed() && found.summary().name().as_ref() == Some(name)).then_some(found)
}

/// Finishes the work of all monitors that died: what is asked for afterwards, names, volumes or images, is in
/// use by living containers only.
///
/// # Errors
/// When the containers cannot be listed.
pub fn settle_all(store: &Store) -> Result<()> {
    list(store).map(drop)
}

/// The containers, dead monitors' work finished first; the latest first.
///
/// # Errors
/// When the containers cannot be listed.
pub fn list(store: &Store) -> Result<Vec<Summary>> {
    let list = store.containers().list()?;
    let is_left = |s: &&Summary| {
        s.status == Status::Crashed || s.status == Status::Exited && s.auto_remove && s.run > 0
    };
    if !list.iter().any(|s| is_left(&s)) {
        return Ok(list);
    }
    for left in list.iter().filter(is_left) {
        if let Ok(container) = store.containers().open(&left.id) {
            settle(store, &container);
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
    let plan = container.spec().ok();
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
    if container.status().is_active() || container.is_about_to_start() || !container.in_place() {
        return Ok(false);
    }
    remove(store, container, &lock, volumes).map(|()| true)
}

/// Ends a container by all means, for its removal, within its patience and two seconds.
///
/// # Errors
/// When it could not be ended; the error says what keeps it.
pub fn end(store: &Store, container: &ContainerDir, signal: i32, patience: Option<Duration>) -> Result<()> {
    force::end(store, Target { container, signal, patience })
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
