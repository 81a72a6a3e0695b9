//! Asks for a user name and a password on the terminal at standard input.
//!
//! Theory of operation. While a password is typed the terminal shows nothing and delivers each key at once, those that
//! would send a signal too. So Ctrl-C is a key here, which ends the question like a signal from elsewhere: signals that
//! end a process are blocked and waited for, the terminal gets its mode back, and then the signal has its usual effect.

use super::out;
use crate::error::{Context, Error, Kind, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices as At, Termios};
use std::io::{BufRead, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};

/// Most bytes of a password that is typed.
const PASSWORD_MAX: usize = 64 << 10;

/// Whether there is somebody to ask.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks on standard output and reads a line of standard input, without its end; `None` at the end of input.
///
/// # Errors
/// If either stream fails.
pub fn ask(question: &str) -> Result<Option<String>> {
    out(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context(Kind::Usage, || "read the answer")?;
    if answer.is_empty() {
        out("\n")?;
        return Ok(None);
    }
    Ok(Some(answer.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The same without showing what is typed.
///
/// # Errors
/// As [`ask`], and what is not UTF-8 text.
pub fn ask_hidden(question: &str) -> Result<Option<String>> {
    let failed = |e: Errno| Error::new(Kind::Usage, "reading password").caused_by(e);
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
        let typed = type_in(&signals).map_err(failed);
        drop(hidden);
        // What was typed has not moved the cursor, its end neither.
        out("\n")?;
        typed
    });
    if let Ok(Typed::Signal(signal)) = typed {
        // Ends this process as soon as it is let through.
        raise(signal).map_err(failed)?;
    }
    before.thread_set_mask().map_err(failed)?;
    match typed? {
        Typed::Line(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Error::new(Kind::Usage, "reading password: it is not UTF-8 text")),
        Typed::End => Ok(None),
        Typed::Signal(_) => Err(Error::new(Kind::Usage, "interrupted")),
    }
}

/// How typing ended.
enum Typed {
    Line(Vec<u8>),
    End,
    Signal(Signal),
}

fn type_in(signals: &SignalFd) -> nix::Result<Typed> {
    let stdin = std::io::stdin();
    let mut line = Vec::new();
    loop {
        let mut fds =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let typed = fds[0].any().unwrap_or_default();
        if let Some(info) = signals.read_signal()? {
            return Ok(Typed::Signal(Signal::try_from(info.ssi_signo as i32)?));
        }
        if typed {
            let mut keys = [0; 256];
            let count = nix::unistd::read(stdin.as_fd(), &mut keys)?;
            if count == 0 {
                return Ok(Typed::End);
            }
            if let Some(end) = keys[..count].iter().find_map(|key| press(&mut line, *key)) {
                return Ok(end);
            }
        }
    }
}

/// A key, as a terminal's line discipline takes it.
fn press(line: &mut Vec<u8>, key: u8) -> Option<Typed> {
    match key {
        b'\r' | b'\n' => return Some(Typed::Line(std::mem::take(line))),
        // Ctrl-C, Ctrl-\, Ctrl-D.
        3 => return Some(Typed::Signal(Signal::SIGINT)),
        28 => return Some(Typed::Signal(Signal::SIGQUIT)),
        4 if line.is_empty() => return Some(Typed::End),
        4 => return Some(Typed::Line(std::mem::take(line))),
        // Backspace takes a whole character, Ctrl-U all of them.
        8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
        21 => line.clear(),
        key if line.len() < PASSWORD_MAX => line.push(key),
        _ => {}
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<Result<Vec<u8>, Option<Signal>>> {
        let mut line = Vec::new();
        keys.iter().find_map(|key| press(&mut line, *key)).map(|typed| match typed {
            Typed::Line(line) => Ok(line),
            Typed::End => Err(None),
            Typed::Signal(signal) => Err(Some(signal)),
        })
    }

    #[test]
    fn keys_do_what_a_terminal_does() {
        assert_eq!(typed(b"secret\r"), Some(Ok(b"secret".to_vec())));
        assert_eq!(typed("aé\u{7f}b\n".as_bytes()), Some(Ok(b"ab".to_vec())));
        assert_eq!(typed(b"wrong\x15right\x04"), Some(Ok(b"right".to_vec())));
        assert_eq!(typed(b"\x7f\x04"), Some(Err(None)));
        assert_eq!(typed(b"ab\x03"), Some(Err(Some(Signal::SIGINT))));
        assert_eq!(typed(b"ab\x1c"), Some(Err(Some(Signal::SIGQUIT))));
        assert_eq!(typed(b"abc"), None);
    }
}
