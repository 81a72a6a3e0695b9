//! The container's mount tree, from a copied mount namespace to a pivoted root.
//!
//! Theory of operation. Each step needs the one before:
//! 1. A copy of the assembled root, made in this mount namespace, is mounted over itself: only a mount of this
//!    namespace that is not locked can become the root (pivot_root(2), mount_namespaces(7)).
//! 2. Kernel file systems. Mounting proc and sysfs is refused once the host's are out of sight, so this comes
//!    before the pivot. `/dev` is a new tmpfs that is filled through its own descriptor; nothing in the image
//!    is used (attack cases 16 to 20).
//! 3. The plan's mounts, then the generated files, each a detached mount moved onto a target that was opened
//!    inside the root (cases 21 to 23). What the user mounts at `/etc`, `/run` or `/sys` is below our own files and
//!    cgroups, as with podman; one at `/dev` replaces ours but for the shared memory.
//! 4. Masks and read-only paths, last, so that no user mount hides or undoes them.
//! 5. Pivot; the host's tree is unmounted.

use super::host::Host;
use super::mounts::c_string;
use super::order::Order;
use super::{mounts, secrets};
use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, Generated, Scratch};
use crate::runtime::masks;
use crate::runtime::namespaces::{NamespaceOwner, SHM};
use crate::runtime::passwd;
use crate::sys::fd::open_within;
use crate::sys::mount::{self, Tree, attr};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag, open, openat};
use nix::libc;
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};
use nix::unistd::{fchdir, pivot_root, symlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Devices every container gets, and the permission bits they are checked against.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];
const LOCKED_DOWN: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;

/// What later steps need from the finished tree.
#[derive(Debug)]
pub(super) struct Built {
    /// The root directory.
    pub(super) root: OwnedFd,
    /// `/dev/console`, to bind a terminal on; only when one was asked for.
    pub(super) console: Option<OwnedFd>,
    /// Where generated files are kept.
    pub(super) scratch: Scratch,
    /// Sources of mounts that the payload's user is to own, and where they are mounted.
    pub(super) handed_over: Vec<(OwnedFd, PathBuf)>,
    /// The files of the order's secrets.
    pub(super) secrets: Vec<OwnedFd>,
    /// Generated files that may change, and their paths.
    pub(super) changing: Vec<(String, OwnedFd)>,
}

/// Builds the tree; the caller then opens what it needs from the host and calls [`pivot`].
///
/// `borrowed` are detached mounts, for the places that the order names.
pub(super) fn build(order: &Order, host: Host, borrowed: &[OwnedFd]) -> Result<Built, Failure> {
    let null = host_null()?;
    let (root, mut scratch) = over_itself(order, &host)?;
    let proc = kernel_proc(order, root.as_fd())?;
    // Before /proc/sys is made read-only.
    masks::write_sysctls(proc.as_fd(), &order.plan.limits.sysctls)?;
    kernel_sys(order, root.as_fd())?;
    let OwnDev { mut console, shm } = devices(order, root.as_fd(), &null, borrowed)?;
    super::devices::bind(root.as_fd(), &order.plan.devices)?;
    let mut handed_over = Vec::new();
    for (at, planned) in order.plan.mounts.iter().enumerate() {
        let source = mounts::make(root.as_fd(), &host.sources, (at, planned))?;
        if planned.chown {
            handed_over.push((source, planned.destination.clone()));
        }
        match planned.destination.to_str() {
            Some("/sys" | "/sys/fs") => own_cgroups(order, root.as_fd())?,
            Some("/dev") => {
                console = foreign_console(root.as_fd()).filter(|_| order.plan.io.tty);
                shm.as_ref().map_or(Ok(()), |shm| over_foreign_shm(root.as_fd(), shm))?;
            }
            _ => {}
        }
    }
    let free = |path: &str| !order.plan.mounts.iter().any(|m| m.destination == Path::new(path));
    let mut changing = Vec::new();
    for file in order.files.iter().filter(|file| free(&file.path)) {
        let path = Path::new(&file.path);
        let generated = Generated { path, content: file.content.as_bytes(), mode: file.mode };
        let mounted = scratch.mount(root.as_fd(), &generated)?;
        if order.changing.contains(&file.path) {
            changing.extend(mounted.map(|fd| (file.path.clone(), fd)));
        }
    }
    for (path, tree) in order.borrowed.iter().zip(borrowed).filter(|(path, _)| *path != SHM && free(path)) {
        files::mount_file(root.as_fd(), Path::new(path), tree.as_fd())?;
    }
    let secrets = secrets::mount(&mut scratch, root.as_fd(), &order.secrets)?;
    let security = &order.plan.security;
    let replaced = !free("/sys") && !is_sysfs(root.as_fd());
    let of_kernel = |paths: &[PathBuf]| -> Vec<PathBuf> {
        // What the user has there instead has nothing to hide.
        paths.iter().filter(|path| !replaced || !path.starts_with("/sys")).cloned().collect()
    };
    let (masked, read_only) = (of_kernel(&security.masked_paths), of_kernel(&security.readonly_paths));
    masks::apply(&mut scratch, root.as_fd(), null.as_fd(), &masked, &read_only)?;
    if security.readonly_root {
        mount::set_attributes(root.as_fd(), attr::RDONLY, 0, 0, false).doing("make read-only", "/")?;
    }
    Ok(Built { root, console, scratch, handed_over, secrets, changing })
}

