//! What becomes of one `connect` or `getsockname`.

use super::address::{self, LONGEST, Wanted, in_family_of};
use super::task::Task;
use super::twin::{self, Ports};
use super::way::{Exit, Map};
use crate::sys::calls::{Call, Calls};
use crate::sys::sockets;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{self, IPPROTO_TCP, SOL_SOCKET};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockaddrStorage, connect, getpeername, getsockname};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The state of a TCP socket without a connection (tcp_states.h).
const CLOSED: u8 = 7;
/// The tokens of connections that are being made are this and more: smaller ones mean something else.
pub(super) const FIRST: u64 = 16;
/// How often a connection is tried again from another port.
const TRIES: u32 = 8;
/// Most connections that are being made at once, and most answers that are kept for who was interrupted.
const WAITING_MAX: usize = 1024;

/// What is to be done about a call.
pub(super) enum Done {
    /// The kernel does it.
    Through,
    Answer(nix::Result<()>),
    Put(Swapped),
    Wait(Swapped),
}

/// A socket for the caller's descriptor.
pub(super) struct Swapped {
    pub(super) socket: OwnedFd,
    number: u32,
    close_on_exec: bool,
    /// Whether the caller's would wait.
    blocks: bool,
    /// What the caller is told; `None` when the kernel is to carry out the call on the new socket.
    answer: Option<nix::Result<()>>,
}

/// A connection that is being made for a caller that waits.
pub(super) struct Waiting {
    call: u64,
    pub(super) swapped: Swapped,
    /// When the caller wants to wait no longer (`SO_SNDTIMEO`).
    until: Option<Instant>,
}

pub(super) struct Swapper {
    pub(super) map: Map,
    ports: Ports,
    waiting: HashMap<u64, Waiting>,
    next: u64,
    /// Sockets that were handed over to callers which were interrupted before they had their answer.
    owed: HashSet<u64>,
}

/// What there is at a descriptor.
struct Found {
    socket: OwnedFd,
    family: AddressFamily,
    blocks: bool,
}

impl Swapper {
    pub(super) fn new(map: Map) -> Swapper {
        let ports = Ports::of_host();
        Swapper { map, ports, waiting: HashMap::new(), next: FIRST, owed: HashSet::new() }
    }

    pub(super) fn connect(&mut self, calls: &Calls, call: &Call) -> Done {
        self.try_connect(calls, call).unwrap_or(Done::Through)
    }

    /// `None` when the kernel is to do it.
    fn try_connect(&mut self, calls: &Calls, call: &Call) -> Option<Done> {
        let [number, at, length, ..] = call.arguments;
        let number = u32::try_from(number & u64::from(u32::MAX)).ok()?;
        let length = usize::try_from(length & u64::from(u32::MAX)).ok()?;
        let task = Task::of(call.thread)?;
        // The one copy: what is checked and what is connected to.
        let wanted = address::read(&task.read(at, length.min(LONGEST)).ok()?)?;
        let found = find(&task, number)?;
        if !calls.waits(call.id) {
            return None;
        }
        let of_host = self.is_of_host(&found)?;
        if of_host && self.owed.remove(&sockets::identity(found.socket.as_fd()).ok()?) {
            return Some(Done::Answer(if found.blocks { Ok(()) } else { Err(Errno::EINPROGRESS) }));
        }
        let to = match wanted {
            Wanted::Connection(to) => to,
            Wanted::Dissolution if of_host => {
                // Before its options are looked at, or they would be those of the connection.
                sockets::dissolve(found.socket.as_fd()).ok()?;
                return self.back(&task, number, &found, Some(Ok(()))).map(Done::Put);
            }
            Wanted::Dissolution => return None,
        };
        let fits = matches!(
            (to, found.family),
            (SocketAddr::V4(_), AddressFamily::Inet) | (SocketAddr::V6(_), AddressFamily::Inet6)
        );
        if !fits || !is_fresh(&found.socket, of_host)? {
            return None;
        }
        let Some(exit) = self.map.exit(to.ip()) else {
            // One that was swapped before and has failed: the container's networks need a socket of theirs.
            return if of_host { self.back(&task, number, &found, None).map(Done::Put) } else { None };
        };
        let close_on_exec = task.has_alone(number.cast_signed(), &found.socket)?;
        let (socket, result) = self.connection(&found, to, exit)?;
        let blocks = found.blocks;
        let swapped = Swapped { socket, number, close_on_exec, blocks, answer: Some(result) };
        Some(if blocks && result.is_err() { Done::Wait(swapped) } else { Done::Put(swapped) })
    }

