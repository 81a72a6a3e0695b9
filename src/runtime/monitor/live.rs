//! Networks that come and go while a container runs.
//!
//! Theory of operation. A command changes the container's settings and then asks its monitor, as a client on the attach
//! socket, to make the networks what the settings say. Becoming a member, plugging in and waiting for a way out take
//! their time, so a child of the monitor does all of it ([`work`]), one at a time: it compares, leaves, joins, rewrites
//! the name files through the descriptors that the monitor has of them, and records what the run has. A new membership
//! is a connection and two descriptors, which it passes on to the monitor. What somebody asks for while it works is looked at
//! afterwards, by another one.
//!
//! A child that is killed may have plugged in what nobody has been told of. Then the next one is started at once, which first takes
//! away the interfaces that the last one was at. So at any time what is on the disk and what the kernel has differ by at most what
//! one more look at the settings puts right.

mod files;
mod said;
mod work;

use super::context::MonitorContext;
use super::network::{Carrier, Network};
use crate::fork::{self, Child, Failure, Link, Step};
use crate::netns::bridge::{self, Membership};
use crate::spec::{ContainerSpec, NetworkMode};
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use said::Did;
use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::os::fd::AsFd;

/// How often another child does what one has died of.
const TRIES: u32 = 2;

/// The network of a running container, and the changes to it.
pub struct Live<'a> {
    context: &'a MonitorContext<'a>,
    network: &'a Network,
    run: u64,
    job: RefCell<Option<Job>>,
    /// The number of the latest child.
    number: Cell<u64>,
    /// What is to be done when the one that works is done; whether helpers are looked after too.
    next: Cell<Option<bool>>,
    /// Interfaces that a child may have made, and nobody knows whether it has.
    doubtful: RefCell<Vec<String>>,
}

/// A change that is over.
#[derive(Debug)]
pub struct Change {
    /// Its number.
    pub(in crate::runtime) number: u64,
    /// What could not be done, by network, in JSON.
    pub(in crate::runtime) said: Vec<u8>,
}

/// A child at work.
#[derive(Debug)]
struct Job {
    child: Child,
    failures: Vec<(String, Failure)>,
    /// How many before it have died.
    died: u32,
}

/// Paths of generated files that follow the networks of a container.
pub(super) fn changing(plan: &ContainerSpec) -> Vec<String> {
    let NetworkMode::Bridge(_) = plan.network.mode else { return Vec::new() };
    let roots =
        std::iter::once(String::new()).chain(plan.chroot_dirs.iter().map(|d| d.display().to_string()));
    roots.flat_map(|root| ["/etc/hosts", "/etc/resolv.conf"].map(|path| format!("{root}{path}"))).collect()
}

impl fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("network", self.network).field("job", &self.job).finish_non_exhaustive()
    }
}

impl<'a> Live<'a> {
    /// Of this run.
    pub(super) fn new(context: &'a MonitorContext<'a>, network: &'a Network, run: u64) -> Live<'a> {
        Live {
            context,
            network,
            run,
            job: RefCell::default(),
            number: Cell::new(0),
            next: Cell::new(None),
            doubtful: RefCell::default(),
        }
    }

    /// The helpers' processes that are children of ours.
    pub(super) fn pids(&self) -> Vec<Pid> {
        let job = self.job.borrow().as_ref().map(|job| job.child.pid);
        self.network.pids().into_iter().chain(job).collect()
    }

    /// Starts again what has died.
    pub fn mend(&self) {
        self.network.mend();
    }

    /// The networks that it shares with others, for who watches them.
    pub fn memberships(&self) -> Option<Ref<'_, [Membership]>> {
        self.network.memberships()
    }