/// Makes `root` the root and unmounts the host's tree.
pub(super) fn pivot(root: BorrowedFd<'_>) -> Result<(), Failure> {
    fchdir(root).doing("enter", "the new root")?;
    // Both names the same: the old root lands on top of the new one and is unmounted from there.
    pivot_root(".", ".").doing("pivot to", "the new root")?;
    umount2(".", MntFlags::MNT_DETACH).doing("unmount", "the host's tree")?;
    nix::unistd::chdir("/").doing("enter", "/")
}

/// The host's null device, as a mount of this namespace: masks put it over files (attack case 17).
fn host_null() -> Result<OwnedFd, Failure> {
    let null = open("/dev/null", OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    let null = null.doing("open", "/dev/null")?;
    masks::check_null(null.as_fd())?;
    Ok(null)
}

/// Mounts a copy of the assembled root over itself, and a scratch file system beside it, over the
/// container's directory, where the container will not see it.
fn over_itself(order: &Order, host: &Host) -> Result<(OwnedFd, Scratch), Failure> {
    let merged = order.merged.as_path();
    let tree =
        mount::open_tree(host.root.as_fd(), Path::new(""), Tree::CloneRecursive).doing("open", merged)?;
    // Whatever the host mounts later stays outside.
    mount::set_attributes(tree.as_fd(), 0, 0, libc::MS_PRIVATE, true).doing("set propagation of", merged)?;
    mount::move_mount(tree.as_fd(), host.root.as_fd()).doing("mount root on", merged)?;
    let secrets = order.secrets.iter().map(|secret| secret.value.len());
    // Whole copies of the image's passwd and group may come to lie there.
    let accounts = if order.plan.security.readonly_root { [passwd::DATABASE_MAX; 2].as_slice() } else { &[] };
    Ok((tree, Scratch::new(host.beside.as_fd(), secrets.chain(accounts.iter().copied()))?))
}

/// A target that must be a real directory of the image's, or is made: never a symlink's end.
fn attach_plainly(source: BorrowedFd<'_>, root: BorrowedFd<'_>, inside: &str) -> Result<(), Failure> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let target = match openat(root, inside, flags, Mode::empty()) {
        Err(Errno::ENOENT) => {
            mkdirat(root, inside, Mode::from_bits_truncate(0o755))
                .doing("make directory", format!("/{inside}"))?;
            openat(root, inside, flags, Mode::empty())
        }
        other => other,
    };
    let target = match target {
        Err(Errno::ELOOP | Errno::ENOTDIR) => {
            let why = "the image has something there that is not a directory";
            return Err(Failure::other("mount on", format!("/{inside}"), why));
        }
        other => other.doing("open", format!("/{inside}"))?,
    };
    mount::move_mount(source, target.as_fd()).doing("mount on", format!("/{inside}"))
}

/// A recursive copy of a host tree, for namespaces that are shared with the host.
fn host_tree(path: &Path, attributes: u64) -> Result<OwnedFd, Failure> {
    let tree = mount::open_tree(AT_FDCWD, path, Tree::CloneRecursive).doing("open", path)?;
    mount::set_attributes(tree.as_fd(), attributes, 0, libc::MS_PRIVATE, true).doing("set flags of", path)?;
    Ok(tree)
}

