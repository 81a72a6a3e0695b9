//! Our own file systems, each served by a process of its own for a container (fuse(4)).
//!
//! Theory of operation. There are two: layers with shifted ids ([`shift`]), and an overlay for where the kernel
//! refuses to mount its own ([`overlay`]). Both are mounted and served in the same way.
//!
//! - **The mount.** /dev/fuse is opened in the namespace that mounts, as the kernel requires. The kernel checks
//!   permissions (`default_permissions`, `allow_other`); a server makes no such decisions.
//! - **The server** is a leaf in none of the container's namespaces ([`leaf`]). It leaves the mount namespace
//!   before the mount is attached, or it would keep alive what it serves: it exits when the last mount is gone,
//!   whatever has become of the processes that made it. It holds only the device and the directories it shows,
//!   and only the capabilities that these need. If it is killed, no caller hangs: nobody else has the device
//!   open, so accesses fail with `ENOTCONN`.

mod attributes;
mod leaf;
mod numbers;
pub mod overlay;
mod recent;
pub mod shift;

pub use leaf::outlive;

use crate::fork::{self, Child, Doing, Failure, Link, Step};
use crate::sys::fd::open_within;
use crate::sys::mount::{self, FsContext, attr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The kernel's device.
const DEVICE: &str = "/dev/fuse";

/// The servers that this process has started.
static STARTED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Whether there can be one here.
///
/// # Errors
/// When the device cannot be opened.
pub fn check() -> Result<(), Failure> {
    device().map(drop)
}

/// The servers that this process has started and that live.
pub fn servers() -> Vec<Pid> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    started.retain(|server| {
        let mut fds = [PollFd::new(server.pidfd.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
    });
    started.iter().map(|server| server.pid).collect()
}

fn device() -> Result<OwnedFd, Failure> {
    open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", DEVICE)
}

/// Mounts a file system on `place`, a directory of ours, that `main` serves in a process of its own. The
/// caller has one thread, is in the shared user namespace and owns its mount namespace. Returns the server.
fn mount_served(
    read_only: bool,
    place: &Path,
    main: impl FnOnce(&Link, &OwnedFd) -> i32,
) -> Result<Pid, Failure> {
    const SERVER: &str = "the server of a container's files";
    let device = device()?;
    let detached = detached(&device, read_only).doing("mount fuse on", place)?;
    let server = fork::spawn(0, |link| main(&link, &device)).doing(Step::Start, SERVER)?;
    // While anybody else has it open, requests to a dead server would wait forever.
    drop(device);
    match server.link.recv::<Result<(), Failure>>().doing("hear from", SERVER)? {
        Some((Ok(()), _)) => {}
        Some((Err(failure), _)) => return Err(failure),
        None => return Err(Failure::other("start", SERVER, "it died")),
    }
    let target = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let target = open(place, target, Mode::empty()).doing("open", place)?;
    mount::move_mount(detached.as_fd(), target.as_fd()).doing("mount fuse on", place)?;
    let pid = server.pid;
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(server);
    Ok(pid)
}

/// The file system, mounted nowhere.
fn detached(device: &OwnedFd, read_only: bool) -> nix::Result<OwnedFd> {
    let number = CString::new(device.as_raw_fd().to_string()).unwrap_or_default();
    let context = FsContext::open(c"fuse")?;
    context.string(c"source", c"coracle")?;
    context.string(c"fd", &number)?;
    context.string(c"rootmode", c"40000")?;
    context.string(c"user_id", c"0")?;
    context.string(c"group_id", c"0")?;
    context.flag(c"default_permissions")?;
    context.flag(c"allow_other")?;
    if !read_only {
        return context.mount(0);
    }
    context.flag(c"ro")?;
    context.mount(attr::RDONLY | attr::NODEV)
}

/// A name as it may stand in a directory.
///
/// # Errors
/// `ENOENT` for any other: nothing has it.
fn name_of(name: &[u8]) -> nix::Result<CString> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Errno::ENOENT);
    }
    CString::new(name).map_err(|_| Errno::ENOENT)
}

/// Opens what a relative path names, where nothing on the way is a symlink, leads out of the directory or to
/// another mount.
fn beneath(directory: &OwnedFd, path: &CStr, flags: OFlag) -> nix::Result<OwnedFd> {
    // What is only held takes no flag of use (openat2(2), EINVAL).
    let use_only = if flags.contains(OFlag::O_PATH) { OFlag::empty() } else { OFlag::O_NOCTTY };
    let bounds =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    open_within(directory, path, flags | use_only | OFlag::O_NOFOLLOW, bounds)
}
