//! TCP connections and SCTP associations: two sockets, and a flow in each direction ([`tcp`], [`sctp`]).
//!
//! Events are edge-triggered: they only record what a socket may be able to do. [`Connections::turn`] then does
//! a bounded amount of work for each connection in turn.

use super::end::{End, Share};
use super::inside::{Inside, Way};
use super::pipes::Pool;
use super::token::Token;
use super::{sctp, tcp};
use crate::spec::network::Protocol;
use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How many connections are accepted before others get their turn.
const ACCEPT_MAX: usize = 64;

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    all: HashMap<u64, Connection>,
    max: usize,
    /// How many of them are SCTP's.
    associations: usize,
    next: u64,
    /// Connections with something to do; each is at most once in it.
    work: VecDeque<u64>,
    /// Connections that found no descriptor for a pipe, and since when they wait.
    starved: Vec<u64>,
    starved_since: Option<Instant>,
    means: Means,
}

/// What flows are carried with.
#[derive(Debug)]
struct Means {
    pool: Pool,
    buffer: Vec<u8>,
}

/// What goes in one direction.
#[derive(Debug)]
enum Flow {
    Bytes(tcp::Flow),
    Messages(sctp::Flow),
}

#[derive(Debug)]
struct Connection {
    client: End,
    container: End,
    /// From the client into the container.
    inward: Flow,
    /// From the container to the client.
    outward: Flow,
    /// Ways to try, until the container's side is connected.
    dialing: Option<Dialing>,
    queued: bool,
}

#[derive(Debug)]
struct Dialing {
    ways: std::vec::IntoIter<Way>,
}

/// How a connection's turn went.
enum Turn {
    /// Nothing more to do until the next event.
    Waits,
    /// There is more, but others come first.
    More,
    /// There is more, but no pipe to carry it.
    Starved,
    /// Both flows are done.
    Done,
    /// It is broken.
    Broken,
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        Connections {
            all: HashMap::new(),
            max,
            associations: 0,
            next: 1,
            work: VecDeque::new(),
            starved: Vec::new(),
            starved_since: None,
            means: Means { pool: Pool::default(), buffer: Vec::new() },
        }
    }

    /// Whether no further connection of this protocol may be accepted.
    pub(super) fn is_full(&self, protocol: Protocol) -> bool {
        self.all.len() >= self.max
            || protocol == Protocol::Sctp && self.associations >= sctp::ASSOCIATIONS_MAX
    }

    /// Whether [`Self::turn`] has something to do.
    pub(super) fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Accepts what waits; `false` when accepting must pause.
    pub(super) fn accept(
        &mut self,
        listener: &TcpListener,
        (port, protocol): (u16, Protocol),
        epoll: &Epoll,
        inside: &Inside,
    ) -> bool {
        for _ in 0..ACCEPT_MAX {
            if self.is_full(protocol) {
                return false;
            }
            match listener.accept() {
                Ok((stream, client)) => {
                    let fd = OwnedFd::from(stream);
                    let ways = match protocol {
                        Protocol::Sctp => {
                            sctp::prepare_client(&fd).map(|streams| inside.ways_of_sctp(port, streams))
                        }
                        _ => tcp::prepare_client(&fd).map(|()| inside.ways(client, port)),
                    };
                    match ways {
                        Ok(ways) => self.open(fd, protocol, ways, epoll, inside),
                        Err(_) => reset(&fd),
                    }
                }
                Err(e) => match e.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => return false,
                    Some(Errno::EAGAIN) => return true,
                    // This client has gone already (accept(2)); the next may not have.
                    _ => {}
                },
            }
        }
        true
    }

    /// Starts to connect a new client to the container.
    fn open(&mut self, fd: OwnedFd, protocol: Protocol, ways: Vec<Way>, epoll: &Epoll, inside: &Inside) {
        let id = self.next;
        self.next += 1;
        let mut dialing = Dialing { ways: ways.into_iter() };
        let opened = watch(epoll, &fd, Token::Client(id)).and_then(|()| dialing.next(id, epoll, inside));
        match opened {
            Ok(container) => {
                let connection = Connection {
                    client: End::new(fd),
                    container: End::new(container),
                    inward: Flow::new(protocol),
                    outward: Flow::new(protocol),
                    dialing: Some(dialing),
                    queued: false,
                };
                self.associations += connection.inward.association();
                self.all.insert(id, connection);
            }
            Err(_) => reset(&fd),
        }
    }

    /// Notes an event of the host's side.
    pub(super) fn on_client(&mut self, id: u64, events: EpollFlags) {
        let Some(connection) = self.all.get_mut(&id) else { return };
        connection.client.note(events);
        if connection.dialing.is_none() {
            self.queue(id);
        }
    }

    /// Notes an event of the container's side; the first one says how connecting went.
    pub(super) fn on_container(&mut self, id: u64, events: EpollFlags, epoll: &Epoll, inside: &Inside) {
        let Some(connection) = self.all.get_mut(&id) else { return };
        if let Some(dialing) = &mut connection.dialing {
            match getsockopt(&connection.container.fd, sockopt::SocketError) {
                Ok(0) if !events.contains(EpollFlags::EPOLLOUT) => return,
                Ok(0) => connection.dialing = None,
                _ => {
                    match dialing.next(id, epoll, inside) {
                        Ok(fd) => connection.container = End::new(fd),
                        Err(_) => self.close(id, true),
                    }
                    return;
                }
            }
        }
        connection.container.note(events);
        self.queue(id);
    }

    fn queue(&mut self, id: u64) {
        if let Some(connection) = self.all.get_mut(&id)
            && !connection.queued
        {
            connection.queued = true;
            self.work.push_back(id);
        }
    }

    /// Gives a turn to every connection that has work to do.
    pub(super) fn turn(&mut self) {
        for _ in 0..self.work.len() {
            let Some(id) = self.work.pop_front() else { return };
            let Some(connection) = self.all.get_mut(&id) else { continue };
            connection.queued = false;
            match connection.turn(&mut self.means) {
                Turn::Waits => {}
                Turn::More => self.queue(id),
                Turn::Starved => {
                    self.starved.push(id);
                    self.starved_since.get_or_insert_with(Instant::now);
                }
                Turn::Done => self.close(id, false),
                Turn::Broken => self.close(id, true),
            }
        }
    }

    /// Whether a connection waits for a pipe.
    pub(super) fn is_starved(&self) -> bool {
        self.starved_since.is_some()
    }

    /// Tries connections again that have waited this long for a pipe.
    pub(super) fn retry(&mut self, after: Duration) {
        if self.starved_since.is_some_and(|since| since.elapsed() >= after) {
            self.starved_since = None;
            for id in std::mem::take(&mut self.starved) {
                self.queue(id);
            }
        }
    }

    /// Forgets a connection. A broken one is reset on both sides, so that neither takes it for complete.
    fn close(&mut self, id: u64, broken: bool) {
        let Some(connection) = self.all.remove(&id) else { return };
        if broken {
            reset(&connection.client.fd);
            reset(&connection.container.fd);
        }
        self.associations -= connection.inward.association();
        for flow in [connection.inward, connection.outward] {
            if let Flow::Bytes(tcp::Flow { pipe: Some(pipe), .. }) = flow {
                self.means.pool.discard(pipe);
            }
        }
    }
}