fn kernel_proc(order: &Order, root: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let tree = match order.owners.pid {
        // Mounting proc needs a pid namespace of our own; bind the host's.
        NamespaceOwner::Host | NamespaceOwner::Foreign => host_tree(Path::new("/proc"), LOCKED_DOWN)?,
        _ => {
            let given = &order.plan.security.proc_options;
            let given: Vec<(CString, CString)> = given
                .iter()
                .map(|(key, value)| Ok((c_string(key)?, c_string(value)?)))
                .collect::<Result<_, Failure>>()?;
            let options: Vec<(&CStr, &CStr)> =
                given.iter().map(|(key, value)| (key.as_c_str(), value.as_c_str())).collect();
            mount::new_mount(c"proc", &options, LOCKED_DOWN).doing("mount proc on", "/proc")?
        }
    };
    attach_plainly(tree.as_fd(), root, "proc")?;
    Ok(tree)
}

fn kernel_sys(order: &Order, root: BorrowedFd<'_>) -> Result<(), Failure> {
    let read_only = if order.plan.security.privileged { 0 } else { attr::RDONLY };
    if matches!(order.owners.net, NamespaceOwner::Host | NamespaceOwner::Foreign) {
        // Mounting sysfs needs a network namespace of our own; bind the host's.
        let tree = host_tree(Path::new("/sys"), LOCKED_DOWN | read_only)?;
        attach_plainly(tree.as_fd(), root, "sys")?;
    } else {
        let tree =
            mount::new_mount(c"sysfs", &[], LOCKED_DOWN | read_only).doing("mount sysfs on", "/sys")?;
        attach_plainly(tree.as_fd(), root, "sys")?;
    }
    own_cgroups(order, root)
}

/// Mounts the container's cgroups where there is a place for them. Its cgroup namespace shows it its own group as the
/// root, whatever lies above; the host's is not mounted by this. Only one that is the container's alone may be changed
/// from inside (attack case 51).
fn own_cgroups(order: &Order, root: BorrowedFd<'_>) -> Result<(), Failure> {
    let free = order.managed || order.plan.security.privileged;
    let flags = LOCKED_DOWN | if free { 0 } else { attr::RDONLY };
    let Ok(cgroup) = mount::new_mount(c"cgroup2", &[], flags) else { return Ok(()) };
    let Ok(target) = plainly(root, "sys/fs/cgroup", OFlag::O_DIRECTORY) else { return Ok(()) };
    mount::move_mount(cgroup.as_fd(), target.as_fd()).doing("mount on", "/sys/fs/cgroup")
}

fn is_sysfs(root: BorrowedFd<'_>) -> bool {
    let kind = plainly(root, "sys", OFlag::O_DIRECTORY).and_then(|found| fstatfs(&found));
    kind.is_ok_and(|kind| kind.filesystem_type() == SYSFS_MAGIC)
}

/// The console of a `/dev` that the user has mounted.
fn foreign_console(root: BorrowedFd<'_>) -> Option<OwnedFd> {
    let found = plainly(root, "dev/console", OFlag::empty()).ok()?;
    fstat(&found).is_ok_and(|status| files::is(&status, SFlag::S_IFCHR)).then_some(found)
}

/// Mounts the container's shared memory once more, in a `/dev` that the user has mounted.
fn over_foreign_shm(root: BorrowedFd<'_>, shm: &OwnedFd) -> Result<(), Failure> {
    let Ok(target) = plainly(root, "dev/shm", OFlag::O_DIRECTORY) else { return Ok(()) };
    let tree = mount::open_tree(shm.as_fd(), Path::new(""), Tree::Clone).doing("copy", SHM)?;
    mount::move_mount(tree.as_fd(), target.as_fd()).doing("mount on", SHM)
}

/// Holds what is inside by this name, without a link on the way.
fn plainly(root: BorrowedFd<'_>, inside: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    open_within(root, inside, OFlag::O_PATH | flags, bounds)
}

/// What is used of our own `/dev` later.
struct OwnDev {
    /// The place for the console, if there is to be one.
    console: Option<OwnedFd>,
    /// Its shared memory, if it has some of its own.
    shm: Option<OwnedFd>,
}

