//! The plan's mounts: detached trees that are moved onto targets inside the root.
//!
//! Theory of operation. The sources are already open: those that the caller named on the host, and those that
//! the monitor prepared (volumes, overlays, images). For a subpath of a volume or image, a running container
//! may be able to change what is inside, so it is resolved once, by the kernel, never upwards or through a link
//! that leads out, and from then on only the descriptor is used; exchanging the path afterwards has no effect
//! (attack cases 34 and 44). Targets are found or created by [`files::mount_at`].

use super::host::Sources;
use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, Target};
use crate::spec::{MountSource, MountSpec};
use crate::storage::volumes;
use crate::sys::fd::open_within;
use crate::sys::mount::{self, Tree, attr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::libc;
use nix::sys::stat::fstat;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Makes one of the plan's mounts; returns what is mounted as it was found, so without the mount's flags.
///
/// # Errors
/// The failed step.
pub(super) fn make(
    root: BorrowedFd<'_>,
    sources: &Sources,
    (at, planned): (usize, &MountSpec),
) -> Result<OwnedFd, Failure> {
    let mut attributes = 0;
    for (wanted, bit) in [
        (planned.read_only, attr::RDONLY),
        (planned.no_exec, attr::NOEXEC),
        (!planned.suid, attr::NOSUID),
        // Terminals are devices.
        (!planned.dev && !matches!(planned.source, MountSource::Devpts { .. }), attr::NODEV),
    ] {
        attributes |= if wanted { bit } else { 0 };
    }
    let shown = planned.destination.as_path();
    let prepared = || {
        let found = sources.get(&at).and_then(|found| found.try_clone().ok());
        found.ok_or_else(|| Failure::other("mount on", shown.to_string_lossy(), "it was not prepared"))
    };
    let part = planned.subpath.as_deref();
    let (found, tree, kind) = match &planned.source {
        MountSource::Bind { path, recursive } => {
            let recursive = *recursive && planned.overlay.is_none();
            match part {
                Some(part) => bound(part_of(prepared()?.as_fd(), part)?, part, recursive)?,
                None => bound(prepared()?, path, recursive)?,
            }
        }
        MountSource::Volume { .. } | MountSource::Image { .. } => match part {
            Some(part) => bound(part_of(prepared()?.as_fd(), part)?, part, false)?,
            None => bound(prepared()?, shown, false)?,
        },
        MountSource::Devpts { uid, gid, mode, max } => {
            let numbers = [(c"uid", *uid), (c"gid", *gid), (c"max", *max)];
            let mut options =
                vec![(c"ptmxmode", c"0666".to_owned()), (c"mode", octal(mode.unwrap_or(0o600))?)];
            options.extend(decimal(numbers.map(|(key, n)| (key, n.map(u64::from))))?);
            let tree = memory(c"devpts", &options, &planned.destination)?;
            (tree.try_clone().doing("open", &planned.destination)?, tree, Target::Directory)
        }
        MountSource::Ramfs { mode, copy_up } => {
            let options = [(c"mode", octal(mode.unwrap_or(0o1777))?)];
            let tree = memory(c"ramfs", &options, &planned.destination)?;
            if *copy_up {
                volumes::copy_up(root, &planned.destination, tree.as_fd())?;
            }
            (tree.try_clone().doing("open", &planned.destination)?, tree, Target::Directory)
        }
        MountSource::Tmpfs { size, mode, copy_up, inodes, uid, gid } => {
            let numbers = [
                (c"size", *size),
                (c"nr_inodes", *inodes),
                (c"uid", uid.map(u64::from)),
                (c"gid", gid.map(u64::from)),
            ];
            let mut options = vec![(c"mode", octal(mode.unwrap_or(0o1777))?)];
            options.extend(decimal(numbers)?);
            let tree = memory(c"tmpfs", &options, &planned.destination)?;
            if *copy_up {
                volumes::copy_up(root, &planned.destination, tree.as_fd())?;
            }
            (tree.try_clone().doing("open", &planned.destination)?, tree, Target::Directory)
        }
    };
    let propagation = match planned.propagation.as_deref() {
        Some("shared" | "rshared") => libc::MS_SHARED,
        Some("slave" | "rslave") => libc::MS_SLAVE,
        Some("unbindable" | "runbindable") => libc::MS_UNBINDABLE,
        _ => libc::MS_PRIVATE,
    };
    mount::set_attributes(tree.as_fd(), attributes, 0, propagation, true)
        .doing("set flags of the mount on", &planned.destination)?;
    files::mount_at(root, &planned.destination, kind, tree.as_fd())?;
    Ok(found)
}

/// A copy of what was found: a file or directory, or what a symlink that the user named leads to.
fn bound(found: OwnedFd, path: &Path, recursive: bool) -> Result<(OwnedFd, OwnedFd, Target), Failure> {
    let copy = |tree| mount::open_tree(found.as_fd(), Path::new(""), tree);
    let tree = match copy(if recursive { Tree::CloneRecursive } else { Tree::Clone }) {
        // Mounts below it may not be uncovered in a user namespace: take them along.
        Err(Errno::EINVAL) if !recursive => copy(Tree::CloneRecursive),
        other => other,
    }
    .doing("open", path)?;
    let directory = fstat(&tree).doing("examine", path)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    Ok((found, tree, if directory { Target::Directory } else { Target::File }))
}

/// What lies at `part` in a source, which it cannot lead out of.
///
/// # Errors
/// Where there is nothing, or a symlink leads out of the source.
pub(in crate::runtime) fn part_of(source: BorrowedFd<'_>, part: &Path) -> Result<OwnedFd, Failure> {
    let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let why = match open_within(source, part, OFlag::O_PATH, bounds) {
        Err(Errno::EXDEV) => "a symbolic link in it leads out of the source",
        Err(Errno::ENOENT) => "the source has nothing there",
        other => return other.doing("open subpath", part),
    };
    Err(Failure::other("open subpath", part.to_string_lossy(), why))
}

type Setting = (&'static CStr, CString);

fn octal(number: u32) -> Result<CString, Failure> {
    c_string(&format!("{number:o}"))
}

fn decimal<const N: usize>(numbers: [(&'static CStr, Option<u64>); N]) -> Result<Vec<Setting>, Failure> {
    let given = numbers.into_iter().filter_map(|(key, number)| Some((key, number?)));
    given.map(|(key, number)| Ok((key, c_string(&number.to_string())?))).collect()
}

/// A new file system without a device.
fn memory(kind: &'static CStr, options: &[Setting], at: &Path) -> Result<OwnedFd, Failure> {
    let options: Vec<(&CStr, &CStr)> = options.iter().map(|(key, value)| (*key, value.as_c_str())).collect();
    let what = format!("mount {} on", kind.to_string_lossy());
    mount::new_mount(kind, &options, 0).doing(what.as_str(), at)
}

pub(super) fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::other("read option", text, "it holds a NUL byte"))
}
