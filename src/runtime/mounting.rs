//! Mounting the root of a container for its user to look at and change (`mount`).
//!
//! Theory of operation. The root is assembled in a mount namespace of this process's own, or is that of the running
//! container as its monitor has it mounted; only a copy of the finished mount comes to the caller's namespace. So what is
//! needed on the way, and half of a root if this process is killed, is seen by nobody. The container is held until the
//! mount can be found by the next one who needs the root ([`super::shared_root`]). File systems that are served by a
//! process of ours live as long as the mount.

use super::door;
use super::root::{Root, own_mounts};
use crate::container::Status;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::fork::Doing;
use crate::spec::ContainerSpec;
use crate::storage::containers::ContainerDir;
use crate::storage::mounted::{Mounts, Sort};
use crate::storage::{Store, fuse};
use crate::sys::mount::{self, Tree};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a container may keep starting and ending while its root is being mounted.
const COURSE: Duration = Duration::from_secs(5);

/// Mounts the root of a container, without its volumes, in this mount namespace, and gives where. The caller is a leaf
/// with the capabilities of the shared user namespace.
///
/// # Errors
/// When the layers are missing or a mount is refused.
pub fn mount(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<PathBuf> {
    let mounts = Mounts::of(store.data());
    let (point, _held_point) = mounts.make(Sort::Container, dir.id().as_str())?;
    fuse::outlive();
    let begun = Instant::now();
    let (tree, held) = loop {
        if let Some(tree) = of_active(dir)? {
            break (tree, None);
        }
        match assembled(store, dir, plan) {
            // It has just been started.
            Err(e) if e.kind() == Kind::Conflict && begun.elapsed() < COURSE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => break other.map(|(tree, root)| (tree, Some(root)))?,
        }
    };
    failpoint::reach("mount.assembled");
    dir.note_mounted()?;
    mounts.attach(&tree, &point)?;
    drop(held);
    Ok(point)
}

/// The root of a container whose monitor is at work, as that has it mounted. `None` if there is none, or no more.
fn of_active(dir: &ContainerDir) -> Result<Option<OwnedFd>> {
    dir.await_start();
    if !matches!(dir.status(), Status::Running | Status::Paused | Status::Restarting) {
        return Ok(None);
    }
    let Some(run) = dir.run_record()? else { return Ok(None) };
    let merged = dir.merged();
    let copied = door::among_monitors_mounts(dir, &run, |ground| {
        let root = directory(&merged)?;
        let gone = || Error::new(Kind::Conflict, "the container has just ended");
        ground.check(root.as_fd()).map_err(|_| gone())?;
        copy(&root, &merged)
    });
    match copied {
        // It is assembled then, or what has ended and is starting again is waited for.
        Err(e) if e.kind() == Kind::Conflict => Ok(None),
        other => other.map(Some),
    }
}

/// The root of a container that does not run, and what holds it.
fn assembled(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<(OwnedFd, Root)> {
    door::and_back(|| {
        own_mounts()?;
        let root = Root::assemble(store, dir, plan, false)?;
        let merged = dir.merged();
        Ok((copy(&directory(&merged)?, &merged)?, root))
    })
}

fn directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty()).doing("open", path)?)
}

fn copy(root: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    Ok(mount::open_tree(root.as_fd(), Path::new(""), Tree::CloneRecursive).doing("copy", path)?)
}
