//! The leaf that makes a container's connections in the host's network, as the monitor sees it.

use crate::fork::{self, Child, Doing, Failure, Step};
use crate::netns::Attempts;
use crate::netns::swap::{self, Report, Ways, Word};
use crate::spec::ContainerSpec;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{fstat, stat};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};

/// The leaf, and what another one is started with.
#[derive(Debug)]
pub(super) struct Swap {
    leaf: RefCell<Child>,
    netns: OwnedFd,
    /// Which calls wait for an answer, for a leaf that follows one which was killed.
    taken: OwnedFd,
    ways: RefCell<Ways>,
    /// Where the payload's calls come from. Kept, or they would fail as soon as a leaf dies.
    calls: RefCell<Option<OwnedFd>>,
    attempts: Cell<Attempts>,
}

/// Whether a container's connections are to be made in the host's network, and can be. Not where the container is in our
/// own user namespace: as that of root, it would have rights over the host's network, and so over its sockets.
pub(super) fn is_wanted(plan: &ContainerSpec, userns: &OwnedFd) -> bool {
    let is_apart = || match (fstat(userns), stat("/proc/self/ns/user")) {
        (Ok(of_container), Ok(own)) => of_container.st_ino != own.st_ino,
        _ => false,
    };
    plan.network.mode.is_accelerated() && !plan.process.idle && swap::is_possible() && is_apart()
}

impl Swap {
    /// Starts a leaf, and waits until it will answer. Without `ways`, what leads out of the network at this moment does.
    pub(super) fn start(netns: &OwnedFd, ways: Option<Ways>) -> Result<Swap, Failure> {
        let taken = memfd_create(c"calls", MFdFlags::MFD_CLOEXEC).doing("make", "a list of calls")?;
        let (leaf, ways) = begin(netns, &taken, ways)?;
        Ok(Swap {
            leaf: RefCell::new(leaf),
            netns: netns.try_clone().doing("copy", "a namespace")?,
            taken,
            ways: RefCell::new(ways),
            calls: RefCell::default(),
            attempts: Cell::new(Attempts::first()),
        })
    }

    /// Gives the leaf the payload's calls to decide about.
    pub(super) fn decide(&self, calls: OwnedFd) -> Result<(), Failure> {
        self.leaf.borrow().link.send(&Word::Calls, &[calls.as_fd()]).doing("tell", "the socket swap")?;
        self.calls.replace(Some(calls));
        Ok(())
    }

    /// What leads out has changed.
    pub(super) fn lead(&self, ways: Ways) {
        if *self.ways.borrow() != ways {
            // A leaf that is gone is told when it is started again.
            let _ = self.leaf.borrow().link.send(&Word::Ways(ways.clone()), &[]);
            self.ways.replace(ways);
        }
    }

    /// Starts a leaf again that has died. When too many have died at once there is none any more, and the payload's
    /// calls fail.
    pub(super) fn mend(&self) {
        if !self.leaf.borrow().link.other_end_is_gone() {
            return;
        }
        let Some(next) = self.attempts.get().again() else { return drop(self.calls.take()) };
        self.attempts.set(next);
        let ways = self.ways.borrow().clone();
        let Ok((leaf, _)) = begin(&self.netns, &self.taken, Some(ways)) else { return };
        if let Some(calls) = &*self.calls.borrow() {
            // One that is gone again is noticed again.
            let _ = leaf.link.send(&Word::Calls, &[calls.as_fd()]);
        }
        self.leaf.replace(leaf);
    }

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        self.leaf.borrow().pid
    }
}

fn begin(netns: &OwnedFd, taken: &OwnedFd, ways: Option<Ways>) -> Result<(Child, Ways), Failure> {
    let copy = |fd: &OwnedFd| fd.try_clone().doing("copy", "a descriptor");
    let (netns, taken) = (copy(netns)?, copy(taken)?);
    let serve = move |link| swap::serve(netns, taken, ways, link);
    let leaf = fork::spawn(0, serve).doing(Step::Start, "the socket swap")?;
    match leaf.link.recv::<Report>().doing("hear from", "the socket swap")? {
        Some((Report::Ready(ways), _)) => Ok((leaf, ways)),
        Some((Report::Failed(failure), _)) => Err(failure),
        None => Err(Failure::other("start", "the socket swap", "it died")),
    }
}
