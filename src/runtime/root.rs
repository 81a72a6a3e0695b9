//! The root file system of a container for commands that look into it or copy: of a running one as its
//! first process sees it, of any other assembled for the moment.
//!
//! Theory of operation. What runs is reached through its first process's root directory, which is opened
//! by a process number that a pidfd vouches for. What does not run is mounted in a mount namespace of the
//! calling process's own, volumes and binds included, and ends with that process; `alive` is held
//! meanwhile, so that a start waits. Either way the caller gets a directory descriptor, and resolves
//! everything inside it (attack case 31).

use super::monitor::layers::Layers;
use super::monitor::{setup, sources};
use super::{files, init};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::plan::{ContainerPlan, MountSource};
use crate::storage::Store;
use crate::storage::containers::{AliveLock, ContainerDir, RunRecord};
use crate::sys::mount::{self, Tree, attr};
use crate::sys::process;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount as mount_by_path};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, fstat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Gives this process a mount namespace of its own, in which it may assemble roots. Called once: mounts of
/// an earlier one would end.
///
/// # Errors
/// Those of unshare(2).
pub fn own_mounts() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNS).doing("make", "mount namespace")?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount_by_path(None::<&str>, "/", None::<&str>, slave, None::<&str>).doing("set propagation of", "/")
}

/// A container's root directory, for as long as it is held.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    /// Keeps the container from being started while its root is mounted here.
    _alive: Option<AliveLock>,
    _layers: Option<Layers>,
}

impl Root {
    /// The directory (`O_PATH`). Everything in it is the container's to change: resolve inside it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Opens a container's root, running or not. With `mounts`, volumes and binds are seen as well. The caller is a leaf in the shared user
    /// namespace, with [`own_mounts`].
    ///
    /// # Errors
    /// When the layers are missing or a mount is refused.
    pub fn open(store: &Store, dir: &ContainerDir, plan: &ContainerPlan, mounts: bool) -> Result<Root> {
        if dir.status().is_live() {
            let gone = || Error::new(Kind::Conflict, "the container has just ended");
            let run = dir.run_record()?.ok_or_else(gone)?;
            let root = if mounts { of_process(&run)? } else { of_monitor(&run, &dir.merged())? };
            return Ok(Root { dir: root, _alive: None, _layers: None });
        }
        let alive = dir.hold_alive()?;
        let layers = Layers::open(store, dir, plan)?;
        let places = setup::assemble(&layers, dir, plan, false)?;
        let root = open(&places.merged, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .doing("open", &places.merged)?;
        if mounts {
            attach_all(store, dir, plan, (&layers, &places.merged), root.as_fd())?;
        }
        Ok(Root { dir: root, _alive: Some(alive), _layers: Some(layers) })
    }
}

/// Opens the root directory of a container's first process (`O_PATH`), mounts and volumes included. What
/// is below must be resolved inside it, for the container may change it at any moment.
///
/// # Errors
/// `Conflict` when the process is gone; `Runtime` when its root is closed to this process.
pub fn of_process(run: &RunRecord) -> Result<OwnedFd> {
    let gone = || Error::new(Kind::Conflict, "the container has just ended");
    let pidfd = run.open_init().ok_or_else(gone)?;
    let path = format!("/proc/{}/root", run.init.pid);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(path.as_str(), flags, Mode::empty());
    // The number meant this process all the while only if it is still there (attack case 37).
    if process::pidfd_send_signal(pidfd.as_fd(), 0).is_err() {
        return Err(gone());
    }
    root.context(Kind::Runtime, || "open the container's root directory")
}

/// Opens a running container's root file system as its monitor mounted it, with nothing mounted over it.
fn of_monitor(run: &RunRecord, merged: &Path) -> Result<OwnedFd> {
    let gone = || Error::new(Kind::Conflict, "the container has just ended");
    let pidfd = run.open_monitor().ok_or_else(gone)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(format!("/proc/{}/root", run.monitor.pid).as_str(), flags, Mode::empty());
    if process::pidfd_send_signal(pidfd.as_fd(), 0).is_err() {
        return Err(gone());
    }
    let root = root.context(Kind::Runtime, || "open the monitor's root directory")?;
    // Inside it, so that an absolute symlink on the way to the store stays in the monitor's mounts.
    files::open_in(root.as_fd(), merged, flags)
        .context(Kind::Runtime, || "open the container's root directory")
}

/// Mounts the volumes, binds and images of a container as a run of it would: parts of volumes as parts,
/// overlays as overlays, so that nothing is seen or written beside them. Memory begins empty at each
/// start, so there is nothing in it to be seen.
fn attach_all(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerPlan,
    (layers, merged): (&Layers, &Path),
    root: BorrowedFd<'_>,
) -> Result<()> {
    let look = |path: &Path| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", path);
    let prepared = sources::prepare(store, dir, plan, (layers, merged))?;
    for (at, planned) in plan.mounts.iter().enumerate() {
        let (found, recursive) = match (&planned.source, prepared.get(&at)) {
            (_, Some(place)) => (look(place)?, false),
            (MountSource::Bind { path, recursive }, None) => (look(path)?, *recursive),
            _ => continue,
        };
        let found = match &planned.subpath {
            Some(part) => init::part_of(found.as_fd(), part)?,
            None => found,
        };
        attach(found, recursive, planned.read_only, root, &planned.destination)?;
    }
    Ok(())
}

fn attach(
    found: OwnedFd,
    recursive: bool,
    read_only: bool,
    root: BorrowedFd<'_>,
    inside: &Path,
) -> Result<(), Failure> {
    let tree = if recursive { Tree::CloneRecursive } else { Tree::Clone };
    let tree = match mount::open_tree(found.as_fd(), Path::new(""), tree) {
        // Mounts below it may not be uncovered in a user namespace: take them along.
        Err(nix::errno::Errno::EINVAL) => {
            mount::open_tree(found.as_fd(), Path::new(""), Tree::CloneRecursive)
        }
        other => other,
    }
    .doing("open", inside)?;
    let attributes = if read_only { attr::RDONLY } else { 0 };
    mount::set_attributes(tree.as_fd(), attributes, 0, libc::MS_PRIVATE, true)
        .doing("set flags of the mount on", inside)?;
    let directory = fstat(&tree).doing("examine", inside)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let kind = if directory { files::Target::Directory } else { files::Target::File };
    files::mount_at(root, inside, kind, tree.as_fd())
}
