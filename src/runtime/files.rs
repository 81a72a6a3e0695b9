//! Paths inside a root file system: mount points, generated files, the working directory.
//!
//! Theory of operation. The root can be modified by the image and, with a shared volume, by another running
//! container while we work in it. So a path inside it is resolved once, by the kernel and from the root's
//! descriptor (openat2(2) `RESOLVE_IN_ROOT`: `..` and symlinks stop at the root), and from then on only the
//! descriptor is used. Missing parts are created one by one below open descriptors, and a mount is attached to
//! the descriptor that was checked, not to a path. A mount point that is missing below another mount of the
//! root is created in that mount's source, as docker does, but only if the path contains no symlinks, so that
//! the source's author cannot choose where something is created.
//!
//! The generated files (`/etc/hosts` and so on) are in a small tmpfs of the container's own and are mounted one
//! by one, as podman does. So nothing is written through a path of the image, they never end up in a committed
//! layer, and a user's own mount, made later, simply covers ours.

use crate::fork::{Doing, Failure};
use crate::sys::fd::{mount_id, open_within};
use crate::sys::mount::{self, Tree, attr};
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, TMPFS_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, fchdir, fchownat};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Maximum number of symlinks to missing files that are followed on one path (path_resolution(7): 40).
const LINKS_MAX: usize = 40;
/// What may be mounted over below `/proc`: files that LXCFS and the like provide.
const PROC_FILES: [&str; 8] =
    ["cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"];

/// The type of a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A directory.
    Directory,
    /// Anything that is not a directory.
    File,
}

/// What happens where something is missing in another mount of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InMounts {
    /// It is refused: nobody asked for a change there.
    Refuse,
    /// It is made in the mount's source.
    Make,
}

/// Opens an existing path inside `root` (`O_PATH`); magic links of procfs are refused.
///
/// # Errors
/// `ENOENT` and the others of openat2(2).
pub fn open_in(root: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let bounds = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    open_within(root, &relative(path), flags, bounds)
}

/// The mount point at `path` inside `root`, made with its parents where it is missing; an error when it is of the
/// wrong kind, lies in procfs, or would have to be made where that is refused.
fn target_at(
    root: BorrowedFd<'_>,
    path: &Path,
    target: Target,
    in_mounts: InMounts,
) -> Result<OwnedFd, Failure> {
    let (fd, _) = find_or_make(root, path, target, in_mounts)?;
    let status = fstat(&fd).doing("look at mount point", path)?;
    if is(&status, SFlag::S_IFLNK) || is(&status, SFlag::S_IFDIR) != (target == Target::Directory) {
        let kind = if target == Target::Directory { "it is not a directory" } else { "it is a directory" };
        return Err(Failure::other("mount on", path.to_string_lossy(), kind));
    }
    let in_proc = fstatfs(&fd).doing("look at mount point", path)?.filesystem_type() == PROC_SUPER_MAGIC;
    if in_proc && !PROC_FILES.iter().any(|name| relative(path) == Path::new("proc").join(name)) {
        return Err(Failure::other("mount on", path.to_string_lossy(), "parts of /proc cannot be covered"));
    }
    Ok(fd)
}

/// Attaches a detached mount at `path` inside `root`, making the mount point, if need be in the source
/// of a mount that was made before.
///
/// # Errors
/// When the mount point is of the wrong kind or lies in procfs; when it is missing and a symlink leads to
/// its place in another mount, or that mount is read-only; those of move_mount(2).
pub fn mount_at(
    root: BorrowedFd<'_>,
    path: &Path,
    target: Target,
    detached: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let point = target_at(root, path, target, InMounts::Make)?;
    mount::move_mount(detached, point.as_fd()).doing("mount on", path)
}