    /// Begins a connection: made already, or `EINPROGRESS`. `None` where the host cannot even begin.
    fn connection(&self, found: &Found, to: SocketAddr, exit: Exit) -> Option<(OwnedFd, nix::Result<()>)> {
        for _ in 0..TRIES {
            let twin = twin::of_host(&found.socket, found.family, exit, &self.ports)?;
            match connect(twin.as_raw_fd(), &SockaddrStorage::from(to)) {
                // There was such a connection a moment ago.
                Err(Errno::EADDRNOTAVAIL) => {}
                result @ (Ok(()) | Err(Errno::EINPROGRESS)) => return Some((twin, result)),
                Err(_) => return None,
            }
        }
        None
    }

    /// A socket of the container's own in place of one of the host's.
    fn back(
        &self,
        task: &Task,
        number: u32,
        found: &Found,
        answer: Option<nix::Result<()>>,
    ) -> Option<Swapped> {
        let close_on_exec = task.has_alone(number.cast_signed(), &found.socket)?;
        let socket = twin::of_container(&found.socket, found.family, &self.map)?;
        Some(Swapped { socket, number, close_on_exec, blocks: found.blocks, answer })
    }

    /// Whether a socket has been swapped; `None` for one that is neither of these nor of the container's network. One of the
    /// host's that was handed to the container (`LISTEN_FDS`) is held to no interface.
    fn is_of_host(&self, found: &Found) -> Option<bool> {
        let is_held = || sockets::number(found.socket.as_fd(), SOL_SOCKET, libc::SO_BINDTOIFINDEX) != Ok(0);
        match sockets::network_of(found.socket.as_fd()).ok()? {
            network if network == self.map.host_network => is_held().then_some(true),
            network if network == self.map.inside_network => Some(false),
            _ => None,
        }
    }

    /// Puts a socket in its place and gives the caller its answer.
    ///
    /// # Errors
    /// Those of answers.
    pub(super) fn put(&mut self, calls: &Calls, id: u64, swapped: Swapped) -> nix::Result<()> {
        let Swapped { socket, number, close_on_exec, blocks, answer } = swapped;
        let is_ready = !blocks || fcntl(&socket, FcntlArg::F_SETFL(OFlag::empty())).is_ok();
        if !is_ready || calls.put(id, socket.as_fd(), number, close_on_exec).is_err() {
            // The caller has been interrupted, or has closed its descriptor.
            return calls.let_through(id);
        }
        let Some(answer) = answer else { return calls.let_through(id) };
        let answered = calls.answer(id, answer);
        if answered.is_err() {
            if self.owed.len() >= WAITING_MAX {
                self.owed.clear();
            }
            self.owed.extend(sockets::identity(socket.as_fd()).ok());
        }
        answered
    }