    /// Readable when the child that works has something to say.
    pub fn working(&self) -> Option<Ref<'_, Link>> {
        Ref::filter_map(self.job.borrow(), |job| job.as_ref().map(|job| &job.child.link)).ok()
    }

    /// Somebody wants the networks to be as the settings say, and with `reload` what serves them to be looked after.
    /// Returns the number of the change that does it.
    pub fn ask(&self, reload: bool) -> u64 {
        if self.job.borrow().is_some() {
            self.next.set(Some(reload || self.next.get().unwrap_or(false)));
            return self.number.get() + 1;
        }
        self.number.set(self.number.get() + 1);
        self.begin(reload, 0);
        self.number.get()
    }

    /// Starts a child. Where none can be started, what is said for it is all that comes.
    fn begin(&self, reload: bool, died: u32) {
        let mut failures = Vec::new();
        if reload {
            self.network.mend();
            let mended = self.network.mend_forwarder(&self.context.ports);
            failures.extend(mended.err().map(|failure| (String::new(), failure)));
        }
        let Carrier::Shared(members) = &self.network.carrier else {
            return self.answer_by_child(failures, |link| i32::from(link.send(&Did::Done, &[]).is_err()));
        };
        let members = members.borrow();
        let order = work::Order {
            context: self.context,
            network: self.network,
            members: &members,
            run: self.run,
            doubtful: self.doubtful.borrow().clone(),
            reload,
        };
        self.answer_by_child(failures, |link| work::main(&order, &link));
        if let Some(job) = &mut *self.job.borrow_mut() {
            job.died = died;
        }
    }

    /// Starts a child for the work; a failure to do that is one that it would say itself.
    fn answer_by_child(&self, mut failures: Vec<(String, Failure)>, work: impl FnOnce(Link) -> i32) {
        let child = match fork::spawn(0, work) {
            Ok(child) => child,
            Err(e) => {
                failures.push((String::new(), Failure::new(Step::Start, "a helper", e)));
                // Without one, a link that is closed at once: the loop takes notice as of any other.
                let Ok((link, _)) = Link::pair() else { return };
                let Ok(pidfd) = process::pidfd_open(Pid::this()) else { return };
                Child { pid: Pid::from_raw(0), pidfd, link }
            }
        };
        self.job.replace(Some(Job { child, failures, died: TRIES }));
    }

    /// Takes what the child says; a change that is over is returned.
    pub(in crate::runtime) fn heard(&self) -> Option<Change> {
        let mut job = self.job.borrow_mut();
        let Job { child, failures, died } = job.as_mut()?;
        let died = match child.link.recv::<Did>() {
            Err(Errno::EAGAIN) => return None,
            Ok(Some((Did::Left(name), _))) => {
                self.change_members(|all| all.retain(|member| member.attached().network != name));
                return None;
            }
            Ok(Some((Did::Renamed(name, names), _))) => {
                self.change_members(|all| {
                    if let Some(member) = all.iter_mut().find(|member| member.attached().network == name) {
                        member.rename(names);
                    }
                });
                return None;
            }
            Ok(Some((Did::Joining(interface), _))) => {
                self.doubtful.borrow_mut().push(interface);
                return None;
            }
            Ok(Some((Did::Joined(passed), fds))) => {
                let tools = super::network::tools(self.context, passed.network());
                let joined = tools.ok().and_then(|tools| Membership::take_over(*passed, fds, tools));
                self.change_members(|all| all.extend(joined));
                return None;
            }
            Ok(Some((Did::Wrote(path, text), _))) => {
                let mut files = self.network.files.borrow_mut();
                files
                    .iter_mut()
                    .filter(|kept| kept.path == path)
                    .for_each(|kept| kept.text.clone_from(&text));
                return None;
            }
            Ok(Some((Did::Failed(name, failure), _))) => {
                failures.push((name, failure));
                return None;
            }
            Ok(Some((Did::Done, _))) => {
                self.doubtful.borrow_mut().clear();
                None
            }
            Ok(None) | Err(_) => Some(*died),
        };
        let failures = std::mem::take(failures);
        drop(job);
        self.job.replace(None);
        match died {
            Some(before) if before < TRIES => {
                self.begin(false, before + 1);
                return None;
            }
            _ => {}
        }
        let mut failures = failures;
        if died.is_some() && failures.is_empty() {
            failures.push((String::new(), Failure::other("change", "networks", "the helper died")));
        }
        let number = self.number.get();
        if let Some(reload) = self.next.take() {
            self.number.set(number + 1);
            self.begin(reload, 0);
        }
        Some(Change { number, said: serde_json::to_vec(&failures).unwrap_or_default() })
    }

    fn change_members(&self, change: impl FnOnce(&mut Vec<Membership>)) {
        if let Carrier::Shared(members) = &self.network.carrier {
            let mut members = members.borrow_mut();
            change(&mut members);
            bridge::introduce(&mut members);
            drop(members);
            self.network.reach_changed();
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take().filter(|job| job.child.pid.as_raw() > 0) {
            let _ = process::pidfd_send_signal(job.child.pidfd.as_fd(), libc::SIGKILL);
        }
    }
}
