//! The parts of `/proc` and `/sys` that a container must not see or change, and its sysctls.
//!
//! Theory of operation. Both file systems are ours and newly mounted, but the image determines what `/proc` and
//! `/sys` are before that, and could have a symlink or an ordinary directory there; a program that writes masks
//! or sysctls by path would then write wherever the image points (CVE-2019-16884, CVE-2025-52881). So the base
//! is opened without following links and must be the root of a file system of the right type; a mask is our own
//! null device, which must be the real one (CVE-2025-31133), or our own empty directory; and read-only copies
//! are attached to the descriptor from which they were made.

use super::files::{Scratch, is, open_in};
use crate::fork::{Doing, Failure};
use crate::sys::fd::open_within;
use crate::sys::mount::{self, Tree, attr};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Hides and write-protects paths inside `root`; those that do not exist are left out.
///
/// `null` is a null device on a mount of this namespace, taken before anything of the image was looked
/// at.
///
/// # Errors
/// When `null` is something else, when `/proc` or `/sys` is not what it should be, or a mount call's.
pub fn apply(
    scratch: &mut Scratch,
    root: BorrowedFd<'_>,
    null: BorrowedFd<'_>,
    masked: &[PathBuf],
    read_only: &[PathBuf],
) -> Result<(), Failure> {
    check_null(null)?;
    let bases = Bases::of(root);
    let mut every = Vec::with_capacity(masked.len());
    for path in masked {
        bases.expand(path, &mut every)?;
    }
    for path in &every {
        let Some(target) = bases.find(path)? else { continue };
        let cover = if is(&fstat(&target).doing("look at", path)?, SFlag::S_IFDIR) {
            scratch.empty_directory()?
        } else {
            mount::open_tree(null, Path::new(""), Tree::Clone)
                .doing("copy the mount of", "the null device")?
        };
        mount::move_mount(cover.as_fd(), target.as_fd()).doing("hide", path)?;
    }
    for path in read_only {
        let Some(target) = bases.find(path)? else { continue };
        let copy = mount::open_tree(target.as_fd(), Path::new(""), Tree::CloneRecursive)
            .doing("copy the mount of", path)?;
        mount::set_attributes(copy.as_fd(), attr::RDONLY, 0, 0, true).doing("write-protect", path)?;
        mount::move_mount(copy.as_fd(), target.as_fd()).doing("write-protect", path)?;
    }
    Ok(())
}

/// A container's root, and its `/proc` and `/sys` once they were checked. Nothing else mounts there
/// meanwhile, so once is enough.
struct Bases<'a> {
    root: BorrowedFd<'a>,
    proc: OnceCell<Option<OwnedFd>>,
    sys: OnceCell<Option<OwnedFd>>,
}

impl<'a> Bases<'a> {
    fn of(root: BorrowedFd<'a>) -> Self {
        Bases { root, proc: OnceCell::new(), sys: OnceCell::new() }
    }

    /// Adds the paths that a mask matches to `found`: a `*` is any text within one part of a path, as
    /// in `/sys/devices/system/cpu/cpu*/thermal_throttle`.
    fn expand(&self, mask: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let starred = |part: &Component<'_>| part.as_os_str().as_bytes().contains(&b'*');
        let parts: Vec<Component<'_>> = mask.components().collect();
        let Some(at) = parts.iter().position(starred) else {
            found.push(mask.to_owned());
            return Ok(());
        };
        let parent: PathBuf = parts[..at].iter().collect();
        let rest: PathBuf = parts[at + 1..].iter().collect();
        let Some(directory) = self.find(&parent)? else { return Ok(()) };
        let readable =
            openat(&directory, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let mut entries = Dir::from_fd(readable.doing("open", &parent)?).doing("read", &parent)?;
        for entry in entries.iter().flatten() {
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") && matches(parts[at].as_os_str().as_bytes(), name) {
                let mut path = parent.join(OsStr::from_bytes(name));
                path.extend(&rest);
                self.expand(&path, found)?;
            }
        }
        Ok(())
    }

