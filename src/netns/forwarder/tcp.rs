//! TCP connections: two sockets, and two streams of data that end independently.
//!
//! Events are edge-triggered: they only record what a socket may be able to do. [`Connections::turn`] then does
//! a bounded amount of work for each connection in turn.

use super::inside::{Inside, Way};
use super::pipes::{Pipe, Pool};
use super::token::Token;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::libc;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{Shutdown, getsockopt, setsockopt, shutdown, sockopt};
use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How many connections are accepted before others get their turn.
const ACCEPT_MAX: usize = 64;
/// Bytes that one splice takes at most.
const CHUNK: usize = 1 << 20;
/// How often a flow is filled and drained before others get their turn.
const ROUNDS: usize = 16;
/// A client that has vanished is noticed after this many seconds of silence ...
const KEEPALIVE_IDLE: u32 = 60;
/// ... and this many unanswered probes, fifteen seconds apart.
const KEEPALIVE_PROBES: u32 = 4;

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    all: HashMap<u64, Connection>,
    max: usize,
    next: u64,
    /// Connections with something to do; each is at most once in it.
    work: VecDeque<u64>,
    /// Connections that found no descriptor for a pipe, and since when they wait.
    starved: Vec<u64>,
    starved_since: Option<Instant>,
    pool: Pool,
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

/// One socket, and what it may be able to do.
#[derive(Debug)]
struct End {
    fd: OwnedFd,
    readable: bool,
    writable: bool,
    /// The kernel reported an error; what was received before is still delivered.
    broken: bool,
}

/// Bytes in one direction.
#[derive(Debug, Default)]
struct Flow {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    /// The source has said that no more comes.
    ended: bool,
    /// The receiver has been notified.
    done: bool,
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

/// Why a flow stopped for now.
enum Share {
    /// A side has to become ready.
    Waits,
    /// It has moved enough for one turn.
    UsedUp,
    /// No descriptor was left for a pipe; the bytes stay where they are.
    NoPipe,
}

impl End {
    fn new(fd: OwnedFd) -> Self {
        End { fd, readable: true, writable: true, broken: false }
    }

