//! Socket swap (`--network ...:accelerate`): connections that leave the container are the host's own from the start.
//!
//! Theory of operation. A seccomp filter of its own ([`filter`]) leaves the payload's connect(2) and getsockname(2) to
//! this leaf, which stays in the host's network (seccomp_unotify(2)). If what the payload wants to reach is outside, so that
//! slirp4netns would connect to it from the host in the payload's stead, the leaf makes that connection on a socket with
//! the same options ([`twin`]) and puts it over the payload's descriptor. From then on its data takes the host's own way, and
//! neither this process nor slirp4netns sees any of it. Whatever is not plainly such a case goes on as if there were no
//! filter: the kernel carries out the call on the container's own socket (`SECCOMP_USER_NOTIF_FLAG_CONTINUE`).
//!
//! *What is swapped* ([`way`]): TCP sockets of the container's network, fresh (not connected, not bound), which the
//! process has once and waits for in no epoll set; to an address that is global, that the container's own routes send to a
//! gateway which leads to the host, and that the host reaches by an interface other than loopback. The routes are asked each
//! time, so a VPN or a network that comes or goes inside counts.
//!
//! *What is compared and what is used is the same*: the address is copied once from the payload's memory, and that copy is
//! connected to. But a call that goes on is read by the kernel again, and by then another thread may have put a
//! swapped socket under the same number and another address into memory; and whoever has a swapped socket, in this container
//! or in one that it was passed to, can dissolve its connection (`AF_UNSPEC`) and use it again, by calls that no filter sees. So
//! nothing rests on the filter. The kernel itself holds every swapped socket to one interface that is not loopback, one address of the host
//! and one port (`SO_BINDTOIFINDEX`, bind(2)); to undo that takes CAP_NET_RAW over the host's network, which nothing in a container
//! has. What can be reached by it is what that interface leads to, the host's own address there included: that is
//! what slirp4netns connects to as well. It does not lead to 127.0.0.0/8 and ::1, however the socket is used again. What remains
//! is in SECURITY.md: such a socket can listen on its one random port, and tells of the host's interfaces.
//!
//! *Waiting*: a socket that does not block is handed over at once, and answered as the host's kernel does. For one that
//! blocks, the leaf waits and hands over the connection; if it fails the payload has its error and its own socket still. No
//! call waits for another one. A caller that was interrupted in between asks again and is answered what it has missed.
//!
//! *Names*: getpeername(2) is true by itself. getsockname(2) of a swapped socket gets the address that the container has on
//! the way to the peer, as it would have without.
//!
//! The leaf ends when the link to the monitor closes. Killed, it is started again: the monitor keeps the filter's
//! descriptor, so that calls wait meanwhile. Those that the killed one had taken ([`taken`]) go their ordinary way.

mod address;
mod connect;
mod filter;
mod taken;
mod task;
mod twin;
mod way;

pub use filter::{install, is_possible};
pub use way::Ways;

use super::leave_caller;
use crate::fork::{Doing, Failure, Link};
use crate::sys::calls::Calls;
use connect::{Done, Swapped, Swapper};
use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use taken::Taken;
use way::Map;

/// What the leaf is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// The filter's descriptor comes with this message.
    Calls,
    /// What leads out has changed.
    Ways(Ways),
}

/// What the leaf reports, once.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// It will answer; this is what leads out.
    Ready(Ways),
    /// It could not be set up, and has ended.
    Failed(Failure),
}

const LINK: u64 = 0;
const CALLS: u64 = 1;
/// How many events one wait takes.
const EVENTS_MAX: usize = 64;

/// Answers until the link closes; returns the exit code. The body of a forked leaf. Without `ways`, what leads out is
/// what the routes in `netns` say now. `taken` is a file that is the same for all leaves of a container.
pub fn serve(netns: OwnedFd, taken: OwnedFd, ways: Option<Ways>, link: Link) -> i32 {
    match set_up(netns, taken, ways, &link) {
        Err(mut failure) => {
            failure.stage = "socket swap".to_owned();
            // The monitor may be gone; then nobody asks.
            let _ = link.send(&Report::Failed(failure), &[]);
            1
        }
        Ok(mut leaf) => {
            if link.send(&Report::Ready(leaf.swapper.map.ways.clone()), &[]).is_err() {
                return 0;
            }
            i32::from(leaf.run(&link).is_err())
        }
    }
}

