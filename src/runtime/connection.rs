//! A client's end of the socket to a monitor, or to the process that serves an `exec`.
//!
//! Theory of operation. [Frames](super::frame) are sent in both directions. Frames that the socket has no room
//! for are queued and sent first; a caller that supplies input checks [`Connection::is_idle`] before it reads
//! more, so the two sides cannot deadlock. Nothing here uses the caller's own streams: a terminal, a hijacked
//! connection of an API and a test all use this in the same way.

use super::frame::{CONTENT_MAX, Frame};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Failure};
pub use crate::storage::containers::log::Stream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A connection to a container, or to a process of `exec`.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    /// Frames the socket had no room for.
    pending: VecDeque<Vec<u8>>,
    message: Vec<u8>,
}

/// What comes from the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// Bytes of standard output, or of the terminal.
    Stdout(&'a [u8]),
    /// Bytes of standard error.
    Stderr(&'a [u8]),
    /// It ended with this code; nothing follows.
    Exited(u8),
    /// The other side is gone without an exit code; nothing follows.
    Lost,
}

impl Connection {
    /// On a socket of frames.
    pub fn new(socket: OwnedFd) -> Connection {
        Connection { socket, pending: VecDeque::new(), message: Vec::new() }
    }

    /// Two ends: ours, and the socket for the other side.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn pair() -> Result<(Connection, OwnedFd)> {
        let (ours, theirs) = fork::Link::pair().context(Kind::Runtime, || "make attach socket")?;
        Ok((Connection::new(ours.into()), theirs.into()))
    }

    /// Says that standard input comes from here: the end of this connection, of whatever kind, is its end too.
    pub fn begin_input(&mut self) {
        self.send(&Frame::Stdin(&[]));
    }

    /// Writes bytes to standard input.
    pub fn input(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(CONTENT_MAX) {
            self.send(&Frame::Stdin(part));
        }
    }

    /// Says that no more standard input comes.
    pub fn end_input(&mut self) {
        self.send(&Frame::StdinEnd);
    }

    /// Sets the size of the container's terminal.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.send(&Frame::Resize(rows, columns));
    }

    /// Delivers a signal to the container's first process, or to that of `exec`.
    pub fn signal(&mut self, signal: i32) {
        self.send(&Frame::Signal(signal));
    }

    /// Reports that a stream is no longer read, so that writers inside get an error.
    pub fn close(&mut self, stream: Stream) {
        self.send(&Frame::Closed(if stream == Stream::Stdout { 1 } else { 2 }));
    }

    /// Has the container's networks made what its settings say; returns what could not be done, by network. Whether
    /// what serves them is looked after too is said by `reload`. Output that comes meanwhile is dropped.
    ///
    /// # Errors
    /// Those of poll(2) and recv(2); `Conflict` when the monitor does not answer, because the container ends or because
    /// it is an older program.
    pub fn change_networks(&mut self, reload: bool) -> Result<Vec<(String, Failure)>> {
        self.send(&Frame::Networks(reload));
        loop {
            let length = self.next_message()?;
            let message = &self.message[..length];
            match Frame::decode(message) {
                Some(Frame::Networked(said)) => {
                    return serde_json::from_slice(said).context(Kind::Runtime, || "read a monitor's answer");
                }
                Some(Frame::Exit(_)) => return Err(Error::new(Kind::Conflict, "the container has ended")),
                None if message.is_empty() => {
                    return Err(Error::new(Kind::Conflict, "the container's monitor does not answer"));
                }
                _ => {}
            }
        }
    }

    /// Whether everything has been sent.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// What poll(2) is to wait for.
    pub fn interest(&self) -> PollFlags {
        if self.is_idle() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT }
    }

    /// Sends as much of the queue as there is room for.
    pub fn flush(&mut self) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(bytes) = self.pending.front() {
            if send(self.socket.as_raw_fd(), bytes, flags) == Err(Errno::EAGAIN) {
                return;
            }
            // Another side that is gone shows as end of file on the way back.
            self.pending.pop_front();
        }
    }

    /// Takes what has come; `None` when that is nothing yet. Does not wait.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn receive(&mut self) -> Result<Option<Output<'_>>> {
        let received = self.take()?;
        Ok(received.and_then(|length| decode(&self.message[..length])))
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// Those of poll(2) and recv(2).
    pub fn await_output(&mut self) -> Result<Output<'_>> {
        let length = loop {
            let length = self.next_message()?;
            if decode(&self.message[..length]).is_some() {
                break length;
            }
        };
        Ok(decode(&self.message[..length]).unwrap_or(Output::Lost))
    }

    /// Waits for a message; returns its length, 0 at the end.
    fn next_message(&mut self) -> Result<usize> {
        loop {
            let mut ready = [PollFd::new(self.socket.as_fd(), self.interest())];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.context(Kind::Runtime, || "wait for the container")?,
            };
            self.flush();
            if let Some(length) = self.take()? {
                return Ok(length);
            }
        }
    }

    fn send(&mut self, frame: &Frame<'_>) {
        self.pending.push_back(frame.encode());
        self.flush();
    }

    /// Takes one message; returns its length, 0 at the end.
    fn take(&mut self) -> Result<Option<usize>> {
        self.message.resize(CONTENT_MAX + 1, 0);
        match recv(self.socket.as_raw_fd(), &mut self.message, MsgFlags::MSG_DONTWAIT) {
            // The other side closed before it had read all of ours (the end of standard input, say). That is
            // reported once, before the data it sent: the exit code is still to come.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNRESET) => Ok(None),
            Ok(length) => Ok(Some(length)),
            Err(e) => Err(Error::new(Kind::Runtime, "read from the container's monitor").caused_by(e)),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Parses a message; `None` for one that only clients send.
fn decode(message: &[u8]) -> Option<Output<'_>> {
    if message.is_empty() {
        return Some(Output::Lost);
    }
    match Frame::decode(message)? {
        Frame::Stdout(bytes) => Some(Output::Stdout(bytes)),
        Frame::Stderr(bytes) => Some(Output::Stderr(bytes)),
        Frame::Exit(code) => Some(Output::Exited(code)),
        _ => None,
    }
}
