//! A question on its way to one of the servers outside.

use super::answer::Way;
use super::asker::Asker;
use crate::fork::Link;
use crate::netns::bridge::entrance;
use crate::netns::bridge::message::{Ask, Told};
use crate::netns::bridge::token::Token;
use crate::sys::random;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a server has for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long the keeper of another network has.
pub(super) const PATIENCE_AT_HOME: Duration = Duration::from_millis(500);
/// How many servers are asked, one after the other.
const SERVERS_MAX: usize = 3;

/// A question that others have to answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    pub(super) asker: Asker,
    pub(super) way: Way,
    pub(super) upstream: Upstream,
    pub(super) until: Instant,
    /// Its number as the asker has it.
    number: [u8; 2],
    servers: VecDeque<SocketAddr>,
    /// Networks whose keepers are asked first, by id.
    pub(super) others: VecDeque<String>,
    /// What is said when none of all these knows an answer.
    pub(super) otherwise: Option<Vec<u8>>,
}

impl Question {
    /// With a number of our own, which nobody can guess.
    pub(super) fn new(
        mut bytes: Vec<u8>,
        asker: Asker,
        way: Way,
        servers: Vec<SocketAddr>,
    ) -> Option<Question> {
        let number = *bytes.first_chunk::<2>()?;
        random::fill(bytes.first_chunk_mut::<2>()?).ok()?;
        let servers = servers.into_iter().take(SERVERS_MAX).collect();
        Some(Question {
            bytes,
            asker,
            way,
            upstream: Upstream::None,
            until: Instant::now(),
            number,
            servers,
            others: VecDeque::new(),
            otherwise: None,
        })
    }

    pub(super) fn next_server(&mut self) -> Option<SocketAddr> {
        self.servers.pop_front()
    }

    /// Whether this is the answer: with our number, and the same question, if it repeats one.
    pub(super) fn is_answered_by(&self, answer: &[u8]) -> bool {
        let (Some(asked), Some(told)) = (self.bytes.first_chunk::<12>(), answer.first_chunk::<12>()) else {
            return false;
        };
        let same_question = told[4..6] != [0, 1] || {
            let end = question_end(&self.bytes);
            answer.get(12..end).is_some_and(|bytes| bytes.eq_ignore_ascii_case(&self.bytes[12..end]))
        };
        asked[..2] == told[..2] && told[2] & 0x80 != 0 && same_question
    }

    pub(super) fn restore_number(&self, message: &mut [u8]) {
        if let Some(number) = message.first_chunk_mut::<2>() {
            *number = self.number;
        }
    }
}

/// Where the first question of a message ends; it was read before.
fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while let Some(length) = message.get(at).filter(|length| **length != 0 && **length < 0xc0) {
        at += usize::from(*length) + 1;
    }
    (at + 5).min(message.len())
}

/// The connection to a server.
#[derive(Debug)]
pub(super) enum Upstream {
    /// Not yet made.
    None,
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        /// What has still to be sent.
        out: Vec<u8>,
        /// What has come: two bytes of length, then the answer (RFC 1035 section 4.2.2).
        come: Vec<u8>,
    },
    /// The keeper of another network.
    Other(Link),
}

/// How far a question has come.
#[derive(Debug)]
pub(super) enum Asked {
    Waits,
    Answered(Vec<u8>),
    Failed,
}

impl Upstream {
    /// Sends a question to a server, or begins to.
    pub(super) fn ask(
        epoll: &Epoll,
        number: u64,
        way: Way,
        server: SocketAddr,
        bytes: &[u8],
    ) -> io::Result<Upstream> {
        let token = Token::Question(number).into();
        Ok(match way {
            Way::Udp => {
                let own: SocketAddr = match server {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(own)?;
                socket.set_nonblocking(true)?;
                // Only its datagrams come in then.
                socket.connect(server)?;
                socket.send(bytes)?;
                epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
                Upstream::Udp(socket)
            }
            Way::Tcp => {
                let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let fd = socket(family, SockType::Stream, flags, None)?;
                match connect(fd.as_raw_fd(), &SockaddrStorage::from(server)) {
                    Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => {}
                    Err(e) => return Err(e.into()),
                }
                let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
                epoll.add(&fd, EpollEvent::new(events, token))?;
                Upstream::Tcp { stream: fd.into(), out: super::stream::framed(bytes), come: Vec::new() }
            }
        })
    }

    /// Asks the keeper of another network for one of its own names.
    pub(super) fn ask_other(
        epoll: &Epoll,
        number: u64,
        dir: BorrowedFd<'_>,
        id: &str,
        bytes: &[u8],
    ) -> nix::Result<Upstream> {
        let link = entrance::dial_other(dir, id)?;
        link.send(&Ask::Name(bytes.to_vec()), &[])?;
        epoll.add(&link, EpollEvent::new(EpollFlags::EPOLLIN, Token::Question(number).into()))?;
        Ok(Upstream::Other(link))
    }

    /// Whether anybody may send what comes.
    pub(super) fn is_datagram(&self) -> bool {
        matches!(self, Upstream::Udp(_))
    }

    /// Goes on where the network allows it.
    pub(super) fn proceed(&mut self, epoll: &Epoll, number: u64, buffer: &mut [u8]) -> Asked {
        match self {
            Upstream::None => Asked::Waits,
            Upstream::Other(link) => match link.recv::<Told>() {
                Ok(Some((Told::Named(Some(answer)), _))) => Asked::Answered(answer),
                // What it says to everybody.
                Ok(Some((Told::Up | Told::Down(_), _))) | Err(Errno::EAGAIN) => Asked::Waits,
                _ => Asked::Failed,
            },
            Upstream::Udp(socket) => match socket.recv(buffer) {
                Ok(length) => Asked::Answered(buffer[..length].to_vec()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Asked::Waits,
                Err(_) => Asked::Failed,
            },
            Upstream::Tcp { stream, out, come } => {
                while !out.is_empty() {
                    match stream.write(out) {
                        Ok(0) => return Asked::Failed,
                        Ok(count) => drop(out.drain(..count)),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Asked::Waits,
                        Err(_) => return Asked::Failed,
                    }
                    if out.is_empty() {
                        let mut event = EpollEvent::new(EpollFlags::EPOLLIN, Token::Question(number).into());
                        if epoll.modify(&*stream, &mut event).is_err() {
                            return Asked::Failed;
                        }
                    }
                }
                loop {
                    if let Some(answer) = super::stream::first_message(come) {
                        return Asked::Answered(answer);
                    }
                    match stream.read(buffer) {
                        Ok(0) => return Asked::Failed,
                        Ok(count) => come.extend_from_slice(&buffer[..count]),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Asked::Waits,
                        Err(_) => return Asked::Failed,
                    }
                }
            }
        }
    }
}
