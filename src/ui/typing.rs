//! Keys typed at the terminal at standard input, one by one.
//!
//! Theory of operation. Meanwhile the terminal shows nothing and delivers each key at once, those that would send a
//! signal too. So Ctrl-C is a key here, which ends the typing like a signal from elsewhere: signals that end a process
//! are blocked and waited for, the terminal gets its mode back, and then the signal has its usual effect.

use super::out;
use crate::error::{Error, Kind, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices as At, Termios};
use std::os::fd::{AsFd, BorrowedFd};

/// How typing ended.
pub(super) enum Typed<T> {
    Done(T),
    /// Ctrl-D, or the end of input.
    End,
    Signal(Signal),
}

/// Shows `question` and gives `press` each key until it ends the typing; `end` is shown then. `None` at the end of input.
/// `what` names what is typed, in messages.
///
/// # Errors
/// If the terminal fails.
pub(super) fn typed<T>(
    what: &str,
    question: &str,
    end: &str,
    press: impl FnMut(u8) -> Option<Typed<T>>,
) -> Result<Option<T>> {
    let failed = |e: Errno| Error::new(Kind::Usage, format!("reading {what}")).caused_by(e);
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        ending.add(signal);
    }
    let before = SigSet::thread_get_mask().map_err(failed)?;
    ending.thread_block().map_err(failed)?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let typed = SignalFd::with_flags(&ending, flags).map_err(failed).and_then(|signals| {
        let hidden = Hidden::enter().map_err(failed)?;
        out(question)?;
        let typed = type_in(&signals, press).map_err(failed);
        drop(hidden);
        out(end)?;
        typed
    });
    if let Ok(Typed::Signal(signal)) = typed {
        // Ends this process as soon as it is let through.
        raise(signal).map_err(failed)?;
    }
    before.thread_set_mask().map_err(failed)?;
    match typed? {
        Typed::Done(done) => Ok(Some(done)),
        Typed::End => Ok(None),
        Typed::Signal(_) => Err(Error::new(Kind::Usage, "interrupted")),
    }
}

fn type_in<T>(signals: &SignalFd, mut press: impl FnMut(u8) -> Option<Typed<T>>) -> nix::Result<Typed<T>> {
    let stdin = std::io::stdin();
    loop {
        let mut fds =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let has_keys = fds[0].any().unwrap_or_default();
        if let Some(info) = signals.read_signal()? {
            return Ok(Typed::Signal(Signal::try_from(info.ssi_signo as i32)?));
        }
        if has_keys {
            let mut keys = [0; 256];
            let count = nix::unistd::read(stdin.as_fd(), &mut keys)?;
            if count == 0 {
                return Ok(Typed::End);
            }
            if let Some(end) = keys[..count].iter().find_map(|key| press(*key)) {
                return Ok(end);
            }
        }
    }
}

/// The terminal's previous mode, restored on drop.
struct Hidden(Termios);

impl Hidden {
    fn enter() -> nix::Result<Hidden> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        hidden
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        hidden.local_flags.remove(LocalFlags::IEXTEN);
        hidden.control_chars[At::VMIN as usize] = 1;
        hidden.control_chars[At::VTIME as usize] = 0;
        set(stdin.as_fd(), &hidden)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = set(std::io::stdin().as_fd(), &self.0);
    }
}

/// Once what was written is shown; what was typed stays.
fn set(terminal: BorrowedFd<'_>, mode: &Termios) -> nix::Result<()> {
    termios::tcsetattr(terminal, SetArg::TCSADRAIN, mode)
}
