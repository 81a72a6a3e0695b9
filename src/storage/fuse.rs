//! Layers under other ids: a small read-only file system that overlay takes for its lower directories.
//!
//! Theory of operation. The files of a layer belong to ids of the shared user namespace. A container with an
//! id map of its own has others, and neither the file systems of laptops nor overlay may be mounted with an
//! id map by a user (mount_setattr(2), `MOUNT_ATTR_IDMAP`). Nothing is copied or changed: a server process
//! shows each layer as a directory 0, 1, 2 ... of a FUSE file system, with the owners that the container's
//! map makes of them, and the kernel's overlay is mounted on top. What the container writes goes to its upper
//! directory without passing here, and what it reads stays in the page cache.
//!
//! - **The mount.** /dev/fuse is opened in the namespace that mounts, as the kernel demands (fuse(4)). Access
//!   is the kernel's affair (`default_permissions`, `allow_other`): the server decides nothing.
//! - **The server** ([`server`]) is a leaf beside the container, in no namespace of it. It has left the mount
//!   namespace before the mount is attached, or it would keep alive what it serves: it ends when the last
//!   mount ends, whatever has become of those who made it. It holds the layers' directories and the device,
//!   and the one capability to read what belongs to others.
//! - **Inside the layers** ([`tree`]) names are resolved one by one from a directory descriptor, never through
//!   a symlink and never out of the layer. Layers do not change, so the kernel may keep every answer, that
//!   something does not exist among them.
//! - **What a hostile container can ask for** is bounded: no request holds more than one answer, open files
//!   cost nothing here (the server keeps no handles), descriptors are a fixed number, and what is known of a
//!   file goes when the kernel forgets it.
//!
//! Whiteouts (character devices 0/0) and `user.overlay.*` pass as they are. File capabilities come as those of
//! the shared namespace's root, whom the kernel honours in namespaces below. Access lists of layers
//! (`system.posix_acl_*`) hold ids too and are not shown: the permission bits alone count there.

mod recent;
mod server;
mod tree;

use crate::container::ids::IdMaps;
use crate::fork::{self, Doing, Failure};
use crate::sys::mount::{self, FsContext, attr};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The kernel's device.
const DEVICE: &str = "/dev/fuse";

/// A mounted file system with its server.
#[derive(Debug)]
pub struct Shifted {
    server: fork::Child,
    place: PathBuf,
    count: usize,
}

/// Whether there can be one here.
///
/// # Errors
/// When the device cannot be opened.
pub fn check() -> Result<(), Failure> {
    device().map(drop)
}

fn device() -> Result<OwnedFd, Failure> {
    open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", DEVICE)
}

impl Shifted {
    /// Shows directories under other ids at `place`, a directory of ours. The caller has one thread, is in
    /// the shared user namespace and owns its mount namespace.
    ///
    /// # Errors
    /// The failed step.
    pub fn mount(directories: &[PathBuf], ids: &IdMaps, place: &Path) -> Result<Shifted, Failure> {
        let look = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let layers = directories.iter().map(|path| open(path, look, Mode::empty()).doing("open", path));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let device = device()?;
        let detached = detached(&device).doing("mount fuse on", place)?;
        let server = fork::spawn(0, |link| server::main(&link, &device, &layers, ids))
            .doing("start", "the server of shifted files")?;
        // While anybody else has it open, requests to a dead server would wait for ever.
        drop(device);
        match server.link.recv::<Result<(), Failure>>().doing("hear from", "the server of shifted files")? {
            Some((Ok(()), _)) => {}
            Some((Err(failure), _)) => return Err(failure),
            None => return Err(Failure::other("start", "the server of shifted files", "it died")),
        }
        let target = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let target = open(place, target, Mode::empty()).doing("open", place)?;
        mount::move_mount(detached.as_fd(), target.as_fd()).doing("mount fuse on", place)?;
        Ok(Shifted { server, place: place.to_owned(), count: directories.len() })
    }

    /// Where the directories are seen, in the order they were given.
    pub fn directories(&self) -> Vec<PathBuf> {
        (0..self.count).map(|at| self.place.join(at.to_string())).collect()
    }

    /// The server's process.
    pub fn server(&self) -> Pid {
        self.server.pid
    }
}

/// The file system, mounted nowhere.
fn detached(device: &OwnedFd) -> nix::Result<OwnedFd> {
    let number = CString::new(device.as_raw_fd().to_string()).unwrap_or_default();
    let context = FsContext::open(c"fuse")?;
    context.string(c"source", c"coracle")?;
    context.string(c"fd", &number)?;
    context.string(c"rootmode", c"40000")?;
    context.string(c"user_id", c"0")?;
    context.string(c"group_id", c"0")?;
    context.flag(c"default_permissions")?;
    context.flag(c"allow_other")?;
    context.flag(c"ro")?;
    context.mount(attr::RDONLY | attr::NODEV)
}
