//! Entering a running container: the only way, for every verb that joins, reads or enters it.
//!
//! Theory of operation. Until it executes the payload, the first process of a container still has the host's
//! tree as its root, and our memory and descriptors: a process that entered its namespaces at that time would
//! act on the host. So:
//! 1. [`Door::open`] waits for a start in progress, and continues only if the monitor indicates that the
//!    payload runs (`alive`, byte 1), which it does from exec until the exit is recorded.
//! 2. Namespaces are opened by a process id that is verified by a pidfd (attack case 37).
//! 3. The status alone proves nothing. So a process that has entered the mount namespace, or opened a root
//!    directory, compares it with the root that the monitor recorded, before it resolves, reads or executes
//!    anything there.
//!
//! Mount namespaces are entered nowhere else, which `tests/architecture` enforces. See setns(2),
//! mount_namespaces(7), proc_pid_root(5).

use super::files;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::fork::{Doing, Failure};
use crate::storage::containers::{ContainerDir, FileId, RunRecord};
use crate::sys::process;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::fchdir;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const NAMESPACE: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC);
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// A running container, to be entered.
#[derive(Debug)]
pub struct Door {
    run: RunRecord,
    first: OwnedFd,
    ground: Ground,
}

/// The root directory that belongs to a run of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground(FileId);

impl Door {
    /// Finds the first process of a running container; waits if it is just being started.
    ///
    /// # Errors
    /// `Conflict` when the container is not running.
    pub fn open(dir: &ContainerDir) -> Result<Door> {
        dir.await_start();
        if !dir.status().is_live() {
            return Err(not_running(dir));
        }
        let run = dir.run_record()?.ok_or_else(|| not_running(dir))?;
        let ground = Ground::of_run(&run, dir)?;
        let first = run.open_init().ok_or_else(|| not_running(dir))?;
        Ok(Door { run, first, ground })
    }

    /// The run.
    pub fn run(&self) -> &RunRecord {
        &self.run
    }

    /// A descriptor of its first process.
    pub fn first(&self) -> BorrowedFd<'_> {
        self.first.as_fd()
    }

    /// The root that is found behind the door.
    pub fn ground(&self) -> Ground {
        self.ground
    }

    /// A namespace of the first process, by its name in `/proc/PID/ns`.
    ///
    /// # Errors
    /// `Conflict` when the process is gone; `Runtime` when it is closed to this process.
    pub fn namespace(&self, name: &str) -> Result<OwnedFd> {
        let opened = open_of(self.first(), self.run.init.pid, &format!("ns/{name}"), NAMESPACE)?;
        opened.context(Kind::Runtime, || format!("open the container's {name} namespace"))
    }

    /// The root directory of the first process (`O_PATH`), mounts and volumes included. What is below must be
    /// resolved inside it, because the container may change it at any time.
    ///
    /// # Errors
    /// As [`Door::namespace`], and when it is not the container's.
    pub fn root(&self) -> Result<OwnedFd> {
        let root = open_of(self.first(), self.run.init.pid, "root", DIRECTORY)?;
        let root = root.context(Kind::Runtime, || "open the container's root directory")?;
        self.ground.check(root.as_fd())?;
        Ok(root)
    }

    /// Hands over what it holds: the first process.
    pub fn into_first(self) -> OwnedFd {
        self.first
    }
}

/// Opens what procfs has of a process. A number means the process that was recorded only while that is there, and
/// one that has exited and is not reaped yet has neither namespaces nor a root.
///
/// # Errors
/// `Conflict` when the process is gone; inside, why what is there could not be opened.
fn open_of(process: BorrowedFd<'_>, pid: i32, name: &str, flags: OFlag) -> Result<Result<OwnedFd, Errno>> {
    let opened = open(format!("/proc/{pid}/{name}").as_str(), flags, Mode::empty());
    process::pidfd_send_signal(process, 0).map_err(|_| just_ended())?;
    if matches!(opened, Err(Errno::ENOENT)) { Err(just_ended()) } else { Ok(opened) }
}