fn set_up(netns: OwnedFd, taken: OwnedFd, ways: Option<Ways>, link: &Link) -> Result<Leaf, Failure> {
    let parent = nix::unistd::getppid();
    leave_caller(&[netns.as_fd(), taken.as_fd(), link.as_fd()])?;
    nix::sys::prctl::set_dumpable(false).doing("forbid", "tracing")?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("watch", "the monitor")?;
    if nix::unistd::getppid() != parent {
        return Err(Failure::other("watch", "the monitor", "it has ended"));
    }
    let map = Map::draw(netns, ways).doing("look up", "routes")?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing("wait on", "system calls")?;
    epoll.add(link, EpollEvent::new(EpollFlags::EPOLLIN, LINK)).doing("wait on", "the monitor")?;
    Ok(Leaf { epoll, calls: None, taken: Taken::new(taken), swapper: Swapper::new(map) })
}

struct Leaf {
    epoll: Epoll,
    calls: Option<Calls>,
    taken: Taken,
    swapper: Swapper,
}

impl Leaf {
    fn run(&mut self, link: &Link) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..count] {
                match event.data() {
                    LINK => match link.recv::<Word>()? {
                        None => return Ok(()),
                        Some((Word::Ways(ways), _)) => self.swapper.map.ways = ways,
                        Some((Word::Calls, fds)) => self.listen(fds)?,
                    },
                    CALLS if event.events().contains(EpollFlags::EPOLLIN) => self.call(),
                    // Nobody is left under the filter.
                    CALLS => self.calls = None,
                    token => self.connected(token),
                }
            }
            let late = self.swapper.late(Instant::now());
            late.into_iter().for_each(|token| self.connected(token));
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let Some(next) = self.swapper.next_deadline() else { return EpollTimeout::NONE };
        // Not before it is due.
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        u16::try_from(left).map_or(EpollTimeout::from(u16::MAX), EpollTimeout::from)
    }

    fn listen(&mut self, fds: Vec<OwnedFd>) -> nix::Result<()> {
        let Some(fd) = fds.into_iter().next() else { return Ok(()) };
        self.epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, CALLS))?;
        let calls = Calls::new(fd);
        self.taken.let_through(&calls);
        self.calls = Some(calls);
        Ok(())
    }

    /// Decides about one call.
    fn call(&mut self) {
        let Some(calls) = &self.calls else { return };
        let Ok(call) = calls.take() else { return };
        self.taken.take(call.id);
        let done = match call.number {
            libc::SYS_connect => self.swapper.connect(calls, &call),
            libc::SYS_getsockname => self.swapper.name(&call).unwrap_or(Done::Through),
            _ => Done::Through,
        };
        // Who no longer waits needs no answer.
        let _ = match done {
            Done::Through => calls.let_through(call.id),
            Done::Answer(result) => calls.answer(call.id, result),
            Done::Put(swapped) => self.swapper.put(calls, call.id, swapped),
            Done::Wait(swapped) => self.wait(call.id, swapped),
        };
    }

    /// Has a caller wait for its connection.
    fn wait(&mut self, id: u64, swapped: Swapped) -> nix::Result<()> {
        let Some(calls) = &self.calls else { return Ok(()) };
        let Some((token, socket)) = self.swapper.waits(id, swapped) else { return calls.let_through(id) };
        let events = EpollFlags::EPOLLOUT | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        if self.epoll.add(socket, EpollEvent::new(events, token)).is_err() {
            self.swapper.forget(token);
            return calls.let_through(id);
        }
        self.taken.keep(token, id);
        Ok(())
    }

    /// A connection is made, has failed or takes too long.
    fn connected(&mut self, token: u64) {
        let Some(waiting) = self.swapper.forget(token) else { return };
        // The payload will have the same open file, so it would not go by itself.
        let _ = self.epoll.delete(&waiting.swapped.socket);
        if let Some(calls) = &self.calls {
            let _ = self.swapper.settle(calls, waiting);
        }
        self.taken.forget(token);
    }
}
