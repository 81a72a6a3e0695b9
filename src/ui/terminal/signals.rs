//! The signals that a command forwards to the container it is attached to.

use crate::error::{Context, Kind, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// Signals that are not passed on: the kernel's own business, and those of job control.
const NOT_PROXIED: [Signal; 11] = [
    Signal::SIGCHLD,
    Signal::SIGPIPE,
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGCONT,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGURG,
];

/// Signals that end a command with a terminal, which is restored first.
const FATAL: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Signals that are blocked; unblocked on drop.
#[derive(Debug)]
pub(super) struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks the signals that will be passed on and, with a terminal, those that would leave it in raw mode.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub(super) fn hold(proxy: bool, tty: bool) -> Result<Signals> {
        let mut set = SigSet::empty();
        if proxy {
            for signal in Signal::iterator().filter(|s| !NOT_PROXIED.contains(s)) {
                set.add(signal);
            }
        }
        if tty {
            FATAL.into_iter().for_each(|signal| set.add(signal));
            set.add(Signal::SIGWINCH);
        }
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))
            .context(Kind::Runtime, || "block signals")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context(Kind::Runtime, || "open signal descriptor")?;
        Ok(Signals { fd, before })
    }

    /// The next signal that has come.
    pub(super) fn next(&self) -> Option<i32> {
        self.fd.read_signal().ok().flatten().map(|info| info.ssi_signo as i32)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and none is documented.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
