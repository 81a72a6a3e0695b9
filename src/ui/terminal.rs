//! Attaches the caller's terminal or pipes to a container: relays them, forwards signals, detaches.
//!
//! Theory of operation. One loop over three descriptors: the caller's standard input, the connection and a
//! signalfd. Standard input is not read while data waits to be sent, so the two sides cannot deadlock. When our
//! standard output is closed by its reader, the monitor is told and closes the container's, so that `coracle
//! run ... yes | head` ends. The same happens where it takes no more for another reason, say a full disk; but
//! that is a failure, and told at the end: who saves the output takes the exit code's word that it is whole.

mod keys;
mod raw;
mod signals;

use crate::error::{Context, Error, Kind, Result};
use crate::runtime::connection::{Connection, Output, Stream};
use crate::sys::pty;
use keys::DetachKeys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use raw::RawMode;
use signals::Signals;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// Bytes of standard input that are read at a time.
const INPUT_MAX: usize = 16 * 1024;

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
    /// Whose container it is: one that others look after too is left when its output cannot be written.
    pub visiting: bool,
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The container ended with this code.
    Exited(u8),
    /// The command ends with this code and the container goes on: the user typed the detach keys, or a signal came.
    Left(u8),
    /// The monitor went away without an exit code.
    Lost,
}

/// How following came to its end.
#[derive(Debug)]
pub struct Followed {
    /// How the attachment ended.
    pub ended: Ended,
    /// What could not be written of the output, if anything could not.
    pub lost: Option<Error>,
}

/// The caller's terminal, made ready before the container starts so that no signal is lost.
#[derive(Debug)]
pub struct Terminal {
    how: Attachment,
    signals: Signals,
}

impl Terminal {
    /// Blocks the signals to be forwarded.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn ready(how: Attachment) -> Result<Terminal> {
        let signals = Signals::hold(how.sig_proxy, how.tty)?;
        Ok(Terminal { how, signals })
    }

    /// Relays until the container ends, the user detaches or the monitor is gone.
    ///
    /// # Errors
    /// When the caller's own descriptors fail.
    pub fn follow(self, connection: &mut Connection) -> Result<Followed> {
        let how = &self.how;
        let interactive = how.tty && how.stdin && std::io::stdin().is_terminal();
        let _raw = if interactive { RawMode::enter() } else { None };
        let mut relay = Relay {
            connection,
            how,
            stdin_open: how.stdin,
            detach: DetachKeys::new(how.detach_keys.clone()),
            lost: None,
        };
        if how.tty {
            relay.resize();
        }
        if how.stdin {
            relay.connection.begin_input();
        }
        let ended = relay.run(&self.signals)?;
        if ended == Ended::Left(0) && std::io::stdout().is_terminal() {
            // The shell's prompt begins a line of its own. In raw mode a line feed alone would not.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(b"\r\n").and_then(|()| out.flush());
        }
        Ok(Followed { ended, lost: relay.lost })
    }
}

struct Relay<'a> {
    connection: &'a mut Connection,
    how: &'a Attachment,
    stdin_open: bool,
    detach: DetachKeys,
    lost: Option<Error>,
}

impl Relay<'_> {
    fn run(&mut self, signals: &Signals) -> Result<Ended> {
        loop {
            let stdin = std::io::stdin();
            let mut fds = vec![
                PollFd::new(self.connection.as_fd(), self.connection.interest()),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            if self.stdin_open && self.connection.is_idle() {
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.context(Kind::Runtime, || "wait for the container")?,
            };
            let ready: Vec<PollFlags> =
                fds.iter().map(|f| f.revents().unwrap_or(PollFlags::empty())).collect();
            drop(fds);
            if !ready[1].is_empty()
                && let Some(signal) = self.pass_on(signals)
            {
                return Ok(Ended::Left(128 + signal as u8));
            }
            if ready[0].contains(PollFlags::POLLOUT) {
                self.connection.flush();
            }
            if ready[0].intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR)
                && let Some(ended) = self.show()?
            {
                return Ok(ended);
            }
            if ready.get(2).is_some_and(|r| !r.is_empty()) && self.read_stdin() {
                return Ok(Ended::Left(0));
            }
        }
    }

    fn resize(&mut self) {
        if let Ok((rows, columns)) =
            pty::size(std::io::stdout().as_fd()).or_else(|_| pty::size(std::io::stdin().as_fd()))
        {
            self.connection.resize(rows, columns);
        }
    }

    /// Forwards signals; returns the one that ends this command instead.
    fn pass_on(&mut self, signals: &Signals) -> Option<i32> {
        while let Some(number) = signals.next() {
            if number == Signal::SIGWINCH as i32 && self.how.tty {
                self.resize();
            } else if self.how.sig_proxy {
                self.connection.signal(number);
            } else {
                return Some(number);
            }
        }
        None
    }

    /// Shows what has come from the container.
    fn show(&mut self) -> Result<Option<Ended>> {
        let failed = match self.connection.receive()? {
            Some(Output::Stdout(bytes)) if self.how.stdout => {
                let mut out = std::io::stdout().lock();
                let written = out.write_all(bytes).and_then(|()| out.flush());
                written.err().map(|e| (Stream::Stdout, e))
            }
            Some(Output::Stderr(bytes)) if self.how.stderr => {
                std::io::stderr().write_all(bytes).err().map(|e| (Stream::Stderr, e))
            }
            Some(Output::Exited(code)) => return Ok(Some(Ended::Exited(code))),
            Some(Output::Lost) => return Ok(Some(Ended::Lost)),
            Some(Output::Stdout(_) | Output::Stderr(_)) | None => None,
        };
        if let Some((stream, e)) = failed {
            self.connection.close(stream);
            let lost = super::out::lost(stream == Stream::Stderr, e);
            if lost.kind() != Kind::OutputClosed {
                self.lost.get_or_insert(lost);
                // How long it goes on is not for this command to say.
                return Ok(self.how.visiting.then_some(Ended::Left(0)));
            }
        }
        Ok(None)
    }

    /// Takes what is typed; true when the user detached.
    fn read_stdin(&mut self) -> bool {
        let mut buffer = [0u8; INPUT_MAX];
        match nix::unistd::read(std::io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => {
                self.stdin_open = false;
                self.connection.end_input();
            }
            Ok(n) if self.how.tty => {
                let (bytes, detached) = self.detach.filter(&buffer[..n]);
                self.connection.input(&bytes);
                return detached;
            }
            Ok(n) => self.connection.input(&buffer[..n]),
        }
        false
    }
}
