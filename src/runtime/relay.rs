//! The monitor's loop: the container's output to the log and to whoever is attached, input back, until
//! the first process ends.
//!
//! Theory of operation. Everything is non-blocking and every buffer is bounded (attack case 39); when the
//! container does not read its input, clients' frames are not taken. A client that goes away is forgotten.
//! What one that does not read may hold up:
//! - while the container runs, its output, as a terminal would: once the client's queue is full nothing more
//!   is read, and the container waits in write(2). Nothing that goes to `| less` or `| tar x` is lost so;
//! - but not the output of others: an attached client that has taken nothing for [`LAG`] while another one
//!   waits for more is let go. The client that the container was started for stays: it is its terminal;
//! - the container's end, restart or next start: never. Who has not taken everything [`MOMENT`] after the end
//!   gets the rest and the exit code from a process of its own ([`courier`]), which holds nothing of the
//!   container and ends with its clients.
//!
//! `exec` relays in the same way, for one client; its process is the courier itself.
//!
//! The loop ends when the first process has been reaped, or cannot be reaped ([`held`]), and what it left in
//! the pipes has been read: as much as they hold, for others may go on writing to them.

mod client;
mod courier;
mod held;
mod payload;
mod watch;

pub use payload::{End, Payload};

use self::client::Client;
use self::held::Held;
use self::payload::reap;
use self::watch::Watch;
use super::frame::{CONTENT_MAX, Frame};
use super::health::Checks;
use super::notify::Notify;
use crate::fork::{Doing, Failure};
use crate::spec::health::OnFailure;
use crate::sys::{process, pty};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{MsgFlags, SockFlag, accept4, recv};
use nix::unistd::{read, write};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// After this long a container is one that stays: then its monitor makes itself small. Again as long after it has
/// done something, for which it needed code that waiting does not.
const SETTLED: Duration = Duration::from_millis(500);
/// How long the clients of a container that has ended may take for the rest before its monitor goes on.
const MOMENT: Duration = Duration::from_millis(250);
/// How long a client may take nothing while another one waits for more.
const LAG: Duration = Duration::from_secs(10);
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
    streams: Streams,
    input: VecDeque<u8>,
    input_ends: bool,
    clients: Vec<Client>,
    listener: Option<OwnedFd>,
    /// The terminal's far side: while it is open, a payload that closes the terminal can open it again.
    far_side: Option<OwnedFd>,
    sink: Sink<'a>,
    buffer: Vec<u8>,
    told_to_stop: bool,
    restart: bool,
    notify: Option<Notify>,
    held: Held,
    left: Option<String>,
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
            buffer: vec![0; CONTENT_MAX],
            told_to_stop: false,
            restart: false,
            notify: None,
            held: Held::default(),
            left: None,
        })
    }

    /// With a service manager to be told.
    pub(super) fn with(self, notify: Option<Notify>) -> Relay<'a> {
        Relay { notify, ..self }
    }

    /// Tells the service manager, if there is one, that the payload runs.
    pub(super) fn tell_started(&self) {
        if let Some(notify) = &self.notify {
            notify.started();
        }
    }

    /// Relays until the first process has ended and its output is drained. `signals` must hold
    /// `SIGCHLD` and `SIGTERM`.
    ///
    /// # Errors
    /// Those of poll(2) and waitid(2).
    pub fn run(
        &mut self,
        payload: &Payload<'_>,
        signals: &SignalFd,
        mut checks: Option<Checks<'_>>,
    ) -> Result<End, Failure> {
        let mut kill_at = payload.deadline;
        let mut lives_with = payload.lives_with;
        let mut shrink_at = Some(Instant::now() + SETTLED);
        loop {
            let ended = reap(payload)?.or_else(|| {
                let (end, left) = self.held.look(payload.pid)?;
                self.left = Some(left);
                Some(end)
            });
            if let Some(end) = ended {
                if let Some(helpers) = &payload.helpers {
                    process::kill_others(helpers);
                }
                self.drain();
                if let Some(notify) = &self.notify {
                    notify.pass_on();
                }
                return Ok(end);
            }
            let due = checks.as_ref().and_then(Checks::due);
            let lag = self.let_go_of_laggards();
            let until = [kill_at, shrink_at, due, lag, self.held.due()].into_iter().flatten().min();
            let ready =
                self.wait(signals, payload, lives_with, checks.as_ref().and_then(Checks::fd), until)?;
            if let Some(checks) = checks.as_mut().filter(|_| due.is_some_and(|at| Instant::now() >= at)) {
                checks.begin();
            }
            if shrink_at.is_some_and(|at| Instant::now() >= at) {
                shrink_at = None;
                process::shrink();
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                kill_at = None;
                payload.kill();
                self.held.is_to_end();
            }
            if ready.iter().any(|(watch, _)| matches!(watch, Watch::Health)) {
                // What the check has brought into memory is not needed until the next one.
                shrink_at = Some(Instant::now());
            } else if !ready.is_empty() {
                shrink_at = shrink_at.or_else(|| Some(Instant::now() + SETTLED));
            }
            for (watch, events) in ready {
                match watch {
                    Watch::Signals => {
                        if told_to_stop(signals) {
                            self.told_to_stop = true;
                            kill_at = Some(payload.ask_to_stop(kill_at));
                            self.held.is_to_end();
                            checks = None;
                        }
                        if let Some(network) = payload.network {
                            network.mend();
                        }
                    }
                    Watch::Health => match checks.as_mut().map_or(OnFailure::None, Checks::finish) {
                        OnFailure::None => {
                            if let Some(notify) = &self.notify
                                && checks.as_ref().is_some_and(Checks::well)
                            {
                                notify.healthy();
                            }
                        }
                        OnFailure::Kill => {
                            payload.kill();
                            self.held.is_to_end();
                        }
                        action => {
                            self.told_to_stop |= action == OnFailure::Stop;
                            self.restart = action == OnFailure::Restart;
                            kill_at = Some(payload.ask_to_stop(kill_at));
                            self.held.is_to_end();
                            checks = None;
                        }
                    },
                    Watch::Payload => self.held.has_ended(),
                    Watch::Companion => {
                        lives_with = None;
                        let _ = process::pidfd_send_signal(payload.pidfd, libc::SIGKILL);
                        self.held.is_to_end();
                    }
                    Watch::Notify => {
                        if let Some(notify) = &self.notify {
                            notify.pass_on();
                        }
                    }
                    Watch::Listener => self.accept(),
                    Watch::Output(stream) => {
                        self.output(stream);
                    }
                    Watch::Input => self.feed(),
                    Watch::Client(index) => self.client(index, events, payload),
                }
            }
            self.forget_clients();
        }
    }

    /// Lets go of clients that are gone. Without a terminal, standard input ends with the last of those that
    /// fed it: one that was killed did not say that it is over.
    fn forget_clients(&mut self) {
        let fed = self.clients.iter().any(|c| c.gone && c.feeds);
        self.clients.retain(|c| !c.gone);
        if fed && self.streams.stdin.is_some() && !self.clients.iter().any(|c| c.feeds) {
            self.input_ends = true;
            self.feed();
        }
    }

    /// Whether the container is to be started again, because it was unhealthy.
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
    fn let_go_of_laggards(&mut self) -> Option<Instant> {
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

    /// Tells every client the exit code and waits until they have it or are gone.
    pub fn finish(mut self, code: u8) {
        self.say(code);
        deliver(&mut self.clients, None);
    }

    /// Tells every client the exit code. Who does not take it within [`MOMENT`] is left to a courier.
    pub fn hand_over(mut self, code: u8) {
        self.say(code);
        deliver(&mut self.clients, Some(Instant::now() + MOMENT));
        if !self.clients.is_empty() {
            courier::send(std::mem::take(&mut self.clients));
        }
    }

    fn say(&mut self, code: u8) {
        self.listener = None;
        for client in &mut self.clients {
            client.push(Frame::Exit(code).encode());
        }
    }

    /// Stops taking new clients: the socket's name may be used again.
    pub fn close_listener(&mut self) {
        self.listener = None;
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // The peer may be gone again; there is nothing to do about it.
        if let Ok(fd) = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            self.clients.push(Client::new(crate::sys::fd::owned(fd)));
        }
    }

    /// Moves one buffer of output on; gives its length, 0 when there is none to be had now.
    fn output(&mut self, stream: u8) -> usize {
        let slot = match stream {
            1 => &mut self.streams.stdout,
            2 => &mut self.streams.stderr,
            _ => &mut self.streams.terminal,
        };
        let Some(fd) = slot else { return 0 };
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
    fn drain(&mut self) {
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

    /// Gives the container input that is waiting.
    fn feed(&mut self) {
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

    fn client(&mut self, index: usize, events: PollFlags, payload: &Payload<'_>) {
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
            // Not a frame that a client sends: not a client of ours.
            _ => client.gone = true,
        }
    }
}

/// Sends what waits for clients until they have it or are gone, or until a moment; those that are left have
/// something to come.
fn deliver(clients: &mut Vec<Client>, until: Option<Instant>) {
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

/// Empties the signalfd; true when the monitor was asked to end.
pub(super) fn told_to_stop(signals: &SignalFd) -> bool {
    let mut stop = false;
    while let Ok(Some(info)) = signals.read_signal() {
        stop |= info.ssi_signo == Signal::SIGTERM as u32;
    }
    stop
}

/// The signals that [`Relay::run`] reads.
pub fn signal_set() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set.add(Signal::SIGTERM);
    set
}
