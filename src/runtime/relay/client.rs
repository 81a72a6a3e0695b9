//! One who is attached: a socket, and what waits to be sent to it.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};

/// A client of the monitor.
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) queue: VecDeque<Vec<u8>>,
    pub(super) queued: usize,
    pub(super) gone: bool,
    /// It relays its standard input.
    pub(super) feeds: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Client {
        Client { socket, queue: VecDeque::new(), queued: 0, gone: false, feeds: false }
    }

    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        if !self.gone {
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
                Ok(_) => {}
            }
            self.queued -= bytes.len();
            self.queue.pop_front();
        }
    }
}