/// Enters the working directory, made if missing and then given to `owner`, and checks that it is
/// inside. `root` must be this process's root directory.
///
/// # Errors
/// When it cannot be made or entered, or when it turns out to be outside (CVE-2024-21626).
pub fn enter_cwd(root: BorrowedFd<'_>, path: &Path, owner: (u32, u32)) -> Result<(), Failure> {
    let (dir, made) = find_or_make(root, path, Target::Directory, InMounts::Refuse)?;
    if made && owner != (0, 0) {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        fchownat(&dir, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
            .doing("give away working directory", path)?;
    }
    fchdir(&dir).doing("enter working directory", path)?;
    // The kernel marks what cannot be reached from the root, and the C library refuses it.
    match nix::unistd::getcwd() {
        Ok(cwd) if cwd.is_absolute() => Ok(()),
        _ => Err(Failure::other(
            "enter working directory",
            path.to_string_lossy(),
            "it is not inside the root",
        )),
    }
}

/// The object at `path`, and whether it had to be made.
fn find_or_make(
    root: BorrowedFd<'_>,
    path: &Path,
    target: Target,
    in_mounts: InMounts,
) -> Result<(OwnedFd, bool), Failure> {
    let shown = path.to_string_lossy().into_owned();
    let fail = |e: Errno| Failure::new("open", shown.clone(), e);
    let mut wanted = relative(path);
    for _ in 0..LINKS_MAX {
        match open_in(root, &wanted, OFlag::O_PATH) {
            Err(Errno::ENOENT) => {}
            other => return other.map(|fd| (fd, false)).map_err(fail),
        }
        let (parent, prefix, rest) = existing_prefix(root, &wanted).map_err(fail)?;
        let Some((name, below)) = rest.split_first() else { continue };
        match readlinkat(&parent, name.as_path()) {
            // A symlink to a missing file: create its target.
            Ok(link) => {
                let link = PathBuf::from(link);
                let base = if link.is_absolute() { relative(&link) } else { prefix.join(link) };
                wanted = below.iter().fold(base, |all, part| all.join(part));
            }
            Err(Errno::ENOENT) => {
                if rest.iter().any(|part| part == Path::new("..")) {
                    return Err(fail(Errno::ENOENT));
                }
                check_mount(root, parent.as_fd(), &prefix, in_mounts, &shown)?;
                return make(parent, &rest, target, &shown).map(|fd| (fd, true));
            }
            // It has appeared since.
            Err(Errno::EINVAL) => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Err(fail(Errno::ELOOP))
}

/// The longest prefix of `wanted` that exists, as descriptor and path, and the names after it.
fn existing_prefix(root: BorrowedFd<'_>, wanted: &Path) -> nix::Result<(OwnedFd, PathBuf, Vec<PathBuf>)> {
    let names: Vec<PathBuf> = wanted.components().map(|c| PathBuf::from(c.as_os_str())).collect();
    let mut prefix = PathBuf::from(".");
    let mut parent = open_in(root, &prefix, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    for (i, name) in names.iter().enumerate() {
        let next = prefix.join(name);
        match open_in(root, &next, OFlag::O_PATH) {
            Ok(fd) => (parent, prefix) = (fd, next),
            Err(Errno::ENOENT) => return Ok((parent, prefix, names[i..].to_vec())),
            Err(e) => return Err(e),
        }
    }
    Ok((parent, prefix, Vec::new()))
}

/// Whether something may be made in `parent`, which `prefix` leads to: in the root itself and in the container's
/// memory always, in another mount only where that was asked for and no symlink leads there.
fn check_mount(
    root: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    prefix: &Path,
    in_mounts: InMounts,
    shown: &str,
) -> Result<(), Failure> {
    let fail = |e: Errno| Failure::new("make", shown, e);
    if mount_id(parent).map_err(fail)? == mount_id(root).map_err(fail)?
        || is_own_memory(parent).map_err(fail)?
    {
        return Ok(());
    }
    let refuse = |why: &str| {
        let mut failure = Failure::new("make mount point", shown, Errno::EXDEV);
        failure.detail = why.to_owned();
        Err(failure)
    };
    if in_mounts == InMounts::Refuse {
        return refuse("it would be made inside another mount; make it there first");
    }
    let bounds = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let same = |a: &FileStat, b: &FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    match open_within(root, prefix, OFlag::O_PATH, bounds) {
        Ok(plain) if same(&fstat(&plain).map_err(fail)?, &fstat(parent).map_err(fail)?) => Ok(()),
        _ => refuse("a symbolic link leads to its place in another mount; make it there first"),
    }
}

/// Whether this directory is in a tmpfs that was made in this user namespace, and not in one of the host's that is
/// bound here: only its owner may set an attribute of this class (xattr(7), Extended security attributes).
fn is_own_memory(dir: BorrowedFd<'_>) -> nix::Result<bool> {
    const PROBE: &CStr = c"security.coracle";
    if fstatfs(dir)?.filesystem_type() != TMPFS_MAGIC {
        return Ok(false);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = openat(dir, ".", flags, Mode::empty())?;
    if xattr::set(opened.as_fd(), PROBE, b"").is_err() {
        return Ok(false);
    }
    xattr::remove(opened.as_fd(), PROBE)?;
    Ok(true)
}

fn make(mut parent: OwnedFd, names: &[PathBuf], target: Target, shown: &str) -> Result<OwnedFd, Failure> {
    let fail = |e: Errno| Failure::new("make", shown, e);
    let last = names.len().saturating_sub(1);
    for (i, name) in names.iter().enumerate() {
        let name = name.as_path();
        let made = if i == last && target == Target::File {
            let flags =
                OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(&parent, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
        } else {
            mkdirat(&parent, name, Mode::from_bits_truncate(0o755))
        };
        match made {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(Errno::EROFS) => {
                let mut failure = Failure::new("make mount point", shown, Errno::EROFS);
                failure.detail = "what is mounted there is read-only; make it in the source first".to_owned();
                return Err(failure);
            }
            Err(e) => return Err(fail(e)),
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        parent = openat(&parent, name, flags, Mode::empty()).map_err(fail)?;
        // A foreign symlink at this path is not followed.
        if is(&fstat(&parent).map_err(fail)?, SFlag::S_IFLNK) {
            return Err(fail(Errno::ELOOP));
        }
    }
    Ok(parent)
}

/// A path without its leading slashes and `.` parts; `..` stays, the kernel knows what it means.
pub(super) fn relative(path: &Path) -> PathBuf {
    let parts = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    let joined: PathBuf = parts.collect();
    if joined.as_os_str().is_empty() { PathBuf::from(".") } else { joined }
}

pub(super) fn is(status: &FileStat, kind: SFlag) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

/// A file that we generate.
#[derive(Debug, Clone, Copy)]
pub struct Generated<'a> {
    /// Where it appears, absolute.
    pub path: &'a Path,
    /// What is in it.
    pub content: &'a [u8],
    /// Permission bits.
    pub mode: u32,
}

/// A tmpfs of a megabyte that holds what we mount into a container piece by piece.
///
/// Its root is never visible inside: each piece is mounted on its own, and a mount has no way up.
#[derive(Debug)]
pub struct Scratch {
    tmpfs: OwnedFd,
    pieces: u32,
    /// One directory serves every mask: a machine with many processors has many to hide.
    empty: Option<PathBuf>,
}

impl Scratch {
    /// Makes it. `hidden` is a directory of this mount namespace that the container will not see, below
    /// the old root: kernels before 6.15 copy pieces only from a mount that is attached somewhere.
    ///
    /// `more` are the sizes of files beyond what every container has.
    ///
    /// # Errors
    /// Those of the mount calls.
    pub fn new(hidden: BorrowedFd<'_>, more: impl Iterator<Item = usize>) -> Result<Scratch, Failure> {
        // Whole pages, and one for the directory entry.
        let (files, bytes) =
            more.fold((0, 0), |(n, sum), size| (n + 1, sum + size.next_multiple_of(4096) + 4096));
        let number = |n: usize| CString::new(n.to_string()).unwrap_or_default();
        let (size, inodes) = (number((1 << 20) + bytes), number(64 + files));
        let options = [(c"size", size.as_c_str()), (c"nr_inodes", inodes.as_c_str()), (c"mode", c"0755")];
        let attributes = attr::NOSUID | attr::NODEV | attr::NOEXEC;
        let tmpfs =
            mount::new_mount(c"tmpfs", &options, attributes).doing("make", "a tmpfs for generated files")?;
        mount::move_mount(tmpfs.as_fd(), hidden).doing("attach", "the tmpfs for generated files")?;
        Ok(Scratch { tmpfs, pieces: 0, empty: None })
    }

    fn name(&mut self) -> PathBuf {
        self.pieces += 1;
        PathBuf::from(self.pieces.to_string())
    }

    /// A file with this content, as a detached mount.
    ///
    /// # Errors
    /// Those of openat(2) and open_tree(2).
    pub fn file(&mut self, content: &[u8], mode: u32) -> Result<OwnedFd, Failure> {
        self.keep(content, mode).map(|(_, tree)| tree)
    }

    /// As [`Scratch::file`]; returns the file itself too.
    ///
    /// # Errors
    /// As there.
    pub fn keep(&mut self, content: &[u8], mode: u32) -> Result<(OwnedFd, OwnedFd), Failure> {
        let name = self.name();
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let fd = openat(&self.tmpfs, &name, flags, mode).doing("make", "a generated file")?;
        // The umask may have taken bits away.
        nix::sys::stat::fchmod(&fd, mode).doing("make", "a generated file")?;
        let mut file = File::from(fd);
        file.write_all(content).doing("write", "a generated file")?;
        let tree = mount::open_tree(self.tmpfs.as_fd(), &name, Tree::Clone)
            .doing("copy the mount of", "a generated file")?;
        Ok((file.into(), tree))
    }

    /// An empty, read-only directory that nobody may enter, as a detached mount.
    ///
    /// # Errors
    /// Those of mkdirat(2), open_tree(2) and mount_setattr(2).
    pub fn empty_directory(&mut self) -> Result<OwnedFd, Failure> {
        let name = match &self.empty {
            Some(name) => name.clone(),
            None => {
                let name = self.name();
                mkdirat(&self.tmpfs, &name, Mode::empty()).doing("make", "an empty directory")?;
                self.empty.insert(name).clone()
            }
        };
        let tree = mount::open_tree(self.tmpfs.as_fd(), &name, Tree::Clone)
            .doing("copy the mount of", "an empty directory")?;
        mount::set_attributes(tree.as_fd(), attr::RDONLY, 0, 0, false).doing("seal", "an empty directory")?;
        Ok(tree)
    }

    /// Mounts a generated file into the root, in what the user has mounted there too; gives the file. A read-only root
    /// that lacks the mount point goes without it.
    ///
    /// # Errors
    /// Those of [`mount_at`].
    pub fn mount(
        &mut self,
        root: BorrowedFd<'_>,
        generated: &Generated<'_>,
    ) -> Result<Option<OwnedFd>, Failure> {
        let Some(point) = file_target(root, generated.path)? else { return Ok(None) };
        let (file, tree) = self.keep(generated.content, generated.mode)?;
        mount::move_mount(tree.as_fd(), point.as_fd()).doing("mount on", generated.path)?;
        Ok(Some(file))
    }
}

/// Attaches a detached mount of a file, under the conditions of [`Scratch::mount`].
///
/// # Errors
/// Those of [`mount_at`].
pub fn mount_file(root: BorrowedFd<'_>, path: &Path, file: BorrowedFd<'_>) -> Result<(), Failure> {
    match file_target(root, path)? {
        Some(point) => mount::move_mount(file, point.as_fd()).doing("mount on", path),
        None => Ok(()),
    }
}

/// The mount point of a generated file; `None` where it is missing and cannot be made.
fn file_target(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>, Failure> {
    match target_at(root, path, Target::File, InMounts::Make) {
        Err(f)
            if matches!(
                f.errno(),
                Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::EXDEV | Errno::EOVERFLOW
            ) =>
        {
            Ok(None)
        }
        other => other.map(Some),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