    /// Keeps a connection that is being made; returns its token, and the socket to wait for.
    pub(super) fn waits(&mut self, call: u64, swapped: Swapped) -> Option<(u64, &OwnedFd)> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let until = patience(&swapped.socket).map(|patience| Instant::now() + patience);
        let token = self.next;
        self.next += 1;
        let waiting = self.waiting.entry(token).or_insert(Waiting { call, swapped, until });
        Some((token, &waiting.swapped.socket))
    }

    /// Takes a connection that is being made out of those that are waited for.
    pub(super) fn forget(&mut self, token: u64) -> Option<Waiting> {
        self.waiting.remove(&token)
    }

    /// When the next caller wants to wait no longer.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|waiting| waiting.until).min()
    }

    /// Those whose callers want to wait no longer.
    pub(super) fn late(&self, now: Instant) -> Vec<u64> {
        let is_late = |waiting: &Waiting| waiting.until.is_some_and(|until| until <= now);
        self.waiting.iter().filter(|(_, waiting)| is_late(waiting)).map(|(token, _)| *token).collect()
    }

    /// Gives a caller that waited what its connection has come to.
    ///
    /// # Errors
    /// Those of answers.
    pub(super) fn settle(&mut self, calls: &Calls, waiting: Waiting) -> nix::Result<()> {
        let Waiting { call, mut swapped, .. } = waiting;
        let mut fds = [PollFd::new(swapped.socket.as_fd(), PollFlags::POLLOUT)];
        let is_over = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        let error = sockets::number(swapped.socket.as_fd(), SOL_SOCKET, libc::SO_ERROR).unwrap_or(0);
        if error != 0 {
            return calls.answer(call, Err(Errno::from_raw(error)));
        }
        if is_over {
            // As the caller's own would: until connect(2) says so, the kernel counts the connection as being made.
            let peer: nix::Result<SockaddrStorage> = getpeername(swapped.socket.as_raw_fd());
            let _ = peer.and_then(|peer| connect(swapped.socket.as_raw_fd(), &peer));
        }
        // As the kernel has it when the time is up (socket(7), SO_SNDTIMEO): it goes on by itself.
        swapped.answer = Some(if is_over { Ok(()) } else { Err(Errno::EINPROGRESS) });
        self.put(calls, call, swapped)
    }

    /// Answers `getsockname` of a swapped socket; `None` for any other.
    pub(super) fn name(&self, call: &Call) -> Option<Done> {
        let [number, at, length_at, ..] = call.arguments;
        let number = u32::try_from(number & u64::from(u32::MAX)).ok()?;
        let task = Task::of(call.thread)?;
        let found = find(&task, number).filter(|found| self.is_of_host(found) == Some(true))?;
        let own: SockaddrStorage = getsockname(found.socket.as_raw_fd()).ok()?;
        let own = address_of(&own)?;
        let peer = getpeername(found.socket.as_raw_fd()).ok().and_then(|peer| address_of(&peer));
        let source = peer.and_then(|peer| self.map.source(peer.ip()));
        let none = || match own {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let shown = source.map_or_else(none, |source| in_family_of(source, own));
        let bytes = address::write(SocketAddr::new(shown, own.port()));
        Some(Done::Answer(tell(&task, &bytes, at, length_at)))
    }
}

/// Writes an address as getsockname(2) does: as far as there is room, and how long it is.
fn tell(task: &Task, bytes: &[u8], at: u64, length_at: u64) -> nix::Result<()> {
    let room = task.read(length_at, 4)?.try_into().map(i32::from_ne_bytes).map_err(|_| Errno::EFAULT)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    task.write(at, &bytes[..room.min(bytes.len())])?;
    let length = u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
    task.write(length_at, &length.to_ne_bytes())
}

/// A TCP socket at a descriptor, whichever network it is of.
fn find(task: &Task, number: u32) -> Option<Found> {
    let socket = task.descriptor(number.cast_signed())?;
    let option = |name| sockets::number(socket.as_fd(), SOL_SOCKET, name).ok();
    if option(libc::SO_PROTOCOL)? != IPPROTO_TCP {
        return None;
    }
    let family = match option(libc::SO_DOMAIN)? {
        libc::AF_INET => AddressFamily::Inet,
        libc::AF_INET6 => AddressFamily::Inet6,
        _ => return None,
    };
    let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL).ok()?);
    // Signals would have to be arranged for anew.
    if flags.contains(OFlag::O_ASYNC) {
        return None;
    }
    Some(Found { socket, family, blocks: !flags.contains(OFlag::O_NONBLOCK) })
}

/// Whether a socket has no connection and waits for nothing; one of the container's must not be bound either.
fn is_fresh(socket: &OwnedFd, of_host: bool) -> Option<bool> {
    let state = *sockets::option(socket.as_fd(), IPPROTO_TCP, libc::TCP_INFO).ok()?.first()?;
    if state != CLOSED {
        return Some(false);
    }
    if of_host {
        // The kernel still has to tell why the last one has failed.
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).ok()?;
        return Some(!fds[0].revents()?.contains(PollFlags::POLLERR));
    }
    let own: SockaddrStorage = getsockname(socket.as_raw_fd()).ok()?;
    let own = address_of(&own)?;
    Some(own.port() == 0 && own.ip().to_canonical().is_unspecified())
}

fn address_of(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let four = storage.as_sockaddr_in().map(|four| SocketAddr::from((four.ip(), four.port())));
    four.or_else(|| storage.as_sockaddr_in6().map(|six| SocketAddr::from((six.ip(), six.port()))))
}

/// How long a caller waits for its connection (`SO_SNDTIMEO`); `None` for as long as it takes.
fn patience(socket: &OwnedFd) -> Option<Duration> {
    let value = sockets::option(socket.as_fd(), SOL_SOCKET, libc::SO_SNDTIMEO).ok()?;
    let part = |at: usize| value.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
    let patience = Duration::new(part(0)?, u32::try_from(part(8)?).ok()?.checked_mul(1000)?);
    (!patience.is_zero()).then_some(patience)
}
