//! One side of a connection, and how much of a flow between two of them went through.

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{Shutdown, shutdown};
use std::os::fd::{AsRawFd, OwnedFd};

/// How often a flow is filled and drained before others get their turn.
pub(super) const ROUNDS: usize = 16;

/// One socket, and what it may be able to do.
#[derive(Debug)]
pub(super) struct End {
    pub(super) fd: OwnedFd,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The kernel reported an error; what was received before is still delivered.
    pub(super) broken: bool,
    /// It has been told that no more comes.
    pub(super) told: bool,
}

/// Why a flow stopped for now.
pub(super) enum Share {
    /// A side has to become ready.
    Waits,
    /// It has moved enough for one turn.
    UsedUp,
    /// No descriptor was left for a pipe; the bytes stay where they are.
    NoPipe,
}

impl End {
    pub(super) fn new(fd: OwnedFd) -> Self {
        End { fd, readable: true, writable: true, broken: false, told: false }
    }

    /// Notes what the kernel says about it.
    pub(super) fn note(&mut self, events: EpollFlags) {
        let closed = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        // An association that we have shut down ends without a word about receiving.
        self.readable |=
            self.told || events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | closed);
        self.writable |= events.intersects(EpollFlags::EPOLLOUT | closed);
        self.broken |= events.contains(EpollFlags::EPOLLERR);
    }

    /// Tells it that no more comes.
    ///
    /// # Errors
    /// Those of shutdown(2), but `ENOTCONN`: then it has gone, and its own flow says how.
    pub(super) fn tell(&mut self) -> nix::Result<()> {
        self.told = true;
        match shutdown(self.fd.as_raw_fd(), Shutdown::Write) {
            Ok(()) | Err(Errno::ENOTCONN) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
