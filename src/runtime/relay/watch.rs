//! What the loop waits for, and when it does not wait for clients that are too slow.

use super::carry::Relay;
use super::client::Client;
use super::payload::Payload;
use crate::fork::{Doing, Failure};
use crate::netns::bridge::Membership;
use crate::runtime::monitor::Live;
use crate::runtime::notify::Notify;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Bytes queued for the container's input before clients have to wait.
const INPUT_QUEUE_MAX: usize = 64 * 1024;
/// Most clients at one time.
const CLIENTS_MAX: usize = 64;

/// What a descriptor in the poll set belongs to.
#[derive(Clone, Copy)]
pub(super) enum Watch {
    Signals,
    Payload,
    Companion,
    Network,
    NetworksChange,
    Health,
    Notify,
    Listener,
    Output(u8),
    Input,
    Client(usize),
}

impl Relay<'_> {
    /// Waits at most until this moment; returns what is ready.
    pub(super) fn wait(
        &self,
        signals: &SignalFd,
        payload: &Payload<'_>,
        companion: Option<BorrowedFd<'_>>,
        health: Option<BorrowedFd<'_>>,
        until: Option<Instant>,
    ) -> Result<Vec<(Watch, PollFlags)>, Failure> {
        let crowded = self.clients.iter().any(Client::is_full);
        let memberships = payload.network.and_then(Live::memberships);
        let changing = payload.network.and_then(Live::working);
        let changing = changing.as_ref().map(|link| link.as_fd());
        let mut watches = vec![Watch::Signals];
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |watch, fd, flags| {
            watches.push(watch);
            fds.push(PollFd::new(fd, flags));
        };
        if self.held.asks_pidfd() {
            add(Watch::Payload, payload.pidfd, PollFlags::POLLIN);
        }
        if let Some(fd) = companion {
            add(Watch::Companion, fd, PollFlags::POLLIN);
        }
        for fd in memberships.iter().flat_map(|all| all.iter()).filter_map(Membership::watched) {
            // What the keeper of the network says is not urgent; that it has ended is.
            add(Watch::Network, fd, PollFlags::empty());
        }
        if let Some(fd) = changing {
            add(Watch::NetworksChange, fd, PollFlags::POLLIN);
        }
        if let Some(fd) = self.notify.as_ref().and_then(Notify::fd) {
            add(Watch::Notify, fd, PollFlags::POLLIN);
        }
        if let Some(fd) = health {
            add(Watch::Health, fd, PollFlags::POLLIN);
        }
        if let Some(fd) = self.listener.as_ref().filter(|_| self.clients.len() < CLIENTS_MAX) {
            add(Watch::Listener, fd.as_fd(), PollFlags::POLLIN);
        }
        let streams = &self.streams;
        for (stream, fd) in [(1, &streams.stdout), (2, &streams.stderr), (0, &streams.terminal)] {
            if let Some(fd) = fd.as_ref().filter(|_| !crowded) {
                add(Watch::Output(stream), fd.as_fd(), PollFlags::POLLIN);
            }
        }
        if let Some(fd) = streams.stdin.as_ref().or(streams.terminal.as_ref())
            && (!self.input.is_empty() || self.input_ends && streams.stdin.is_some())
        {
            add(Watch::Input, fd.as_fd(), PollFlags::POLLOUT);
        }
        let full = self.input.len() >= INPUT_QUEUE_MAX;
        for (index, client) in self.clients.iter().enumerate() {
            let mut flags = if full { PollFlags::empty() } else { PollFlags::POLLIN };
            if !client.queue.is_empty() {
                flags |= PollFlags::POLLOUT;
            }
            add(Watch::Client(index), client.socket.as_fd(), flags);
        }
        let timeout = until.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(Vec::new()),
            other => other.doing("wait for", "the container")?,
        };
        let ready = fds.iter().map(|f| f.revents().unwrap_or(PollFlags::empty()));
        Ok(watches.into_iter().zip(ready).filter(|(_, events)| !events.is_empty()).collect())
    }
}
