//! Leaves that clean up when they are told to stop.
//!
//! Theory of operation. SIGINT, SIGTERM and SIGHUP are blocked before the fork, so that neither process is
//! killed by one at a bad moment. The leaf checks for them with [`StopSignals`] and stops as after a failure.
//! The parent forwards the signals it gets (a terminal sends them to both, `kill` only to one), waits for the
//! leaf, and then lets the signal take its usual effect.

use super::Child;
use super::leaf::{Reporter, listen, not_started, spawn_leaf};
use crate::error::Result;
use crate::sys::process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// The signals that ask a process to stop, blocked and looked for.
#[derive(Debug)]
pub struct StopSignals {
    signals: SignalFd,
    before: SigSet,
    first: Cell<Option<Signal>>,
}

impl StopSignals {
    /// Blocks them in this thread and those it starts from now on.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn watch() -> nix::Result<StopSignals> {
        let mut stop = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            stop.add(signal);
        }
        let before = SigSet::thread_get_mask()?;
        stop.thread_block()?;
        let signals = SignalFd::with_flags(&stop, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(StopSignals { signals, before, first: Cell::new(None) })
    }

    /// Whether one has come since the watch began.
    pub fn came(&self) -> bool {
        while let Ok(Some(_)) = self.next() {}
        self.first.get().is_some()
    }

    fn next(&self) -> nix::Result<Option<Signal>> {
        let Some(info) = self.signals.read_signal()? else { return Ok(None) };
        let signal = Signal::try_from(info.ssi_signo as i32)?;
        self.first.set(self.first.get().or(Some(signal)));
        Ok(Some(signal))
    }

    /// Ends the watch; a signal that came has its usual effect now.
    ///
    /// # Errors
    /// Those of sigprocmask(2).
    pub fn release(self) -> nix::Result<()> {
        if let Some(signal) = self.first.get() {
            raise(signal)?;
        }
        self.before.thread_set_mask()
    }
}

impl AsFd for StopSignals {
    /// Readable when one has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// Like [`super::leaf`], for long operations that clean up when told to stop: `work` has to check for
/// [`StopSignals`]. A signal that came ends this process after the leaf.
///
/// # Errors
/// As [`super::leaf`].
pub fn tidy_leaf<M, T>(
    name: &str,
    kept: &[RawFd],
    work: impl FnOnce(&Reporter<M>, &StopSignals) -> Result<T>,
    on_message: impl FnMut(M),
) -> Result<T>
where
    M: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let failed = |e: Errno| not_started(name, e);
    let signals = StopSignals::watch().map_err(failed)?;
    let child = spawn_leaf(name, kept, |reporter| {
        // A descriptor of its own, because the parent's is not the child's to close.
        let signals = StopSignals::watch().map_err(failed)?;
        work(reporter, &signals)
    });
    let result = child.and_then(|child| listen(name, &child, |child| pass_on(&signals, child), on_message));
    signals.release().map_err(failed)?;
    result
}

/// Waits until the link has something to read; passes on the signals that come meanwhile.
fn pass_on(signals: &StopSignals, child: &Child) -> nix::Result<()> {
    loop {
        let mut fds = [
            PollFd::new(child.link.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let readable = fds[0].any().unwrap_or(true);
        while let Some(signal) = signals.next()? {
            // A leaf that has ended already needs no telling.
            let _ = process::pidfd_send_signal(child.pidfd.as_fd(), signal as i32);
        }
        if readable {
            return Ok(());
        }
    }
}
