//! The data that the loop moves between the container's streams and its clients.

use super::client::Client;
use super::held::Held;
use super::payload::Payload;
use crate::fork::{Doing, Failure};
use crate::runtime::frame::{CONTENT_MAX, Frame};
use crate::runtime::monitor::{Change, Live};
use crate::runtime::notify::Notify;
use crate::sys::{process, pty};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, SockFlag, accept4, recv};
use nix::unistd::{read, write};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a client may take nothing while another one waits for more.
pub(super) const LAG: Duration = Duration::from_secs(10);
/// More than a terminal holds, in bytes.
const TERMINAL_MAX: usize = 64 * 1024;

/// Where output is kept: stream (1 or 2) and bytes.
pub type Sink<'a> = Box<dyn FnMut(u8, &[u8]) + 'a>;

/// The monitor's ends of the container's standard streams.
#[derive(Debug, Default)]
pub struct Streams {
    /// Write end of standard input.
    pub stdin: Option<OwnedFd>,
    /// Read end of standard output.
    pub stdout: Option<OwnedFd>,
    /// Read end of standard error.
    pub stderr: Option<OwnedFd>,
    /// The terminal's master, in place of the three.
    pub terminal: Option<OwnedFd>,
}

/// The loop's state.
pub struct Relay<'a> {
    pub(super) streams: Streams,
    pub(super) input: VecDeque<u8>,
    pub(super) input_ends: bool,
    pub(super) clients: Vec<Client>,
    pub(super) listener: Option<OwnedFd>,
    /// The terminal's far side: while it is open, a payload that closes the terminal can open it again.
    pub(super) far_side: Option<OwnedFd>,
    pub(super) sink: Sink<'a>,
    /// For output that comes; empty while none does.
    pub(super) buffer: Vec<u8>,
    pub(super) told_to_stop: bool,
    pub(super) restart: bool,
    pub(super) notify: Option<Notify>,
    pub(super) held: Held,
    pub(super) left: Option<String>,
}

