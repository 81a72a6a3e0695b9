//! Entries for the payload's user in the container's own `/etc/passwd` and `/etc/group`.
//!
//! Theory of operation. They are appended in the container's own layer, as podman does: a mount point could not be
//! renamed over, which is how `useradd` and its kin write these files. The image controls the path, so the kernel
//! resolves it inside the root, it may not leave the root's own mount (a volume or a directory of the user's is never
//! written), and what is there must be a regular file. Where the layer cannot be written (`--read-only`) the whole
//! file is mounted instead.

use super::order::Order;
use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, Generated, Scratch, is, relative};
use crate::runtime::passwd::ResolvedUser;
use crate::spec::{MountSpec, RootSpec};
use crate::storage::record::LEASED;
use crate::sys::fd::{despite_leases, open_within};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Gives a user without an entry one (`--passwd`).
///
/// # Errors
/// Those of the mount calls; a file that somebody holds a lease on.
pub(super) fn add(
    order: &Order,
    root: BorrowedFd<'_>,
    scratch: &mut Scratch,
    user: &ResolvedUser,
) -> Result<(), Failure> {
    for (path, found) in [("/etc/passwd", &user.passwd), ("/etc/group", &user.group)] {
        let Some(found) = found else { continue };
        let path = Path::new(path);
        let covers = |mount: &&MountSpec| path.starts_with(&mount.destination);
        let cover = order.plan.mounts.iter().rfind(covers).map(|mount| mount.destination.as_path());
        let is_read_only = order.plan.security.readonly_root;
        if cover == Some(path) || cover.is_some() && !is_read_only {
            continue;
        }
        // The host's own tree has one overlay for each of its directories.
        let bounds = match order.plan.root {
            RootSpec::HostTree => ResolveFlag::RESOLVE_NO_SYMLINKS,
            _ => ResolveFlag::RESOLVE_NO_XDEV,
        };
        let exists = || files::open_in(root, path, OFlag::O_PATH).is_ok();
        if (is_read_only || !append(root, path, found.added(), bounds)?) && exists() {
            scratch.mount(root, &Generated { path, content: found.content(), mode: 0o644 })?;
        }
    }
    Ok(())
}

/// Appends to a file of the root's own mount; one that is not in it stays as it is. False when the file cannot be
/// written.
fn append(root: BorrowedFd<'_>, path: &Path, text: &[u8], bounds: ResolveFlag) -> Result<bool, Failure> {
    let file = match despite_leases(|| open(root, path, bounds)) {
        Ok(file) => file,
        Err(Errno::EAGAIN) => {
            return Err(Failure::other("write the container's", path.to_string_lossy(), LEASED));
        }
        Err(e) if is_elsewhere(e) => return Ok(true),
        Err(_) => return Ok(false),
    };
    if !is(&fstat(&file).doing("look at the container's", path)?, SFlag::S_IFREG) {
        return Ok(true);
    }
    Ok(File::from(file).write_all(text).is_ok())
}

/// Nothing there that may be written to: another mount, a link to nowhere, no `/etc`.
fn is_elsewhere(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EXDEV | Errno::ELOOP | Errno::ENOENT | Errno::ENOTDIR | Errno::EEXIST | Errno::EISDIR
    )
}

/// The file, made if there is none.
fn open(root: BorrowedFd<'_>, path: &Path, bounds: ResolveFlag) -> nix::Result<OwnedFd> {
    let bounds = bounds | ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let path = relative(path);
    match open_within(root, &path, flags, bounds) {
        Err(Errno::ENOENT) => {
            let made = open_within(root, &path, flags | OFlag::O_CREAT | OFlag::O_EXCL, bounds)?;
            fchmod(&made, Mode::from_bits_truncate(0o644))?;
            Ok(made)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn case_27_nothing_is_written_but_a_file_inside() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("root/etc")).unwrap();
        fs::create_dir_all(at("root/lib")).unwrap();
        fs::write(at("passwd"), "outside\n").unwrap();
        fs::write(at("root/lib/passwd"), "inside\n").unwrap();
        let root = fs::File::open(at("root")).unwrap();
        let own = ResolveFlag::RESOLVE_NO_XDEV;
        let add = || append(root.as_fd(), Path::new("/etc/passwd"), b"x\n", own);
        let file = at("root/etc/passwd");
        // Links lead nowhere but to the root's own files.
        let outside = at("passwd");
        for way in [outside.as_path(), Path::new("../../passwd"), Path::new("/proc/self/cwd/none")] {
            symlink(way, &file).unwrap();
            assert!(add().unwrap(), "{}", way.display());
            fs::remove_file(&file).unwrap();
        }
        assert_eq!(fs::read_to_string(&outside).unwrap(), "outside\n");
        symlink("/lib/passwd", &file).unwrap();
        assert!(add().unwrap());
        assert_eq!(fs::read_to_string(at("root/lib/passwd")).unwrap(), "inside\nx\n");
        fs::remove_file(&file).unwrap();
        // Nor to something that is no file.
        nix::unistd::mkfifo(&file, Mode::S_IRWXU).unwrap();
        let reader = fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
        assert!(add().unwrap());
        let mut byte = [0; 1];
        let flags = nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&reader, flags).unwrap();
        assert_eq!(nix::unistd::read(&reader, &mut byte), Err(Errno::EAGAIN));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(add().unwrap());
        fs::remove_dir(&file).unwrap();
        // A missing one is made, and not where there is no directory for it.
        assert!(add().unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "x\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        fs::remove_dir_all(at("root/etc")).unwrap();
        assert!(add().unwrap());
        assert!(!at("root/etc").exists());
    }
}
