//! The port forwarder: a leaf that forwards published ports from the host to the container.
//!
//! Theory of operation. The leaf inherits listeners that were bound in the host's network, then enters the
//! container's user and network namespaces. A socket stays in the network in which it was created, so `accept`
//! still returns the host's clients, while every new socket connects inside. One thread waits on one epoll for
//! everything. TCP data moves through a pipe by splice(2), without passing through this program; SCTP messages
//! and UDP datagrams go through one buffer.
//!
//! By TCP and UDP the container sees the client's own address ([`inside`], [`shown`]), as if there were no
//! forwarder. Services that listen on 127.0.0.1 inside stay private: connections only go to the container's
//! outer address.
//!
//! Bounds: the descriptor limit bounds connections and UDP sessions, a stalled receiver holds one pipe or one
//! message, and everything else waits in the kernel's socket buffers. Accepting pauses at the limit.
//!
//! The leaf exits when the link to the monitor closes.

mod connections;
mod door;
mod end;
mod inside;
mod lookout;
mod pipes;
mod sctp;
mod shown;
mod tcp;
mod token;
mod udp;

use super::Listener;
use super::reach::Reach;
use crate::fork::{Child, Doing, Failure, Link};
use crate::spec::network::Protocol;
use crate::sys::fd;
use connections::Connections;
use door::{Door, HostSocket};
use inside::Inside;
use lookout::Lookout;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use token::Token;

/// How many events one wait takes.
const EVENTS_MAX: usize = 256;
/// Descriptors left for everything but connections.
const FDS_RESERVED: usize = 64;
/// Descriptors of one connection at its worst: two sockets and two pipes.
const FDS_PER_CONNECTION: usize = 6;
/// Most connections at once, whatever the descriptor limit.
const CONNECTIONS_MAX: usize = 50_000;
/// How long accepting pauses when the machine is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// How often idle UDP sessions are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// How long a forwarder may take to leave, in milliseconds.
const STOP_TIMEOUT: u16 = 1000;

/// What the leaf reports up its link, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Ports are served.
    Ready {
        /// Whether TCP services see the client's address; not where the kernel or `/proc/sys` refused.
        keeps_client: bool,
    },
    /// The leaf could not be set up, and has ended.
    Failed(Failure),
}

/// Serves published ports until the link closes; returns the exit code. The body of a forked leaf.
///
/// `userns` must own `netns`, and this process must be allowed to enter both.
/// Without a `reach` connections are refused until one comes down the link ([`Child::link`], an `Option<Reach>`).
pub fn serve(
    listeners: Vec<Listener>,
    reach: Option<&Reach>,
    userns: OwnedFd,
    netns: OwnedFd,
    link: Link,
) -> i32 {
    let ready = set_up(&listeners, reach, &userns, &netns, link.as_fd()).and_then(|inside| {
        let keeps_client = inside.keeps_client();
        drop((userns, netns));
        let forwarder = Forwarder::new(listeners, inside, &link).doing("wait on", "published ports")?;
        Ok((forwarder, keeps_client))
    });
    match ready {
        Err(mut failure) => {
            failure.stage = "forwarder".to_owned();
            // The monitor may be gone; then nobody asks.
            let _ = link.send(&Report::Failed(failure), &[]);
            1
        }
        Ok((mut forwarder, keeps_client)) => {
            if link.send(&Report::Ready { keeps_client }, &[]).is_err() {
                return 0;
            }
            i32::from(forwarder.run(&link).is_err())
        }
    }
}

/// Ends a forwarder. Its ports are free when this returns.
pub fn stop(child: Child) {
    let Child { pidfd, link, .. } = child;
    drop(link);
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    // It exits at once; if it does not, for whatever reason, it must not keep the ports.
    if !matches!(poll(&mut fds, PollTimeout::from(STOP_TIMEOUT)), Ok(1)) {
        let _ = crate::sys::process::pidfd_send_signal(pidfd.as_fd(), nix::libc::SIGKILL);
    }
    let _ = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED);
}

/// Leaves everything behind that is not needed and enters the container's network.
fn set_up(
    listeners: &[Listener],
    reach: Option<&Reach>,
    userns: &OwnedFd,
    netns: &OwnedFd,
    link: BorrowedFd<'_>,
) -> Result<Inside, Failure> {
    let parent = nix::unistd::getppid();
    let mut keep: Vec<BorrowedFd<'_>> = vec![userns.as_fd(), netns.as_fd(), link];
    keep.extend(listeners.iter().flat_map(|l| l.sockets.iter().map(AsFd::as_fd)));
    super::leave_caller(&keep)?;
    // A receiver that has gone is an error of splice(2), not the end of this process.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGPIPE);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None).doing("set", "the signal mask")?;

    let inside = Inside::enter(reach, userns.as_fd(), netns.as_fd())?;

    // The link is the way to end; a sibling that holds a copy of its other end must not keep us.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("watch", "the monitor")?;
    if nix::unistd::getppid() != parent {
        return Err(Failure::other("watch", "the monitor", "it has ended"));
    }
    Ok(inside)
}

/// Why accepting pauses: until a connection ends, or for a while.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// All connections are taken.
    Full,
    /// The machine had no descriptor or memory at this time.
    Since(Instant),
}

