//! What stage 2 needs from the host.
//!
//! Theory of operation. In a container with its own id map, nobody inside may enter the user's own directories.
//! Stage 2 starts as the user and becomes the container's root before it creates anything. So everything on the
//! host is opened first, and from then on used only by descriptor, in every container.

use super::order::Order;
use crate::fork::{Doing, Failure};
use crate::spec::MountSource;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, getegid, geteuid, setresgid, setresuid};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Sources of mounts, by the mount's place in the plan.
pub(super) type Sources = BTreeMap<usize, OwnedFd>;

/// Places of the host, held (`O_PATH`).
#[derive(Debug)]
pub(super) struct Host {
    /// The assembled root file system.
    pub(super) root: OwnedFd,
    /// A directory that the container will not see.
    pub(super) beside: OwnedFd,
    /// What is mounted.
    pub(super) sources: Sources,
}

impl Host {
    /// Opens everything that the order names.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn open(order: &Order) -> Result<Host, Failure> {
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let look = |path: &Path, flags| open(path, flags, Mode::empty()).doing("open", path);
        let sources = sources(order);
        let sources =
            sources.into_iter().map(|(at, path)| Ok((at, look(&path, OFlag::O_PATH | OFlag::O_CLOEXEC)?)));
        Ok(Host {
            sources: sources.collect::<Result<_, Failure>>()?,
            root: look(&order.merged, directory)?,
            beside: look(order.merged.parent().unwrap_or(&order.merged), directory)?,
        })
    }

    /// All descriptors, for a program that is executed again.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        [&self.root, &self.beside].into_iter().chain(self.sources.values())
    }

    /// From [`Host::descriptors`], the first of those given; `None` when they are too few.
    pub(super) fn take(order: &Order, from: &mut impl Iterator<Item = OwnedFd>) -> Option<Host> {
        let (root, beside) = (from.next()?, from.next()?);
        let sources = sources(order).into_keys().map(|at| Some((at, from.next()?))).collect::<Option<_>>()?;
        Some(Host { root, beside, sources })
    }
}

/// Where the sources of mounts are: as the monitor prepared them, or as the user named them.
fn sources(order: &Order) -> BTreeMap<usize, PathBuf> {
    let mut all = order.sources.clone();
    for (at, planned) in order.plan.mounts.iter().enumerate() {
        if let MountSource::Bind { path, .. } = &planned.source {
            all.entry(at).or_insert_with(|| path.clone());
        }
    }
    all
}

/// Becomes the root of the user namespace, which this process has all power over. Where the user and its group are
/// the container's root, nothing changes.
///
/// # Errors
/// Those of setresuid(2) and setresgid(2).
pub(in crate::runtime) fn become_root() -> Result<(), Failure> {
    if geteuid().is_root() && getegid().as_raw() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid).doing("become", "the container's root group")?;
    setresuid(uid, uid, uid).doing("become", "the container's root")?;
    // A change of user has reset it, to whatever fs.suid_dumpable says.
    hide()
}

/// Puts this process out of the reach of ptrace(2), of its entries in `/proc` and of pidfd_getfd(2), for
/// everybody without power over the user namespace that its program was executed in: a container has none.
/// Children inherit it until they execute a program.
///
/// # Errors
/// Those of prctl(2).
pub(in crate::runtime) fn hide() -> Result<(), Failure> {
    nix::sys::prctl::set_dumpable(false).doing("become", "non-dumpable")
}