    fn note(&mut self, events: EpollFlags) {
        let closed = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        self.readable |= events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | closed);
        self.writable |= events.intersects(EpollFlags::EPOLLOUT | closed);
        self.broken |= events.contains(EpollFlags::EPOLLERR);
    }
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        Connections {
            all: HashMap::new(),
            max,
            next: 1,
            work: VecDeque::new(),
            starved: Vec::new(),
            starved_since: None,
            pool: Pool::default(),
        }
    }

    /// Whether no further connection may be accepted.
    pub(super) fn is_full(&self) -> bool {
        self.all.len() >= self.max
    }

    /// Whether [`Self::turn`] has something to do.
    pub(super) fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Accepts what waits; `false` when accepting must pause.
    pub(super) fn accept(
        &mut self,
        listener: &TcpListener,
        port: u16,
        epoll: &Epoll,
        inside: &Inside,
    ) -> bool {
        for _ in 0..ACCEPT_MAX {
            if self.is_full() {
                return false;
            }
            match listener.accept() {
                Ok((stream, client)) => self.open(stream.into(), client, port, epoll, inside),
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
    fn open(&mut self, fd: OwnedFd, client: SocketAddr, port: u16, epoll: &Epoll, inside: &Inside) {
        let id = self.next;
        self.next += 1;
        let mut dialing = Dialing { ways: inside.ways(client, port).into_iter() };
        let opened = prepare_client(&fd)
            .and_then(|()| watch(epoll, &fd, Token::Client(id)))
            .and_then(|()| dialing.next(id, epoll, inside));
        match opened {
            Ok(container) => {
                let connection = Connection {
                    client: End::new(fd),
                    container: End::new(container),
                    inward: Flow::default(),
                    outward: Flow::default(),
                    dialing: Some(dialing),
                    queued: false,
                };
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
            match connection.turn(&mut self.pool) {
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
        for pipe in [connection.inward.pipe, connection.outward.pipe].into_iter().flatten() {
            self.pool.discard(pipe);
        }
    }
}

impl Connection {
    fn turn(&mut self, pool: &mut Pool) -> Turn {
        let inward = self.inward.carry(&mut self.client, &mut self.container, pool);
        let outward = self.outward.carry(&mut self.container, &mut self.client, pool);
        let (Ok(inward), Ok(outward)) = (inward, outward) else { return Turn::Broken };
        if self.inward.done && self.outward.done {
            return Turn::Done;
        }
        match (inward, outward) {
            (Share::UsedUp, _) | (_, Share::UsedUp) => return Turn::More,
            (Share::NoPipe, _) | (_, Share::NoPipe) => return Turn::Starved,
            (Share::Waits, Share::Waits) => {}
        }
        // With an error pending and nothing left to deliver, no event will come any more.
        let stuck = |end: &End, flow: &Flow| end.broken && (flow.done || flow.held == 0 && !end.readable);
        if stuck(&self.client, &self.inward) || stuck(&self.container, &self.outward) {
            return Turn::Broken;
        }
        Turn::Waits
    }
}

impl Flow {
    /// Moves bytes until one side has to wait or its share is used up.
    ///
    /// The pipe is filled only when it is empty: then `EAGAIN` can only mean that the source has nothing.
    fn carry(&mut self, from: &mut End, to: &mut End, pool: &mut Pool) -> nix::Result<Share> {
        if self.done {
            return Ok(Share::Waits);
        }
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        for _ in 0..ROUNDS {
            if self.held == 0 && !self.ended && from.readable && to.writable {
                let pipe = match self.pipe.take() {
                    Some(pipe) => pipe,
                    None => match pool.take() {
                        Ok(pipe) => pipe,
                        Err(_) => return Ok(Share::NoPipe),
                    },
                };
                let got = splice(&from.fd, None, &pipe.write, None, CHUNK, flags);
                self.pipe = Some(pipe);
                match got {
                    Ok(0) => self.ended = true,
                    Ok(count) => self.held = count,
                    Err(Errno::EAGAIN) => from.readable = false,
                    Err(Errno::EINTR) => continue,
                    Err(e) => return Err(e),
                }
            }
            if self.held > 0
                && to.writable
                && let Some(pipe) = &self.pipe
            {
                match splice(&pipe.read, None, &to.fd, None, self.held, flags) {
                    Ok(count) => self.held -= count,
                    Err(Errno::EAGAIN) => to.writable = false,
                    Err(Errno::EINTR) => {}
                    Err(e) => return Err(e),
                }
            }
            if self.held == 0 {
                if self.ended {
                    self.give_back(pool);
                    self.done = true;
                    // ENOTCONN: the receiver has gone; its own flow says how.
                    return match shutdown(to.fd.as_raw_fd(), Shutdown::Write) {
                        Ok(()) | Err(Errno::ENOTCONN) => Ok(Share::Waits),
                        Err(e) => Err(e),
                    };
                }
                if !from.readable || !to.writable {
                    self.give_back(pool);
                    return Ok(Share::Waits);
                }
            } else if !to.writable {
                return Ok(Share::Waits);
            }
        }
        Ok(Share::UsedUp)
    }

    fn give_back(&mut self, pool: &mut Pool) {
        if let Some(pipe) = self.pipe.take() {
            pool.give(pipe);
        }
    }
}

impl Dialing {
    /// Starts the next way that starts.
    fn next(&mut self, id: u64, epoll: &Epoll, inside: &Inside) -> nix::Result<OwnedFd> {
        let mut last = Errno::ECONNREFUSED;
        for way in self.ways.by_ref() {
            let started = inside.dial(&way).and_then(|fd| {
                setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
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

/// Small writes are passed on at once, and a client that vanished is noticed.
fn prepare_client(fd: &OwnedFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    setsockopt(fd, sockopt::TcpNoDelay, &true)?;
    setsockopt(fd, sockopt::KeepAlive, &true)?;
    setsockopt(fd, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE)?;
    setsockopt(fd, sockopt::TcpKeepInterval, &15)?;
    setsockopt(fd, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)
}

/// Makes the coming close a reset instead of an orderly end.
fn reset(fd: impl AsFd) {
    // Nothing better can be done about a socket that does not take it.
    let _ = setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}