/// Opens a container's root file system as its monitor mounted it at `merged`, with nothing mounted over it
/// (`O_PATH`). Also between two runs, while the monitor waits to start the next one.
///
/// # Errors
/// `Conflict` when the monitor is gone or has unmounted it.
pub fn of_monitor(dir: &ContainerDir, run: &RunRecord, merged: &Path) -> Result<OwnedFd> {
    let ground = Ground::of_run(run, dir)?;
    let monitor = run.open_monitor().ok_or_else(just_ended)?;
    let root = open_of(monitor.as_fd(), run.monitor.pid, "root", DIRECTORY)?;
    let root = root.context(Kind::Runtime, || "open the monitor's root directory")?;
    // Inside it, so that an absolute symlink on the way to the store stays in the monitor's mounts.
    let found = files::open_in(root.as_fd(), merged, DIRECTORY)
        .context(Kind::Runtime, || "open the container's root directory")?;
    // Unmounted, or about to be mounted again.
    ground.check(found.as_fd()).map_err(|_| just_ended())?;
    Ok(found)
}

/// Runs `work` in the mount namespace of a container's monitor, where nothing of the container is at work, and
/// comes back. What `work` opens there it checks by the ground it is given. `Conflict` when the monitor is gone.
///
/// # Errors
/// As said, and those of `work`.
pub(super) fn among_monitors_mounts<T>(
    dir: &ContainerDir,
    run: &RunRecord,
    work: impl FnOnce(Ground) -> Result<T>,
) -> Result<T> {
    let ground = Ground::of_run(run, dir)?;
    let monitor = run.open_monitor().ok_or_else(just_ended)?;
    and_back(|| {
        match setns(&monitor, CloneFlags::CLONE_NEWNS) {
            Err(Errno::ESRCH) => return Err(just_ended()),
            other => other.doing("enter", "the monitor's mount namespace")?,
        }
        work(ground)
    })
}

/// Runs `work` in a mount namespace of the user's own commands, and comes back.
///
/// # Errors
/// When it cannot be entered, and those of `work`.
pub(super) fn among_mounts<T>(namespace: &OwnedFd, work: impl FnOnce() -> Result<T>) -> Result<T> {
    and_back(|| {
        setns(namespace, CloneFlags::CLONE_NEWNS).doing("enter", "another mount namespace")?;
        work()
    })
}

/// Runs `work`, which may go to another mount namespace, and comes back to this one.
///
/// # Errors
/// Those of `work`, and of setns(2).
pub(super) fn and_back<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = open("/proc/self/ns/mnt", NAMESPACE, Mode::empty()).doing("open", "own mount namespace")?;
    let here = open(".", DIRECTORY, Mode::empty()).doing("open", "working directory")?;
    let done = work();
    setns(&own, CloneFlags::CLONE_NEWNS).doing("come back to", "own mount namespace")?;
    fchdir(&here).doing("enter", "working directory")?;
    done
}

impl Ground {
    /// That of a root as it is mounted here.
    ///
    /// # Errors
    /// Those of open(2) and fstat(2).
    pub fn of_mount(merged: &Path) -> std::result::Result<FileId, Failure> {
        let root = open(merged, DIRECTORY, Mode::empty()).doing("open", merged)?;
        FileId::of(&root).doing("examine", merged)
    }

    fn of_run(run: &RunRecord, dir: &ContainerDir) -> Result<Ground> {
        run.root.map(Ground).ok_or_else(|| {
            let name = dir.called();
            Error::new(Kind::Conflict, format!("container {name} was started by an older coracle"))
                .hint(format!("Restart it: coracle restart {name}"))
        })
    }

    /// Moves this process into a mount namespace and gives its root directory, which is the container's.
    /// The caller is in the user namespace that owns it or above.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or another root than the container's is found there: then this
    /// process must end.
    pub fn enter(self, mounts: BorrowedFd<'_>) -> std::result::Result<OwnedFd, Failure> {
        setns(mounts, CloneFlags::CLONE_NEWNS).doing("enter", "the container's mount namespace")?;
        let root = open("/", DIRECTORY, Mode::empty()).doing("open", "the container's root directory")?;
        self.check(root.as_fd())?;
        Ok(root)
    }

    /// Makes sure that a directory is the container's root.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn check(self, root: BorrowedFd<'_>) -> std::result::Result<(), Failure> {
        match FileId::of(root).doing("examine", "the container's root directory")? == self.0 {
            true => Ok(()),
            false => Err(Failure::other("enter", "the container", "it is not the container's root")),
        }
    }
}

/// The error for entering a container that is not running.
pub fn not_running(dir: &ContainerDir) -> Error {
    phrases::not_running(&dir.called(), dir.status().as_str()).hint("See which containers run: coracle ps")
}

fn just_ended() -> Error {
    Error::new(Kind::Conflict, "the container has just ended").hint("See its state: coracle ps -a")
}