impl<'a> Relay<'a> {
    /// A relay between these streams and clients; `listener` takes further clients.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn new(
        streams: Streams,
        client: Option<OwnedFd>,
        listener: Option<OwnedFd>,
        sink: Sink<'a>,
    ) -> Result<Relay<'a>, Failure> {
        for fd in [&streams.stdin, &streams.stdout, &streams.stderr, &streams.terminal].into_iter().flatten()
        {
            let flags = fcntl(fd, FcntlArg::F_GETFL).doing("read flags of", "stream")?;
            let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
            fcntl(fd, FcntlArg::F_SETFL(flags)).doing("set flags of", "stream")?;
        }
        // The first is asked for with standard input or without; it may be killed before it says so.
        let feeds = streams.stdin.is_some();
        let first = |socket| Client { feeds, stays: true, ..Client::new(socket) };
        let clients = client.into_iter().map(first).collect();
        let far_side = streams.terminal.as_ref().and_then(|master| pty::peer(master.as_fd()).ok());
        Ok(Relay {
            streams,
            input: VecDeque::new(),
            input_ends: false,
            clients,
            listener,
            far_side,
            sink,
            buffer: Vec::new(),
            told_to_stop: false,
            restart: false,
            notify: None,
            held: Held::default(),
            left: None,
        })
    }

    /// With a service manager to notify.
    pub(in crate::runtime) fn with(self, notify: Option<Notify>) -> Relay<'a> {
        Relay { notify, ..self }
    }

    /// Tells the service manager, if there is one, that the payload runs.
    pub(in crate::runtime) fn tell_started(&self) {
        if let Some(notify) = &self.notify {
            notify.started();
        }
    }

    /// Lets go of clients that are gone. Without a terminal, standard input ends with the last of those that
    /// fed it: one that was killed did not say that it is over.
    pub(super) fn forget_clients(&mut self) {
        let fed = self.clients.iter().any(|c| c.gone && c.feeds);
        self.clients.retain(|c| !c.gone);
        if fed && self.streams.stdin.is_some() && !self.clients.iter().any(|c| c.feeds) {
            self.input_ends = true;
            self.feed();
        }
    }

    /// Whether the container is to be restarted because it is unhealthy.
    pub fn restart_wanted(&self) -> bool {
        self.restart
    }

    /// Whether the monitor was asked to end.
    pub fn told_to_stop(&self) -> bool {
        self.told_to_stop
    }

    /// What was left of a first process that could not be reaped, and why.
    pub fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// Lets go of clients that hold up others; gives when the next one's time is over.
    pub(super) fn let_go_of_laggards(&mut self) -> Option<Instant> {
        if !self.clients.iter().any(|c| !c.is_full()) {
            return None;
        }
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for client in self.clients.iter_mut().filter(|c| c.is_full() && !c.stays) {
            let over = client.moved + LAG;
            if over <= now {
                client.gone = true;
            } else {
                next = Some(next.map_or(over, |next| next.min(over)));
            }
        }
        self.forget_clients();
        next
    }

    /// Tells who has asked for a change of networks what has come of it, once it is over.
    pub(super) fn networks_changed(&mut self, network: &Live<'_>) {
        let Some(Change { number, said }) = network.heard() else { return };
        for client in self.clients.iter_mut().filter(|c| c.asks.is_some_and(|asked| asked <= number)) {
            client.asks = None;
            client.push(Frame::Networked(&said).encode());
        }
    }

    pub(super) fn say(&mut self, code: u8) {
        self.listener = None;
        for client in &mut self.clients {
            client.push(Frame::Exit(code).encode());
        }
    }

    /// Stops taking new clients: the socket's name may be used again.
    pub fn close_listener(&mut self) {
        self.listener = None;
    }

    pub(super) fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // The peer may be gone again; there is nothing to do about it.
        if let Ok(fd) = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            self.clients.push(Client::new(crate::sys::fd::owned(fd)));
        }
    }

    /// Moves one buffer of output; returns its length, 0 if there is none at the moment.
    pub(super) fn output(&mut self, stream: u8) -> usize {
        let slot = match stream {
            1 => &mut self.streams.stdout,
            2 => &mut self.streams.stderr,
            _ => &mut self.streams.terminal,
        };
        let Some(fd) = slot else { return 0 };
        self.buffer.resize(CONTENT_MAX, 0);
        let length = match read(&*fd, &mut self.buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => return 0,
            // EIO: nobody has the terminal open any more.
            Ok(0) | Err(_) => {
                *slot = None;
                let streams = &self.streams;
                if [&streams.stdout, &streams.stderr, &streams.terminal].into_iter().all(Option::is_none) {
                    self.held.is_silent();
                }
                return 0;
            }
            Ok(n) => n,
        };
        let bytes = &self.buffer[..length];
        let stream = stream.max(1);
        (self.sink)(stream, bytes);
        for client in &mut self.clients {
            let frame = if stream == 2 { Frame::Stderr(bytes) } else { Frame::Stdout(bytes) };
            client.push(frame.encode());
        }
        length
    }

    /// Reads what the container left behind. Processes that outlive it (those of `exec`) may hold the pipes
    /// open and go on writing, so this ends at the first empty read, or with as much as there can have been.
    pub(super) fn drain(&mut self) {
        for stream in [1, 2, 0] {
            let slot =
                [&self.streams.terminal, &self.streams.stdout, &self.streams.stderr][usize::from(stream)];
            let room = slot.as_ref().and_then(|fd| fcntl(fd, FcntlArg::F_GETPIPE_SZ).ok());
            let mut left = room.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(TERMINAL_MAX);
            loop {
                match self.output(stream) {
                    0 => break,
                    length if length >= left => break,
                    length => left -= length,
                }
            }
        }
        (self.streams, self.far_side) = (Streams::default(), None);
    }

    /// Passes waiting input to the container.
    pub(super) fn feed(&mut self) {
        let Some(fd) = self.streams.stdin.as_ref().or(self.streams.terminal.as_ref()) else { return };
        while !self.input.is_empty() {
            match write(fd, self.input.as_slices().0) {
                Ok(n) => drop(self.input.drain(..n)),
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.input.clear();
                    self.streams.stdin = None;
                    return;
                }
            }
        }
        if self.input_ends {
            self.streams.stdin = None;
        }
    }

    pub(super) fn client(&mut self, index: usize, events: PollFlags, payload: &Payload<'_>) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if events.contains(PollFlags::POLLOUT) {
            client.flush();
        }
        if !events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            return;
        }
        let mut message = [0u8; CONTENT_MAX + 1];
        let length = match recv(client.socket.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Ok(0) | Err(_) => {
                client.gone = true;
                return;
            }
            Ok(n) => n,
        };
        match Frame::decode(&message[..length]) {
            // A payload that has closed its input leaves the client where it is, as a pipe to nobody would.
            Some(Frame::Stdin(bytes)) => {
                client.feeds = true;
                if self.streams.stdin.is_some() || self.streams.terminal.is_some() {
                    self.input.extend(bytes);
                    self.feed();
                }
            }
            Some(Frame::StdinEnd) => {
                self.input_ends = true;
                self.feed();
            }
            Some(Frame::Resize(rows, columns)) => {
                if let Some(terminal) = &self.streams.terminal {
                    let _ = pty::set_size(terminal.as_fd(), rows, columns);
                }
            }
            Some(Frame::Signal(signal)) => {
                let _ = process::pidfd_send_signal(payload.pidfd, signal);
            }
            // A terminal has one stream for both: without its master, writing to it fails.
            Some(Frame::Closed(1)) => {
                (self.streams.stdout, self.streams.terminal, self.far_side) = (None, None, None);
            }
            Some(Frame::Closed(2)) => self.streams.stderr = None,
            Some(Frame::Networks(reload)) if payload.network.is_some() => {
                client.asks = payload.network.map(|network| network.ask(reload));
            }
            // Not a frame that a client sends: not a client of ours.
            _ => client.gone = true,
        }
    }
}