    /// Opens `path`, through the checked base when it is below `/proc` or `/sys`.
    fn find(&self, path: &Path) -> Result<Option<OwnedFd>, Failure> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let found = match relative.components().next().and_then(|first| first.as_os_str().to_str()) {
            Some(base @ ("proc" | "sys")) => {
                let Some(base_fd) = self.base(base)? else { return Ok(None) };
                let rest = relative.strip_prefix(base).unwrap_or(Path::new(""));
                let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
                open_strictly(base_fd, rest, OFlag::O_PATH, ResolveFlag::empty())
            }
            _ => open_in(self.root, relative, OFlag::O_PATH),
        };
        match found {
            // ELOOP: a symlink, which a mask could not cover anyway.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            other => other.map(Some).doing("open", path),
        }
    }

    /// `/proc` or `/sys`, checked; `None` when there is no such directory.
    fn base(&self, name: &str) -> Result<Option<BorrowedFd<'_>>, Failure> {
        let (cell, kind) =
            if name == "proc" { (&self.proc, PROC_SUPER_MAGIC) } else { (&self.sys, SYSFS_MAGIC) };
        let opened = match cell.get() {
            Some(opened) => opened,
            None => {
                let opened = open_base(self.root, name, kind)?;
                cell.get_or_init(|| opened)
            }
        };
        Ok(opened.as_ref().map(AsFd::as_fd))
    }
}

/// Whether a name fits a pattern in which `*` is any text.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        Some((byte, rest)) => name.split_first().is_some_and(|(n, more)| n == byte && matches(rest, more)),
    }
}

/// Checks that a descriptor is of the null device: character device 1:3.
///
/// # Errors
/// When it is not.
pub fn check_null(null: BorrowedFd<'_>) -> Result<(), Failure> {
    let status = fstat(null).doing("look at", "the null device")?;
    if is(&status, SFlag::S_IFCHR) && (major(status.st_rdev), minor(status.st_rdev)) == (1, 3) {
        Ok(())
    } else {
        Err(Failure::other("use", "/dev/null", "it is not the null device"))
    }
}

/// The root of a file system at `/proc` or `/sys`; `None` when there is no such directory.
fn open_base(root: BorrowedFd<'_>, base: &str, kind: FsType) -> Result<Option<OwnedFd>, Failure> {
    let opened =
        open_strictly(root, Path::new(base), OFlag::O_PATH | OFlag::O_DIRECTORY, ResolveFlag::empty());
    let fd = match opened {
        Err(Errno::ENOENT) => return Ok(None),
        other => other.doing("open", format!("/{base}"))?,
    };
    check_root_of(fd.as_fd(), kind, &format!("/{base}"))?;
    Ok(Some(fd))
}

/// Checks that a descriptor is the root directory of a file system of this kind; both number it 1.
///
/// # Errors
/// When it is anything else.
fn check_root_of(fd: BorrowedFd<'_>, kind: FsType, shown: &str) -> Result<(), Failure> {
    let found = fstatfs(fd).doing("look at", shown)?.filesystem_type();
    let inode = fstat(fd).doing("look at", shown)?.st_ino;
    if found == kind && inode == 1 {
        Ok(())
    } else {
        Err(Failure::other("use", shown, "it is not the root of the file system that belongs there"))
    }
}

fn open_strictly(dir: BorrowedFd<'_>, path: &Path, flags: OFlag, more: ResolveFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | more;
    open_within(dir, path, flags, resolve)
}

/// Writes sysctls (`net.ipv4.ip_forward` → `1`) through `proc`, a procfs mount of our own.
///
/// # Errors
/// When `proc` is no procfs, or the kernel has no such sysctl or refuses the value.
pub fn write_sysctls(proc: BorrowedFd<'_>, sysctls: &BTreeMap<String, String>) -> Result<(), Failure> {
    if sysctls.is_empty() {
        return Ok(());
    }
    check_root_of(proc, PROC_SUPER_MAGIC, "/proc")?;
    for (name, value) in sysctls {
        let path = Path::new("sys").join(sysctl_path(name));
        let opened = open_strictly(proc, &path, OFlag::O_WRONLY, ResolveFlag::RESOLVE_NO_XDEV);
        let mut file = match opened {
            Err(Errno::ENOENT) => {
                return Err(Failure::other("set sysctl", name, "the kernel has no such sysctl here"));
            }
            other => File::from(other.doing("set sysctl", name)?),
        };
        file.write_all(value.as_bytes()).doing("set sysctl", name)?;
    }
    Ok(())
}

/// Dots separate; a slash stands for a dot within a name, as sysctl(8) has it. A name that begins with
/// a slash-separated part has it the other way round.
fn sysctl_path(name: &str) -> PathBuf {
    let first = name.find(['.', '/']).map(|i| &name[i..=i]);
    if first == Some("/") {
        return PathBuf::from(name);
    }
    let swapped: String = name
        .chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect();
    PathBuf::from(swapped)
}

#[cfg(test)]
#[path = "masks_tests.rs"]
mod tests;
