//! The caller's side of an attached container: relays the terminal or pipes, proxies signals, detaches.
//!
//! Theory of operation. One loop over three descriptors: the caller's standard input, the monitor's
//! socket and a signalfd. Nothing is sent while a frame is pending, and standard input is not read
//! then, so neither side can wait for the other in a circle. When nobody reads our standard output any
//! more the monitor is told, and closes the container's: `coracle run ... yes | head` ends.

use super::frame::{CONTENT_MAX, Frame};
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::sys::pty;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::termios::{self, SetArg, Termios};
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How the caller is attached.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Relay standard input.
    pub stdin: bool,
    /// Show standard output.
    pub stdout: bool,
    /// Show standard error.
    pub stderr: bool,
    /// The container has a terminal: put ours into raw mode and pass sizes on.
    pub tty: bool,
    /// Pass signals on.
    pub sig_proxy: bool,
    /// The bytes that detach when typed; empty means none.
    pub detach_keys: Vec<u8>,
}

/// A connection to a monitor, and what the caller wants of it.
#[derive(Debug)]
pub struct Attached {
    /// The connection.
    pub socket: OwnedFd,
    /// How the caller is attached.
    pub how: Attachment,
    /// Signals to pass on.
    pub signals: Signals,
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The container ended with this code.
    Exited(u8),
    /// The user typed the detach keys.
    Detached,
    /// This signal ended the command; the container goes on.
    Signalled(i32),
    /// The monitor went away without an exit code.
    Lost,
}

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

/// Signals that end a command with a terminal, which is put in order first.
const FATAL: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Signals held for proxying; made before the container starts so that none is lost.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks the signals that will be passed on.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn hold(how: &Attachment) -> Result<Signals> {
        let mut set = SigSet::empty();
        if how.sig_proxy {
            for signal in Signal::iterator().filter(|s| !NOT_PROXIED.contains(s)) {
                set.add(signal);
            }
        }
        if how.tty {
            // They would leave the terminal in raw mode.
            FATAL.into_iter().for_each(|signal| set.add(signal));
            set.add(Signal::SIGWINCH);
        } else {
            set.remove(Signal::SIGWINCH);
        }
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))
            .context(Kind::Runtime, || "block signals")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context(Kind::Runtime, || "open signal descriptor")?;
        Ok(Signals { fd, before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and none is documented.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// The terminal's mode, put back on drop.
struct RawMode(Termios);

impl RawMode {
    fn enter() -> Option<RawMode> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
        Some(RawMode(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

/// Finds the detach keys in what is typed; keys that turn out not to complete them are passed on.
struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// The bytes to pass on, and whether the keys were completed.
    fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (out, true);
                }
                continue;
            }
            out.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                out.push(*byte);
            }
        }
        (out, false)
    }
}

/// Relays until the container ends, the user detaches or the monitor is gone.
///
/// # Errors
/// When the caller's own descriptors fail.
pub fn follow(socket: &OwnedFd, how: &Attachment, signals: &Signals) -> Result<Ended> {
    let interactive = how.tty && how.stdin && std::io::stdin().is_terminal();
    let _raw = if interactive { RawMode::enter() } else { None };
    let mut relay = Relay {
        socket,
        how,
        pending: VecDeque::new(),
        stdin_open: how.stdin,
        detach: DetachKeys { keys: how.detach_keys.clone(), matched: 0 },
        detached: false,
    };
    if how.tty {
        relay.resize();
    }
    if how.stdin {
        // So that our end, of whatever kind, is the end of standard input.
        relay.send(&Frame::Stdin(&[]));
    }
    loop {
        let stdin = std::io::stdin();
        let mut wanted = PollFlags::POLLIN;
        if !relay.pending.is_empty() {
            wanted |= PollFlags::POLLOUT;
        }
        let mut fds =
            vec![PollFd::new(socket.as_fd(), wanted), PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
        if relay.stdin_open && relay.pending.is_empty() {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.context(Kind::Runtime, || "wait for the container")?,
        };
        let ready: Vec<PollFlags> = fds.iter().map(|f| f.revents().unwrap_or(PollFlags::empty())).collect();
        drop(fds);
        if !ready[1].is_empty()
            && let Some(signal) = relay.signals(&signals.fd)
        {
            return Ok(Ended::Signalled(signal));
        }
        if ready[0].contains(PollFlags::POLLOUT) {
            relay.flush();
        }
        if ready[0].intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR)
            && let Some(ended) = relay.receive()?
        {
            return Ok(ended);
        }
        if ready.get(2).is_some_and(|r| !r.is_empty()) && relay.read_stdin() {
            return Ok(Ended::Detached);
        }
    }
}

