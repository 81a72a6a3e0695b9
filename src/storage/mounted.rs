//! Where `mount` and `image mount` show containers and images, and which are shown.
//!
//! Theory of operation. A mount belongs to the mount namespace of the command that makes it, which is that of the
//! shell of `coracle unshare`. There a tmpfs is mounted over `mounts` in the data root, with a directory for each
//! container and image that is shown, and on this as many mounts, one on top of the other, as were asked for and
//! not taken back. So the kernel's table of mounts is the only record of what is mounted and how often: it cannot be
//! wrong, whoever is killed, and all of it ends with the last process in the namespace (mount_namespaces(7)). What stays
//! on the disk is one empty directory.
//!
//! The namespaces do not know of each other. A container whose root is to be mounted a second time looks for the
//! first mount ([`holders`]), because two overlays on one upper directory must not be (overlayfs.rst, "Sharing and
//! copying layers").

mod gone;
pub mod holders;

use super::mount_table;
use super::place::{self, Place};
use super::record::failed;
use crate::error::Result;
use crate::sys::mount::{self, Tree, attr};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{FileStat, fstat, fstatat};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The directory below the data root.
pub(super) const MOUNTS: &str = "mounts";

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The root of a container.
    Container,
    /// An image.
    Image,
}

impl Sort {
    fn directory(self) -> &'static str {
        match self {
            Sort::Container => "containers",
            Sort::Image => "images",
        }
    }
}

/// The mounts of a store in this process's mount namespace.
#[derive(Debug)]
pub struct Mounts {
    root: PathBuf,
}

/// As long as it lives, no other command in this namespace makes or removes mount points.
#[derive(Debug)]
pub struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever was forked meanwhile has it open too.
        let _ = self.0.unlock();
    }
}

impl Mounts {
    /// Those of the store in this data root.
    pub fn of(data: &Path) -> Mounts {
        Mounts { root: data.join(MOUNTS) }
    }

    /// Where something is shown, by the digits of its id.
    pub fn point(&self, sort: Sort, id: &str) -> PathBuf {
        self.root.join(sort.directory()).join(id)
    }

    /// The mount point, made if it is missing, and what keeps other commands from taking it away until something is
    /// mounted there.
    ///
    /// # Errors
    /// When nothing can be mounted here.
    pub fn make(&self, sort: Sort, id: &str) -> Result<(PathBuf, Held)> {
        let held = loop {
            self.begin()?;
            if let Some(held) = self.hold()? {
                break held;
            }
        };
        Place::make(&self.root.join(sort.directory()))?;
        let point = self.point(sort, id);
        Place::make(&point)?;
        Ok((point, held))
    }

    /// Keeps other commands in this namespace from making and removing mount points; `None` when there is no memory for
    /// them, or no more.
    fn hold(&self) -> Result<Option<Held>> {
        if !self.any() {
            return Ok(None);
        }
        let refused = |e: std::io::Error| failed("lock", &self.root, e);
        let root = Place::open(&self.root)?;
        let dir = File::from(root.as_fd().try_clone_to_owned().map_err(refused)?);
        dir.lock().map_err(refused)?;
        let held = Held(dir);
        // What was opened may have been unmounted since, or be the directory below.
        let same =
            |own: &FileStat, there: &FileStat| (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino);
        let there = Place::open(&self.root)?;
        let stat = |dir: BorrowedFd<'_>| fstat(dir).map_err(|e| refused(e.into()));
        let is_there = same(&stat(held.0.as_fd())?, &stat(there.as_fd())?);
        Ok(if is_there && self.any() { Some(held) } else { None })
    }

    /// A directory of this namespace's memory that is not shown.
    ///
    /// # Errors
    /// As [`Mounts::make`].
    pub fn aside(&self, name: &str) -> Result<PathBuf> {
        self.begin()?;
        let aside = self.root.join(name);
        Place::make(&aside)?;
        Ok(aside)
    }

    /// Shows this tree of mounts there.
    ///
    /// # Errors
    /// As [`Mounts::make`].
    pub fn attach(&self, tree: &OwnedFd, point: &Path) -> Result<()> {
        let target = place::held(point).map_err(|e| failed("open", point, e.into()))?;
        mount::move_mount(tree.as_fd(), target.as_fd()).map_err(|e| failed("mount on", point, e.into()))
    }