/// A fresh `/dev`: bound host devices, links, terminals, shared memory, message queues.
fn devices(
    order: &Order,
    root: BorrowedFd<'_>,
    null: &OwnedFd,
    borrowed: &[OwnedFd],
) -> Result<OwnDev, Failure> {
    let options: [(&CStr, &CStr); 2] = [(c"mode", c"755"), (c"size", c"65536k")];
    let dev = mount::new_mount(c"tmpfs", &options, attr::NOSUID).doing("mount tmpfs on", "/dev")?;
    attach_plainly(dev.as_fd(), root, "dev")?;
    for (name, to) in DEVICE_LINKS {
        symlinkat(to, &dev, name).doing("make link", format!("/dev/{name}"))?;
    }
    for name in DEVICES {
        let node = place(&dev, name)?;
        let tree = if name == "null" {
            mount::open_tree(null.as_fd(), Path::new(""), Tree::Clone)
        } else {
            mount::open_tree(AT_FDCWD, &Path::new("/dev").join(name), Tree::Clone)
        };
        let tree = tree.doing("open device", format!("/dev/{name}"))?;
        mount::move_mount(tree.as_fd(), node.as_fd()).doing("mount on", format!("/dev/{name}"))?;
    }
    let pts = terminals()?;
    below(&dev, &pts, "pts")?;
    let of_other = order.borrowed.iter().zip(borrowed).find(|(path, _)| *path == SHM);
    let shm = match (order.owners.ipc, of_other) {
        _ if order.plan.namespaces.no_shm => None,
        (NamespaceOwner::Host, _) => Some(host_tree(Path::new(SHM), attr::NOSUID | attr::NODEV)?),
        (_, Some((_, tree))) => Some(tree.try_clone().doing("copy", SHM)?),
        _ => {
            let size = c_string(&order.plan.limits.shm_size.to_string())?;
            let options = [(c"mode", c"1777"), (c"size", size.as_c_str())];
            Some(mount::new_mount(c"tmpfs", &options, LOCKED_DOWN).doing("mount tmpfs on", SHM)?)
        }
    };
    if let Some(shm) = &shm {
        below(&dev, shm, "shm")?;
    }
    if matches!(order.owners.ipc, NamespaceOwner::Own | NamespaceOwner::Joined) {
        let queues = mount::new_mount(c"mqueue", &[], LOCKED_DOWN).doing("mount mqueue on", "/dev/mqueue")?;
        below(&dev, &queues, "mqueue")?;
    }
    let console = if order.plan.io.tty { Some(place(&dev, "console")?) } else { None };
    Ok(OwnDev { console, shm: shm.filter(|_| order.owners.ipc != NamespaceOwner::Host) })
}

/// An empty file in our own `/dev`, to mount on.
fn place(dev: &OwnedFd, name: &str) -> Result<OwnedFd, Failure> {
    let make = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dev, name, make, Mode::from_bits_truncate(0o666)).doing("make", format!("/dev/{name}"))?;
    let look = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dev, name, look, Mode::empty()).doing("open", format!("/dev/{name}"))
}

fn below(dev: &OwnedFd, tree: &OwnedFd, name: &str) -> Result<(), Failure> {
    mkdirat(dev, name, Mode::from_bits_truncate(0o755)).doing("make directory", format!("/dev/{name}"))?;
    let look = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let target = openat(dev, name, look, Mode::empty()).doing("open", format!("/dev/{name}"))?;
    mount::move_mount(tree.as_fd(), target.as_fd()).doing("mount on", format!("/dev/{name}"))
}

/// A devpts of our own; group 5 is `tty` everywhere, unless a single-id map has no group 5.
fn terminals() -> Result<OwnedFd, Failure> {
    let open: [(&CStr, &CStr); 2] = [(c"ptmxmode", c"0666"), (c"mode", c"0620")];
    let mut with_group = open.to_vec();
    with_group.push((c"gid", c"5"));
    match mount::new_mount(c"devpts", &with_group, attr::NOSUID | attr::NOEXEC) {
        Err(Errno::EINVAL) => mount::new_mount(c"devpts", &open, attr::NOSUID | attr::NOEXEC),
        other => other,
    }
    .doing("mount devpts on", "/dev/pts")
}
