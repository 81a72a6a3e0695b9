//! Sending signals to a container and its monitor, and marking it as to be stopped.

use crate::error::{Context, Kind, Result, phrases};
use crate::storage::containers::ContainerDir;
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::AsFd;

/// Sends a signal to the container's first process.
///
/// # Errors
/// `Conflict` when the container is not running.
pub fn signal(container: &ContainerDir, signal: i32) -> Result<()> {
    container.await_start();
    let status = container.status();
    let not_running = || {
        phrases::not_running_to_kill(&container.called(), status.as_str())
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

/// The first half of stopping: notes that the container must not be restarted, and sends `signal` without
/// waiting, so that many containers can end at the same time. A container that is not running is ignored.
///
/// # Errors
/// When the signal is refused.
pub(super) fn ask(container: &ContainerDir, with: i32) -> Result<()> {
    if !container.status().is_active() {
        return Ok(());
    }
    let noted = note_stop(container);
    tell_monitor(container, libc::SIGCONT);
    match signal(container, with) {
        // It has just exited by itself, or waits to be restarted.
        Err(e) if e.kind() == Kind::Conflict => nudge(container),
        other => other?,
    }
    if noted.is_err() {
        // The disk is full. The monitor itself remembers that it was signalled.
        nudge(container);
    }
    Ok(())
}

/// Notes that the container is to be stopped, before anything is signalled: its monitor then starts no
/// further run, whichever process is killed meanwhile.
///
/// # Errors
/// When the note cannot be written.
pub(super) fn note_stop(container: &ContainerDir) -> Result<()> {
    match container.run_record()? {
        Some(run) => container.ask_stop(run.run),
        None => Ok(()),
    }
}

/// Wakes the monitor: it ends its waiting, or stops a payload that it has just started again.
pub(super) fn nudge(container: &ContainerDir) {
    tell_monitor(container, libc::SIGTERM);
    // Somebody may have stopped it.
    tell_monitor(container, libc::SIGCONT);
}

pub(super) fn tell_monitor(container: &ContainerDir, signal: i32) {
    if let Ok(Some(monitor)) = container.run_record().map(|run| run.and_then(|run| run.open_monitor())) {
        // A monitor that has exited needs no waking.
        let _ = process::pidfd_send_signal(monitor.as_fd(), signal);
    }
}
