//! The monitor's loop: passes the container's output to the log and to attached clients, and input back, until
//! the first process exits.
//!
//! Theory of operation. Everything is non-blocking and every buffer is bounded (attack case 39); while the
//! container does not read its input, no frames are taken from clients. A client that disconnects is forgotten.
//! A client that does not read can delay
//! - the container's output while it runs, as a terminal would: once the client's queue is full, no more output
//!   is read, and the container blocks in write(2). So nothing piped to `| less` or `| tar x` is lost;
//! - but not the output to others: an attached client that has read nothing for [`carry::LAG`] while another
//!   one waits for more is disconnected. The client for which the container was started stays, as that is the
//!   container's terminal;
//! - and never the container's exit, restart or next start. A client that has not read everything [`MOMENT`]
//!   after the exit gets the rest and the exit code from a separate process ([`courier`]), which holds no
//!   resources of the container and exits with its clients.
//!
//! `exec` relays in the same way, for one client; its process is the courier itself.
//!
//! The loop ends when the first process has been reaped, or cannot be reaped ([`held`]), and what is left in
//! the pipes has been read: only as much as they can hold, because others may keep writing to them.

mod carry;
mod checks;
mod client;
mod courier;
mod held;
mod payload;
mod watch;

pub use carry::{Relay, Sink, Streams};
pub use checks::HealthChecks;
pub use payload::{End, Payload};

use self::client::deliver;
use self::payload::reap;
use self::watch::Watch;
use crate::fork::Failure;
use crate::spec::health::OnFailure;
use crate::sys::process;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use std::time::{Duration, Instant};

/// After this long a container is considered long-running, and its monitor releases memory. Again as long
/// after it has done something, for which it needed code that waiting does not.
const SETTLED: Duration = Duration::from_millis(500);
/// How long the clients of a container that has exited may take to read the rest before its monitor moves on.
const MOMENT: Duration = Duration::from_millis(250);

impl Relay<'_> {
    /// Relays until the first process has ended and its output is drained. `signals` must hold
    /// `SIGCHLD` and `SIGTERM`.
    ///
    /// # Errors
    /// Those of poll(2) and waitid(2).
    pub fn run(
        &mut self,
        payload: &Payload<'_>,
        signals: &SignalFd,
        mut checks: Option<Box<dyn HealthChecks + '_>>,
    ) -> Result<End, Failure> {
        let mut kill_at = payload.deadline;
        let mut late = None;
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
                return Ok(End { code: late.unwrap_or(end.code), ..end });
            }
            let due = checks.as_ref().and_then(|checks| checks.due());
            let lag = self.let_go_of_laggards();
            let until = [kill_at, shrink_at, due, lag, self.held.due()].into_iter().flatten().min();
            let ready = self.wait(
                signals,
                payload,
                lives_with,
                checks.as_ref().and_then(|checks| checks.fd()),
                until,
            )?;
            if let Some(checks) = checks.as_mut().filter(|_| due.is_some_and(|at| Instant::now() >= at)) {
                checks.begin();
            }
            if shrink_at.is_some_and(|at| Instant::now() >= at) {
                shrink_at = None;
                self.buffer = Vec::new();
                process::shrink();
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                late = payload.late.filter(|_| kill_at == payload.deadline);
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
                    Watch::Network => {
                        if let Some(network) = payload.network {
                            network.mend();
                        }
                    }
                    Watch::NetworksChange => {
                        if let Some(network) = payload.network {
                            self.networks_changed(network);
                        }
                    }
                    Watch::Health => {
                        match checks.as_mut().map_or(OnFailure::None, |checks| checks.finish()) {
                            OnFailure::None => {
                                if let Some(notify) = &self.notify
                                    && checks.as_ref().is_some_and(|checks| checks.well())
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
                        }
                    }
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

    /// Tells every client the exit code and waits until they have it or are gone.
    pub fn finish(mut self, code: u8) {
        self.say(code);
        deliver(&mut self.clients, None);
    }

    /// Sends the exit code to every client. A client that does not read it within [`MOMENT`] is left to a courier.
    pub fn hand_over(mut self, code: u8) {
        self.say(code);
        deliver(&mut self.clients, Some(Instant::now() + MOMENT));
        if !self.clients.is_empty() {
            courier::send(std::mem::take(&mut self.clients));
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
