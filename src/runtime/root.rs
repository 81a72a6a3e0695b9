//! The root file system of a container, for commands that read or copy its files: that of a running container
//! as its first process sees it, otherwise temporarily assembled.
//!
//! Theory of operation. A running container is entered with the checks of [`door`]. The root of a container
//! that waits to be restarted is mounted by its monitor, and is accessed there. The root of a container that is
//! not running is mounted in a mount namespace of the calling process, including volumes and binds, and
//! disappears with that process; `alive` is held meanwhile, so that a start waits. In each case the caller gets
//! a directory descriptor, and resolves all paths inside it (attack case 31).

use super::door::{self, Door};
use super::monitor::layers::Layers;
use super::monitor::{setup, sources};
use super::{files, init};
use crate::container::Status;
use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Failure, Step};
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::containers::{AliveLock, ContainerDir, RunRecord};
use crate::sys::fd::link_of;
use crate::sys::mount::{self, Tree, attr};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount as mount_by_path, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const JUST_ENDED: &str = "the container has just ended";
/// How long a container may keep restarting while its root is being opened.
const COURSE: Duration = Duration::from_secs(5);

/// Moves this process to a mount namespace of its own, in which it can assemble roots. Called once: mounts of
/// an earlier one would end.
///
/// # Errors
/// Those of unshare(2).
pub fn own_mounts() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "mount namespace")?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount_by_path(None::<&str>, "/", None::<&str>, slave, None::<&str>).doing("set propagation of", "/")
}

/// A container's root directory, for as long as it is held.
#[derive(Debug)]
pub struct Root {
    _mounted: Option<Mounted>,
    dir: OwnedFd,
    /// Keeps the container from being started while its root is mounted here.
    _alive: Option<AliveLock>,
    /// Keeps the mounts of a running one, which may end meanwhile.
    _mounts: Option<OwnedFd>,
    _layers: Option<Layers>,
}

