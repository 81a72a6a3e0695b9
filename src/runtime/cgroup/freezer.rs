//! Pausing and unpausing a container as a whole.
//!
//! Theory of operation. Processes are frozen together and can be killed while frozen. A container without a
//! cgroup of its own gets one for this.

use super::group::{Group, hierarchy, name, of_process};
use super::scope::{not_ours, scope};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::read::text;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long processes get to freeze.
const PATIENCE: Duration = Duration::from_secs(10);

impl Group {
    /// A running container's own cgroup, made if it has none, with its processes in it.
    ///
    /// # Errors
    /// [`Kind::Host`] when this account may not make one.
    fn ensure(container: &ContainerDir, run: &RunRecord) -> Result<Group> {
        if let Some(group) = Group::find(container, run) {
            return Ok(group);
        }
        if hierarchy().is_none() {
            return Err(Error::new(Kind::Host, "this machine has no cgroup v2, which pausing needs")
                .hint("Start the kernel with systemd.unified_cgroup_hierarchy=1"));
        }
        let gone = || Error::new(Kind::Conflict, "the container has just ended");
        let parent = of_process(run.init.pid).ok_or_else(gone)?;
        let own = name(container.id());
        match Group::below(&parent, &own) {
            Ok(group) => Ok(group),
            Err(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                scope(&own, container).map_err(|why| not_ours(&parent, why))
            }
            Err(e) => Err(e).context(Kind::Host, || format!("make a cgroup in {parent}")),
        }
    }

    /// Freezes the container: first the cgroup, so that each process stops as it is moved, then the
    /// processes that are not in it yet.
    fn freeze(&self, container: &ContainerDir) -> Result<()> {
        let doing = || format!("freeze container {}", container.id().short());
        self.write("cgroup.freeze", "1").context(Kind::Runtime, doing)?;
        let settled = self.adopt(container).and_then(|()| self.wait_frozen(container));
        if settled.is_err() {
            let _ = self.write("cgroup.freeze", "0");
        }
        settled
    }

    fn wait_frozen(&self, container: &ContainerDir) -> Result<()> {
        let begun = Instant::now();
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let doing = || format!("freeze container {}", container.id().short());
        while begun.elapsed() < PATIENCE {
            let events = openat(&self.dir, "cgroup.events", flags, Mode::empty());
            let events = File::from(events.context(Kind::Runtime, doing)?);
            let mut content = Vec::new();
            (&events).read_to_end(&mut content).context(Kind::Runtime, doing)?;
            if text(content).lines().any(|line| line == "frozen 1" || line == "populated 0") {
                return Ok(());
            }
            // Wakes when the file changes, cgroup-v2.rst, "cgroup.events".
            let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(100u16));
        }
        Err(Error::new(Kind::Runtime, format!("container {} cannot be frozen", container.id().short()))
            .hint("A process of it may hang in the kernel; look for state D in: ps -eo pid,stat,wchan,args"))
    }
}

/// Freezes a running container.
///
/// # Errors
/// [`Kind::Host`] when this account cannot create a cgroup for it; `Runtime` when it cannot be frozen.
pub fn freeze(container: &ContainerDir, run: &RunRecord) -> Result<()> {
    Group::ensure(container, run)?.freeze(container)
}

/// Unfreezes a container. One without a cgroup of its own is not frozen.
///
/// # Errors
/// When the cgroup cannot be written.
pub fn thaw(container: &ContainerDir, run: &RunRecord) -> Result<()> {
    let Some(group) = Group::find(container, run) else { return Ok(()) };
    group
        .write("cgroup.freeze", "0")
        .context(Kind::Runtime, || format!("unpause container {}", container.id().short()))
}