impl Connection {
    fn turn(&mut self, means: &mut Means) -> Turn {
        let inward = self.inward.carry(&mut self.client, &mut self.container, means);
        let outward = self.outward.carry(&mut self.container, &mut self.client, means);
        let (Ok(inward), Ok(outward)) = (inward, outward) else { return Turn::Broken };
        if self.inward.is_done() && self.outward.is_done() {
            return Turn::Done;
        }
        match (inward, outward) {
            (Share::UsedUp, _) | (_, Share::UsedUp) => return Turn::More,
            (Share::NoPipe, _) | (_, Share::NoPipe) => return Turn::Starved,
            (Share::Waits, Share::Waits) => {}
        }
        // With an error pending and nothing left to deliver, no event will come any more.
        let stuck =
            |end: &End, flow: &Flow| end.broken && (flow.is_done() || flow.is_empty() && !end.readable);
        if stuck(&self.client, &self.inward) || stuck(&self.container, &self.outward) {
            return Turn::Broken;
        }
        Turn::Waits
    }
}

impl Flow {
    fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Sctp => Flow::Messages(sctp::Flow::default()),
            _ => Flow::Bytes(tcp::Flow::default()),
        }
    }

    fn carry(&mut self, from: &mut End, to: &mut End, means: &mut Means) -> nix::Result<Share> {
        match self {
            Flow::Bytes(flow) => flow.carry(from, to, &mut means.pool),
            Flow::Messages(flow) => flow.carry(from, to, &mut means.buffer),
        }
    }

    /// Whether the receiver knows that no more comes.
    fn is_done(&self) -> bool {
        match self {
            Flow::Bytes(flow) => flow.done,
            Flow::Messages(flow) => flow.done,
        }
    }

    /// Whether nothing waits for the receiver.
    fn is_empty(&self) -> bool {
        match self {
            Flow::Bytes(flow) => flow.held == 0,
            Flow::Messages(flow) => flow.is_empty(),
        }
    }

    /// 1 for a flow of an association.
    fn association(&self) -> usize {
        usize::from(matches!(self, Flow::Messages(_)))
    }
}

impl Dialing {
    /// Starts the next way that starts.
    fn next(&mut self, id: u64, epoll: &Epoll, inside: &Inside) -> nix::Result<OwnedFd> {
        let mut last = Errno::ECONNREFUSED;
        for way in self.ways.by_ref() {
            let started = inside.dial(&way).and_then(|fd| {
                watch(epoll, &fd, Token::Container(id))?;
                Ok(fd)
            });
            match started {
                Ok(fd) => return Ok(fd),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

fn watch(epoll: &Epoll, fd: &OwnedFd, token: Token) -> nix::Result<()> {
    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
    epoll.add(fd, EpollEvent::new(flags, token.into()))
}

/// Makes the coming close a reset instead of an orderly end.
fn reset(fd: impl AsFd) {
    // Nothing better can be done about a socket that does not take it.
    let _ = setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}
