//! The root file system of a container for commands that look into it or copy: of a running one as its
//! first process sees it, of any other assembled for the moment.
//!
//! Theory of operation. What runs is reached through its door ([`door`]). What does not run is mounted in a mount namespace of the
//! calling process's own, volumes and binds included, and ends with that process; `alive` is held
//! meanwhile, so that a start waits. Either way the caller gets a directory descriptor, and resolves
//! everything inside it (attack case 31).

use super::door::{self, Door};
use super::monitor::layers::Layers;
use super::monitor::{setup, sources};
use super::{files, init};
use crate::error::Result;
use crate::fork::{Doing, Failure};
use crate::plan::{ContainerPlan, MountSource};
use crate::storage::Store;
use crate::storage::containers::{AliveLock, ContainerDir};
use crate::sys::mount::{self, Tree, attr};
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
        dir.await_start();
        if dir.status().is_live() {
            let door = Door::open(dir)?;
            let root = if mounts { door.root()? } else { door::of_monitor(dir, door.run(), &dir.merged())? };
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