    /// Mounts what is shown there once more, on top of itself.
    ///
    /// # Errors
    /// As [`Mounts::make`].
    pub fn repeat(&self, point: &Path) -> Result<()> {
        let shown = place::held(point).map_err(|e| failed("open", point, e.into()))?;
        let tree = mount::open_tree(shown.as_fd(), Path::new(""), Tree::Clone);
        self.attach(&tree.map_err(|e| failed("copy the mount on", point, e.into()))?, point)
    }

    /// How often something is mounted.
    ///
    /// # Errors
    /// When the table of mounts cannot be read.
    pub fn depth(&self, sort: Sort, id: &str) -> Result<usize> {
        let point = self.point(sort, id);
        Ok(self.points()?.iter().filter(|mounted| **mounted == point).count())
    }

    /// The ids of what is shown, sorted.
    ///
    /// # Errors
    /// When the table of mounts cannot be read.
    pub fn ids(&self, sort: Sort) -> Result<Vec<String>> {
        let directory = self.root.join(sort.directory());
        let points = self.points()?;
        let here = points.iter().filter(|point| point.parent() == Some(&directory));
        let mut ids: Vec<String> =
            here.filter_map(|point| point.file_name()?.to_str().map(str::to_owned)).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Takes one mount back, or all of them; returns whether there was one. Who is using it keeps what he has open.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_back(&self, sort: Sort, id: &str, all: bool) -> Result<bool> {
        let point = self.point(sort, id);
        let Some(held) = self.hold()? else { return Ok(false) };
        let depth = self.depth(sort, id)?;
        for _ in 0..if all { depth } else { depth.min(1) } {
            detach(&point)?;
        }
        if depth <= 1 || all {
            let _ = fs::remove_dir(&point);
            // Held open, the memory would be in use.
            drop(held);
            self.end_if_unused();
        }
        Ok(depth > 0)
    }

    /// Takes back what is shown of containers and images that are gone: what is left there is of no use.
    ///
    /// # Errors
    /// As [`Mounts::take_back`].
    fn take_back_gone(&self, is_there: impl Fn(Sort, &str) -> bool) -> Result<()> {
        if !self.any() {
            return Ok(());
        }
        for sort in [Sort::Container, Sort::Image] {
            for id in self.ids(sort)?.iter().filter(|id| !is_there(sort, id)) {
                self.take_back(sort, id, true)?;
            }
        }
        Ok(())
    }

    /// Takes all mounts away from this process's namespace at once, with the directories that they are on.
    pub fn let_go(&self) {
        while self.any() && detach(&self.root).is_ok() {}
    }

    /// Whether anything may be shown in this namespace: two cheap looks.
    pub fn any(&self) -> bool {
        let device = |path: &Path| fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW).map(|s| s.st_dev);
        let beside = self.root.parent().map(device);
        matches!((device(&self.root), beside), (Ok(own), Some(Ok(beside))) if own != beside)
    }

    /// Mounts the memory that the mount points are in.
    fn begin(&self) -> Result<()> {
        let root = Place::make(&self.root)?;
        if self.any() {
            return Ok(());
        }
        let refused = |e: std::io::Error| failed("mount tmpfs on", &self.root, e);
        // Another command in the same namespace may be about to do the same.
        let lock = File::from(root.as_fd().try_clone_to_owned().map_err(refused)?);
        lock.lock().map_err(refused)?;
        if self.any() {
            return Ok(());
        }
        let memory = mount::new_mount(c"tmpfs", &[(c"mode", c"0700")], attr::NOSUID | attr::NODEV);
        self.attach(&memory.map_err(|e| refused(e.into()))?, &self.root)
    }

    /// Unmounts that memory when nothing is mounted in it and nobody is about to: else the kernel refuses.
    fn end_if_unused(&self) {
        if self.any() {
            let _ = umount2(&self.root, MntFlags::UMOUNT_NOFOLLOW);
        }
    }

    fn points(&self) -> Result<Vec<PathBuf>> {
        if !self.any() {
            return Ok(Vec::new());
        }
        mount_table::points().map_err(|e| failed("read", Path::new("/proc/self/mountinfo"), e))
    }
}

fn detach(point: &Path) -> Result<()> {
    umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        .map_err(|e| failed("unmount", point, e.into()))
}
