//! Works on a checked-out tree, through descriptors: a stranger has made it (attack cases 47 and 48).

use crate::error::{Error, Kind, Result};
use crate::storage::{record, tree};
use crate::sys::fd::open_within;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What git keeps about a repository: a directory, or in a submodule a file that names one.
const OWN: &CStr = c".git";
/// Deepest directory that is looked into; git's own names are shorter than `PATH_MAX`.
const DEPTH_MAX: usize = 2048;
/// How a directory is opened to be read.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Whether the tree has submodules.
pub(super) fn has_submodules(tree: BorrowedFd<'_>) -> bool {
    let found = fstatat(tree, ".gitmodules", AtFlags::AT_SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits())
}

/// Removes `.git` at the top, or in every directory: git itself lets no commit have such a name.
///
/// # Errors
/// When the file system refuses.
pub(super) fn forget_history(tree: BorrowedFd<'_>, everywhere: bool, path: &Path) -> Result<()> {
    let failed = |e: Errno| record::failed("remove .git from", path, e.into());
    tree::remove_tree(tree, OWN).map_err(failed)?;
    if everywhere { below(tree, 0).map_err(failed) } else { Ok(()) }
}

fn below(dir: BorrowedFd<'_>, depth: usize) -> nix::Result<()> {
    if depth > DEPTH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut stream = Dir::openat(dir, ".", READ, Mode::empty())?;
    for entry in stream.iter() {
        let entry = entry?;
        let name = entry.file_name();
        let maybe = entry.file_type().is_none_or(|kind| kind == Type::Directory);
        if !maybe || matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let inner = match openat(dir, name, READ, Mode::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => continue,
            other => other?,
        };
        tree::remove_tree(inner.as_fd(), OWN)?;
        below(inner.as_fd(), depth + 1)?;
    }
    Ok(())
}

/// The directory that is wanted in the tree; everything without one. A link that leads out is refused.
///
/// # Errors
/// It is not there, is no directory, or is elsewhere.
pub(super) fn directory(tree: BorrowedFd<'_>, subdir: Option<&str>, url: &str) -> Result<OwnedFd> {
    let path = subdir.unwrap_or(".");
    let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    open_within(tree, path, OFlag::O_PATH | OFlag::O_DIRECTORY, bounds).map_err(|e| match e {
        Errno::ENOENT => Error::new(Kind::NotFound, format!("{url} has no directory {path:?}")),
        Errno::ENOTDIR => Error::new(Kind::Usage, format!("{path:?} of {url} is not a directory")),
        Errno::EXDEV | Errno::ELOOP => {
            Error::new(Kind::Image, format!("directory {path:?} of {url} is a link that leads out of it"))
        }
        e => Error::new(Kind::Storage, format!("open directory {path:?} of {url}")).caused_by(e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, create_dir_all, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn case_47_a_subdirectory_does_not_lead_out() {
        let scene = tempfile::tempdir().unwrap();
        let top = scene.path().join("tree");
        create_dir_all(top.join("a/b")).unwrap();
        create_dir_all(scene.path().join("outside")).unwrap();
        write(top.join("file"), "").unwrap();
        for (to, name) in [
            ("../outside", "up"),
            ("/etc", "etc"),
            ("/proc/self/cwd", "proc"),
            ("up", "chain"),
            ("a", "in"),
            ("loop", "loop"),
        ] {
            symlink(to, top.join(name)).unwrap();
        }
        let tree = File::open(&top).unwrap();
        let kind = |path: &str| directory(tree.as_fd(), Some(path), "u").map_err(|e| e.kind());
        for out in ["up", "etc", "proc", "chain", "up/..", "loop", "etc/ssl"] {
            assert_eq!(kind(out).unwrap_err(), Kind::Image, "{out}");
        }
        assert_eq!(kind("missing").unwrap_err(), Kind::NotFound);
        assert_eq!(kind("file").unwrap_err(), Kind::Usage);
        assert!(kind("in/b").is_ok() && kind("a/b").is_ok());
        assert!(directory(tree.as_fd(), None, "u").is_ok());
    }

    #[test]
    fn history_is_forgotten_and_nothing_outside() {
        let scene = tempfile::tempdir().unwrap();
        let top = scene.path().join("tree");
        create_dir_all(top.join(".git/objects")).unwrap();
        create_dir_all(top.join("a/b")).unwrap();
        create_dir_all(scene.path().join("outside/.git")).unwrap();
        write(top.join("a/.git"), "gitdir: ../.git/modules/a").unwrap();
        write(top.join("a/b/.git"), "gitdir: x").unwrap();
        write(top.join("a/.gitignore"), "").unwrap();
        symlink("../outside", top.join("link")).unwrap();
        symlink("../../outside/.git", top.join("a/b/.github")).unwrap();
        let tree = File::open(&top).unwrap();
        assert!(!has_submodules(tree.as_fd()));
        forget_history(tree.as_fd(), false, &top).unwrap();
        assert!(!top.join(".git").exists() && top.join("a/.git").exists());
        symlink("a/.gitignore", top.join(".gitmodules")).unwrap();
        assert!(!has_submodules(tree.as_fd()));
        forget_history(tree.as_fd(), true, &top).unwrap();
        assert!(!top.join("a/.git").exists() && !top.join("a/b/.git").exists());
        assert!(scene.path().join("outside/.git").exists() && top.join("a/.gitignore").exists());
    }
}
