//! A first process that has exited without its parent being notified.
//!
//! Theory of operation. A traced process that has exited is reported only to its tracer until that has waited
//! for it, has detached or has exited (ptrace(2)): its parent gets no `SIGCHLD`, and waitid(2) skips it.
//! Tracers inside the container's own PID namespace die with it; those in a shared one, or outside, survive. So
//! the pidfd is polled too, which becomes readable all the same, except if one of the process's threads is held
//! in this way. A tracer that runs in a container is killed: it has nothing left to trace there, and the parent
//! is notified then. Any other tracer is somebody's debugger: the exit code is read from procfs, and the
//! process is left to it.

use super::End;
use crate::runtime::processes;
use crate::sys::{namespace, process};
use nix::libc;
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Delay before the first check: usually the parent is notified at once.
const SOON: Duration = Duration::from_millis(20);
/// Polling interval for a process that is about to exit.
const AGAIN: Duration = Duration::from_millis(250);
/// How long the end of a tracer may take to reach us.
const GRACE: Duration = Duration::from_secs(1);

/// When to check the first process next, and the last result.
#[derive(Debug, Default)]
pub(super) struct Held {
    at: Option<Instant>,
    /// Looked at until it ends.
    dying: bool,
    /// Its pidfd was readable.
    said: bool,
    /// When it was first found dead.
    found: Option<Instant>,
}

impl Held {
    /// Its pidfd says that it has ended.
    pub(super) fn has_ended(&mut self) {
        (self.said, self.dying) = (true, true);
        self.look_in(SOON);
    }

    /// It was asked to end, or killed.
    pub(super) fn is_to_end(&mut self) {
        self.dying = true;
        self.look_in(AGAIN);
    }

    /// Nobody has its output open any more.
    pub(super) fn is_silent(&mut self) {
        self.look_in(AGAIN);
    }

    fn look_in(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.at
    }

    /// Whether the pidfd has anything left to say.
    pub(super) fn asks_pidfd(&self) -> bool {
        !self.said
    }

    /// Looks at the process, a child that was not reaped, if it is time; returns its end, and what is left and
    /// why, when nothing more is to be waited for.
    pub(super) fn look(&mut self, pid: Pid) -> Option<(End, String)> {
        let now = Instant::now();
        if self.at.is_none_or(|at| now < at) {
            return None;
        }
        let Some(dead) = processes::dead(pid.as_raw()) else {
            self.at = self.dying.then(|| now + AGAIN);
            return None;
        };
        let first = self.found.is_none();
        let found = *self.found.get_or_insert(now);
        let waits = match dead.tracer {
            Some(tracer) if first => end_tracer(pid, tracer),
            // One of ours that was just killed, or one that cannot be seen from here.
            _ => true,
        };
        if now < found + if waits { GRACE } else { AGAIN } {
            self.at = Some(now + SOON);
            return None;
        }
        let by = dead.tracer.map_or_else(String::new, |tracer| format!(", {}", processes::shown(tracer)));
        let left = format!("process {pid} has exited, but cannot be reaped until its tracer{by} detaches");
        Some((end(dead.status), left))
    }
}

/// Reads a status as wait(2) gives it.
fn end(status: i32) -> End {
    match status & 0x7f {
        0 => End { code: (status >> 8) as u8, signal: None },
        signal => End { code: 128 + signal as u8, signal: Some(signal) },
    }
}

/// Kills the tracer of a dead child if it is a container's; false when it is left alone.
fn end_tracer(pid: Pid, tracer: i32) -> bool {
    let Ok(pidfd) = process::pidfd_open(Pid::from_raw(tracer)) else { return true };
    if !is_contained(tracer) {
        return false;
    }
    // Still the tracer, so the result is about this process.
    if processes::dead(pid.as_raw()).and_then(|dead| dead.tracer) == Some(tracer) {
        let _ = process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    }
    true
}

/// Whether a process is in a user namespace below our own, as those of containers are.
fn is_contained(pid: i32) -> bool {
    let open = |of: &str| File::open(format!("/proc/{of}/ns/user")).map(OwnedFd::from).ok();
    let identity = |fd: BorrowedFd<'_>| fstat(fd).ok().map(|status| (status.st_dev, status.st_ino));
    let (Some(theirs), Some(own)) = (open(&pid.to_string()), open("self")) else { return false };
    let own = identity(own.as_fd());
    let mut at = theirs;
    while identity(at.as_fd()) != own {
        match namespace::owner(at.as_fd()) {
            Ok(above) if identity(above.as_fd()) == own => return true,
            Ok(above) => at = above,
            // Beside or above ours.
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_wait_gives_them() {
        assert_eq!(end(0), End { code: 0, signal: None });
        assert_eq!(end(7 << 8), End { code: 7, signal: None });
        assert_eq!(end(9), End { code: 137, signal: Some(9) });
        // With a core.
        assert_eq!(end(0x80 | 11), End { code: 139, signal: Some(11) });
    }

    #[test]
    fn a_process_of_our_own_namespace_is_nobodys_container() {
        assert!(!is_contained(std::process::id().cast_signed()));
        assert!(!is_contained(1));
    }
}
