//! A client that asks in a stream.

use crate::netns::bridge::token::Token;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a client's questions that are kept at once: one question, of the longest.
const KEPT: usize = 65_537;
/// Bytes of answers that a client has not taken, at most.
const UNTAKEN: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    come: Vec<u8>,
    out: Vec<u8>,
    /// When it has been silent for too long.
    pub(super) until: Instant,
    /// Whether one of its questions is under way: the next has to wait.
    busy: bool,
    /// Whether it waits to be writable.
    writes: bool,
}

impl Stream {
    pub(super) fn new(epoll: &Epoll, socket: TcpStream, number: u64) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, Token::Stream(number).into()))?;
        let until = Instant::now() + PATIENCE;
        Ok(Stream { socket, come: Vec::new(), out: Vec::new(), until, busy: false, writes: false })
    }

    /// Who it is.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.socket.peer_addr().ok().map(|address| address.ip().to_canonical())
    }

    /// Sends what waits, and gives the next question, if there is a whole one.
    ///
    /// # Errors
    /// When the client has gone, or says too much.
    pub(super) fn proceed(&mut self, epoll: &Epoll, number: u64) -> io::Result<Option<Vec<u8>>> {
        self.flush(epoll, number)?;
        if self.busy {
            // What comes meanwhile waits in the kernel; a client that has gone is noticed.
            return self.socket.take_error()?.map_or(Ok(None), Err);
        }
        loop {
            if let Some(query) = first_message(&mut self.come) {
                self.busy = true;
                self.until = Instant::now() + PATIENCE;
                // Not to be told again and again of a question that has to wait.
                self.watch(epoll, number)?;
                return Ok(Some(query));
            }
            let mut piece = [0u8; 2048];
            match self.socket.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) if self.come.len() + count <= KEPT => self.come.extend_from_slice(&piece[..count]),
                Ok(_) => return Err(ErrorKind::InvalidData.into()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Gives the answer to its question.
    ///
    /// # Errors
    /// When the client has gone, or takes nothing.
    pub(super) fn answer(&mut self, epoll: &Epoll, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.busy = false;
        self.out.extend(framed(bytes));
        if self.out.len() > UNTAKEN {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush(epoll, number)?;
        self.watch(epoll, number)
    }

    fn flush(&mut self, epoll: &Epoll, number: u64) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.out.drain(..count)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if self.writes == self.out.is_empty() {
            self.writes = !self.out.is_empty();
            self.watch(epoll, number)?;
        }
        Ok(())
    }

    fn watch(&self, epoll: &Epoll, number: u64) -> io::Result<()> {
        let mut events = EpollFlags::empty();
        events.set(EpollFlags::EPOLLIN, !self.busy);
        events.set(EpollFlags::EPOLLOUT, self.writes);
        Ok(epoll.modify(&self.socket, &mut EpollEvent::new(events, Token::Stream(number).into()))?)
    }
}

/// A message with its length before it (RFC 1035 section 4.2.2).
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&message[..usize::from(length)]);
    bytes
}

/// Takes the first message out of what has come, if it is whole.
pub(super) fn first_message(come: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes(*come.first_chunk::<2>()?));
    if come.len() < length + 2 {
        return None;
    }
    let rest = come.split_off(length + 2);
    let message = std::mem::replace(come, rest).split_off(2);
    Some(message)
}