impl Root {
    /// The directory (`O_PATH`). Everything in it is the container's to change: resolve inside it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Opens a container's root, running or not. With `mounts`, volumes and binds are seen as well. The caller is a
    /// leaf in the shared user
    /// namespace, with [`own_mounts`].
    ///
    /// # Errors
    /// When the layers are missing or a mount is refused.
    pub fn open(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, mounts: bool) -> Result<Root> {
        let begun = Instant::now();
        loop {
            dir.await_start();
            if !dir.status().is_active() {
                break;
            }
            match Root::of_active(store, dir, plan, mounts) {
                // It has just ended, and may be starting again.
                Err(e) if e.kind() == Kind::Conflict && begun.elapsed() < COURSE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
        Root::assemble(store, dir, plan, mounts)
    }

    /// Assembles the root of a container that is not running. The caller is as for [`Root::open`].
    ///
    /// # Errors
    /// As there; `Conflict` when it has been started.
    pub fn assemble(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, mounts: bool) -> Result<Root> {
        let alive = dir.hold_alive()?;
        let layers = Layers::open(store, dir, plan)?;
        let places = setup::assemble(&layers, dir, plan, None, false)?;
        let root = open(&places.merged, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .doing("open", &places.merged)?;
        let mut held = None;
        if mounts {
            let prepared = sources::prepare(store, dir, plan, (&layers, &places.merged))?;
            let mut mounted = Mounted::on(&root)?;
            attach_all(plan, &prepared, root.as_fd(), &mut |inside| mounted.note(inside))?;
            held = Some(mounted);
        }
        Ok(Root { _mounted: held, dir: root, _alive: Some(alive), _mounts: None, _layers: Some(layers) })
    }

    /// The root of a container whose monitor is at work.
    fn of_active(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, mounts: bool) -> Result<Root> {
        let gone = || Error::new(Kind::Conflict, JUST_ENDED);
        let (root, held) = match (mounts, dir.status()) {
            (true, Status::Restarting) => {
                let run = dir.run_record()?.ok_or_else(gone)?;
                (of_waiting(store, dir, plan, &run)?, None)
            }
            (true, _) => {
                let door = Door::open(dir)?;
                // The kernel removes the mounts with the last process in the namespace.
                let held = door.namespace("mnt")?;
                (door.root()?, Some(held))
            }
            (false, _) => {
                let run = dir.run_record()?.ok_or_else(gone)?;
                (door::of_monitor(dir, &run, &dir.merged())?, None)
            }
        };
        Ok(Root { _mounted: None, dir: root, _alive: None, _mounts: held, _layers: None })
    }
}

/// What is mounted on a root that was assembled to be looked at. Mount points that had to be made for it go with it:
/// nothing of the container's was changed.
#[derive(Debug)]
struct Mounted {
    root: OwnedFd,
    /// Where, in the order of the mounts, and what was missing on the way there, directories first.
    places: Vec<(PathBuf, Vec<PathBuf>)>,
}

impl Mounted {
    fn on(root: &OwnedFd) -> Result<Mounted, Failure> {
        let root = root.try_clone().doing("copy", "root")?;
        Ok(Mounted { root, places: Vec::new() })
    }

    fn note(&mut self, place: &Path) {
        let missing = |path: &Path| files::open_in(self.root.as_fd(), path, OFlag::O_PATH).is_err();
        let mut made: Vec<PathBuf> =
            place.ancestors().take_while(|path| missing(path)).map(Path::to_owned).collect();
        made.reverse();
        self.places.push((place.to_owned(), made));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let root = self.root.as_fd();
        for (place, made) in self.places.iter().rev() {
            if let Ok(mounted) = files::open_in(root, place, OFlag::O_PATH) {
                let _ = umount2(link_of(&mounted).as_str(), MntFlags::MNT_DETACH);
            }
            made.iter().rev().for_each(|made| remove_empty(root, made));
        }
    }
}

/// Removes an empty file or directory. Somebody else may have put something there meanwhile, in a volume for one:
/// that stays.
fn remove_empty(root: BorrowedFd<'_>, path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    let Ok(parent) = files::open_in(root, parent, OFlag::O_PATH | OFlag::O_DIRECTORY) else { return };
    let empty = |found: FileStat| files::is(&found, SFlag::S_IFREG) && found.st_size == 0;
    let how = match fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) if empty(found) => UnlinkatFlags::NoRemoveDir,
        Ok(found) if files::is(&found, SFlag::S_IFDIR) => UnlinkatFlags::RemoveDir,
        _ => return,
    };
    let _ = unlinkat(&parent, name, how);
}

/// Opens the root of a container that waits to be started again, volumes and binds included: its monitor has all
/// of it mounted, and starts it from there whenever it likes. This process goes into a copy of the monitor's
/// mount namespace and comes back with one tree of mounts; nothing of the container is in that namespace.
fn of_waiting(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, run: &RunRecord) -> Result<OwnedFd> {
    door::among_monitors_mounts(dir, run, |ground| {
        own_mounts()?;
        let merged = dir.merged();
        let look = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&merged, look, Mode::empty()).doing("open", &merged)?;
        ground.check(root.as_fd()).map_err(|_| Error::new(Kind::Conflict, JUST_ENDED))?;
        attach_all(plan, &sources::standing(store, dir, plan)?, root.as_fd(), &mut |_| {})?;
        Ok(mount::open_tree(root.as_fd(), Path::new(""), Tree::CloneRecursive).doing("copy", &merged)?)
    })
}

/// Mounts the volumes, binds and images of a container as a run of it would: parts of volumes as parts,
/// overlays as overlays, so that nothing outside them is seen or written. Memory begins empty at each
/// start, so there is nothing in it to be seen. `note` hears where before each of them.
fn attach_all(
    plan: &ContainerSpec,
    prepared: &BTreeMap<usize, PathBuf>,
    root: BorrowedFd<'_>,
    note: &mut dyn FnMut(&Path),
) -> Result<()> {
    let look = |path: &Path| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", path);
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
        note(&planned.destination);
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
        Err(Errno::EINVAL) => mount::open_tree(found.as_fd(), Path::new(""), Tree::CloneRecursive),
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
