//! An attached client: a socket, and the queue of data to be sent to it.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

/// A client of the monitor.
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) queue: VecDeque<Vec<u8>>,
    pub(super) queued: usize,
    pub(super) gone: bool,
    /// It relays its standard input.
    pub(super) feeds: bool,
    /// The container was started for it.
    pub(super) stays: bool,
    /// It waits for the end of this change of networks.
    pub(super) asks: Option<u64>,
    /// When it last took something, or had nothing to take.
    pub(super) moved: Instant,
}

/// Bytes queued for one client before the container has to wait.
const QUEUE_MAX: usize = 1024 * 1024;

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Client {
        let (queue, moved) = (VecDeque::new(), Instant::now());
        Client { socket, queue, queued: 0, gone: false, feeds: false, stays: false, asks: None, moved }
    }

    /// Whether it must take something before there is more.
    pub(super) fn is_full(&self) -> bool {
        self.queued > QUEUE_MAX
    }

    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        if !self.gone {
            if self.queue.is_empty() {
                self.moved = Instant::now();
            }
            self.queued += bytes.len();
            self.queue.push_back(bytes);
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(bytes) = self.queue.front() {
            match send(self.socket.as_raw_fd(), bytes, flags) {
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return,
                Err(_) => self.gone = true,
                Ok(_) => self.moved = Instant::now(),
            }
            self.queued -= bytes.len();
            self.queue.pop_front();
        }
    }
}

/// Sends what waits for clients until they have it or are gone, or until a moment; those that are left have
/// something to come.
pub(super) fn deliver(clients: &mut Vec<Client>, until: Option<Instant>) {
    loop {
        clients.retain(|c| !c.gone && !c.queue.is_empty());
        let mut fds: Vec<PollFd<'_>> =
            clients.iter().map(|c| PollFd::new(c.socket.as_fd(), PollFlags::POLLOUT)).collect();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout =
            left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let out_of_time = left.is_some_and(|left| left.is_zero());
        if fds.is_empty() || out_of_time || matches!(poll(&mut fds, timeout), Err(e) if e != Errno::EINTR) {
            return;
        }
        for client in clients.iter_mut() {
            client.flush();
        }
    }
}
