//! The first process, as the loop sees it: stopping, killing and reaping it.

use crate::fork::{Doing, Failure};
use crate::runtime::monitor::Live;
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How the first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its exit code, 128+n when signal n killed it.
    pub code: u8,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// What the loop needs to know about the container.
#[derive(Debug)]
pub struct Payload<'a> {
    /// The first process.
    pub pid: Pid,
    /// A descriptor of it.
    pub pidfd: BorrowedFd<'a>,
    /// Signal that asks it to stop.
    pub stop_signal: i32,
    /// How long it may take.
    pub stop_timeout: Duration,
    /// When it is killed, whatever it does.
    pub deadline: Option<Instant>,
    /// The exit code that this then has, instead of its own.
    pub late: Option<u8>,
    /// It leads a process group, which is killed with it.
    pub group: bool,
    /// Without a pid namespace the first process does not take the others along: they come to us, their
    /// subreaper, and are killed, all but these children of our own.
    pub helpers: Option<Vec<Pid>>,
    /// A process whose end is this one's end too, where the kernel does not see to that.
    pub lives_with: Option<BorrowedFd<'a>>,
    /// What carries its network, looked after whenever a child has ended.
    pub network: Option<&'a Live<'a>>,
}

impl Payload<'_> {
    /// Sends the stop signal; gives when the payload is to be killed. A time limit that ends sooner stays.
    pub(super) fn ask_to_stop(&self, kill_at: Option<Instant>) -> Instant {
        let _ = process::pidfd_send_signal(self.pidfd, self.stop_signal);
        let end = Instant::now() + self.stop_timeout;
        kill_at.map_or(end, |at| at.min(end))
    }

    pub(super) fn kill(&self) {
        if self.group {
            // Not reaped yet, so the number is still its own.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        // ESRCH: it has exited by itself, and is reaped in the next iteration.
        let _ = process::pidfd_send_signal(self.pidfd, libc::SIGKILL);
    }
}

/// Reaps whatever has ended; the first process's end when it is among them.
pub(super) fn reap(payload: &Payload<'_>) -> Result<Option<End>, Failure> {
    let end = match process::reap(payload.pidfd) {
        Ok(Some(process::Ended::Exited(code))) => Some(End { code: code as u8, signal: None }),
        Ok(Some(process::Ended::Killed(signal))) => {
            Some(End { code: 128 + signal as u8, signal: Some(signal) })
        }
        Ok(None) | Err(Errno::EINTR) => None,
        Err(e) => return Err(e).doing("wait for", "the container's first process"),
    };
    if end.is_none() {
        // Helpers, and orphans of a container without a pid namespace of its own, come to their
        // subreaper one by one; the first process is left for the wait above.
        process::reap_others(payload.pid);
    }
    Ok(end)
}