struct Relay<'a> {
    socket: &'a OwnedFd,
    how: &'a Attachment,
    /// Frames the socket had no room for.
    pending: VecDeque<Vec<u8>>,
    stdin_open: bool,
    detach: DetachKeys,
    detached: bool,
}

impl Relay<'_> {
    fn send(&mut self, frame: &Frame<'_>) {
        self.pending.push_back(frame.encode());
        self.flush();
    }

    fn flush(&mut self) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(bytes) = self.pending.front() {
            if send(self.socket.as_raw_fd(), bytes, flags) == Err(Errno::EAGAIN) {
                return;
            }
            // A monitor that is gone shows as end of file on the way back.
            self.pending.pop_front();
        }
    }

    fn resize(&mut self) {
        if let Ok((rows, columns)) =
            pty::size(std::io::stdout().as_fd()).or_else(|_| pty::size(std::io::stdin().as_fd()))
        {
            self.send(&Frame::Resize(rows, columns));
        }
    }

    /// Passes signals on; gives the one that ends this command instead.
    fn signals(&mut self, fd: &SignalFd) -> Option<i32> {
        while let Ok(Some(info)) = fd.read_signal() {
            let number = info.ssi_signo as i32;
            if number == Signal::SIGWINCH as i32 {
                self.resize();
            } else if self.how.sig_proxy {
                self.send(&Frame::Signal(number));
            } else {
                return Some(number);
            }
        }
        None
    }

    /// Takes one frame from the monitor.
    fn receive(&mut self) -> Result<Option<Ended>> {
        let mut buffer = [0u8; CONTENT_MAX + 1];
        let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            // The monitor closed before it had read all of ours (the end of standard input, say). That
            // is told once, ahead of what it sent: the exit code is still to come.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNRESET) => return Ok(None),
            Ok(0) => return Ok(Some(Ended::Lost)),
            Ok(n) => n,
            Err(e) => return Err(Error::new(Kind::Runtime, "read from the container's monitor").caused_by(e)),
        };
        match Frame::decode(&buffer[..length]) {
            Some(Frame::Stdout(bytes)) if self.how.stdout => {
                let mut out = std::io::stdout().lock();
                if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
                    self.send(&Frame::Closed(1));
                }
            }
            Some(Frame::Stderr(bytes)) if self.how.stderr => {
                let written = std::io::stderr().write_all(bytes);
                if written.is_err() {
                    self.send(&Frame::Closed(2));
                }
            }
            Some(Frame::Exit(code)) => return Ok(Some(Ended::Exited(code))),
            _ => {}
        }
        Ok(None)
    }

    /// Takes what is typed; true when the user detached.
    fn read_stdin(&mut self) -> bool {
        let mut buffer = [0u8; CONTENT_MAX / 2];
        match nix::unistd::read(std::io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => {
                self.stdin_open = false;
                self.send(&Frame::StdinEnd);
            }
            Ok(n) if self.how.tty && !self.detach.keys.is_empty() => {
                let (bytes, detached) = self.detach.filter(&buffer[..n]);
                if !bytes.is_empty() {
                    self.send(&Frame::Stdin(&bytes));
                }
                self.detached = detached;
            }
            Ok(n) => self.send(&Frame::Stdin(&buffer[..n])),
        }
        self.detached
    }
}

/// Connects two ends of a frame socket.
///
/// # Errors
/// Those of socketpair(2).
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let (a, b) = fork::Link::pair().context(Kind::Runtime, || "make attach socket")?;
    Ok((a.into(), b.into()))
}

#[cfg(test)]
mod tests {
    use super::DetachKeys;

    #[test]
    fn detach_keys_are_found_across_reads_and_others_pass() {
        let mut keys = DetachKeys { keys: vec![16, 17], matched: 0 };
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.filter(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10\x11z"), (b"\x10".to_vec(), true));
    }
}