struct Forwarder {
    epoll: Epoll,
    inside: Inside,
    doors: Vec<Door>,
    connections: Connections,
    udp: udp::Sessions,
    /// What is not accepted at present, and why.
    paused: BTreeMap<Protocol, Pause>,
    swept: Instant,
}

impl Forwarder {
    fn new(listeners: Vec<Listener>, inside: Inside, link: &Link) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(link, EpollEvent::new(EpollFlags::EPOLLIN, Token::Link.into()))?;
        let mut doors = Vec::new();
        for Listener { bound, sockets } in listeners {
            for fd in sockets {
                doors.push(match bound.protocol {
                    Protocol::Udp => Door::Udp(HostSocket::new(fd, bound.container_port)),
                    other => Door::Connections(fd.into(), bound.container_port, other),
                });
            }
        }
        for (i, door) in doors.iter().enumerate() {
            epoll.add(door, EpollEvent::new(EpollFlags::EPOLLIN, Token::Listener(i).into()))?;
        }
        let spare = fd::raise_limit().saturating_sub(doors.len() + FDS_RESERVED);
        let has_udp = doors.iter().any(|door| matches!(door, Door::Udp(_)));
        let sessions = if has_udp { (spare / 4).clamp(1, udp::SESSIONS_MAX) } else { 0 };
        let connections = (spare - spare.min(sessions)) / FDS_PER_CONNECTION;
        let connections = Connections::new(connections.clamp(1, CONNECTIONS_MAX));
        let services = doors.iter().filter_map(|door| match door {
            Door::Udp(socket) => Some(socket.port),
            Door::Connections(..) => None,
        });
        let udp = udp::Sessions::new(sessions, services.collect());
        Ok(Forwarder {
            epoll,
            inside,
            doors,
            connections,
            udp,
            paused: BTreeMap::new(),
            swept: Instant::now(),
        })
    }

    /// Serves until the link closes.
    fn run(&mut self, link: &Link) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let mut lookout = Lookout::default();
        loop {
            let count = match lookout.wait(&self.epoll, &mut events, self.timeout()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..count] {
                match Token::from(event.data()) {
                    Token::Link => match link.recv::<Option<Reach>>()? {
                        Some((reach, _)) => self.inside.move_to(reach),
                        None => return Ok(()),
                    },
                    Token::Listener(i) => self.door(i),
                    Token::Client(id) => self.connections.on_client(id, event.events()),
                    Token::Container(id) => {
                        self.connections.on_container(id, event.events(), &self.epoll, &self.inside)
                    }
                    Token::Session(id) => self.udp.answer(id, &self.doors),
                }
            }
            self.connections.turn();
            self.connections.retry(PAUSE);
            self.resume_accepting();
            if !self.udp.is_empty() && self.swept.elapsed() >= SWEEP {
                self.udp.sweep();
                self.swept = Instant::now();
            }
        }
    }

    /// How long the next wait may last: not at all with work at hand, forever with none in sight.
    fn timeout(&self) -> EpollTimeout {
        if self.connections.has_work() {
            EpollTimeout::ZERO
        } else if self.paused.values().any(|pause| matches!(pause, Pause::Since(_)))
            || self.connections.is_starved()
        {
            EpollTimeout::try_from(PAUSE).unwrap_or(EpollTimeout::NONE)
        } else if !self.udp.is_empty() {
            EpollTimeout::try_from(SWEEP).unwrap_or(EpollTimeout::NONE)
        } else {
            EpollTimeout::NONE
        }
    }

    /// Something waits at a host socket.
    fn door(&mut self, i: usize) {
        match self.doors.get(i) {
            Some(Door::Connections(listener, port, protocol)) => {
                let (port, protocol) = (*port, *protocol);
                if !self.connections.accept(listener, (port, protocol), &self.epoll, &self.inside) {
                    self.set_accepting(protocol, false);
                }
            }
            Some(Door::Udp(socket)) => self.udp.receive(i, socket, &self.epoll, &self.inside),
            None => {}
        }
    }

    /// Ends a pause when its reason has gone.
    fn resume_accepting(&mut self) {
        for protocol in [Protocol::Tcp, Protocol::Sctp] {
            let over = match self.paused.get(&protocol) {
                None => false,
                Some(Pause::Full) => !self.connections.is_full(protocol),
                Some(Pause::Since(since)) => since.elapsed() >= PAUSE,
            };
            if over {
                self.set_accepting(protocol, true);
            }
        }
    }

    /// Clients wait in the kernel's queue while accepting pauses.
    fn set_accepting(&mut self, protocol: Protocol, accepting: bool) {
        let flags = if accepting { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        for (i, door) in self.doors.iter().enumerate() {
            if let Door::Connections(listener, _, accepted) = door
                && *accepted == protocol
            {
                // A registered descriptor can be modified; there is nothing else to fail.
                let _ = self.epoll.modify(listener, &mut EpollEvent::new(flags, Token::Listener(i).into()));
            }
        }
        if accepting {
            self.paused.remove(&protocol);
        } else {
            let full = self.connections.is_full(protocol);
            self.paused.insert(protocol, if full { Pause::Full } else { Pause::Since(Instant::now()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Link,
            Token::Listener(0),
            Token::Listener(7),
            Token::Client(1),
            Token::Container(u64::MAX >> 2),
            Token::Session(9),
        ] {
            assert_eq!(Token::from(u64::from(token)), token);
        }
    }
}
