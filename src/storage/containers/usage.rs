//! How much a container has written.

use super::ContainerDir;
use super::files::open_dir;
use crate::error::{Context, Kind, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::collections::HashSet;
use std::os::fd::AsFd;

/// Deepest directory that is looked into; each level holds one descriptor.
const DEPTH: usize = 400;

/// Bytes of file content in a container's upper directory, hard links once. What lies more than 400
/// directories deep is not counted. Directories that another id closed to the user need the user
/// namespace.
///
/// # Errors
/// When a directory cannot be read.
pub fn disk_usage(container: &ContainerDir) -> Result<u64> {
    let mut seen = HashSet::new();
    let top = match open_dir(container.fd(), "upper") {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(0),
        Err(e) => return Err(e).context(Kind::Storage, || "open the upper directory"),
    };
    let counted = Dir::from_fd(top).and_then(|dir| count(dir, &mut seen, 0));
    counted.context(Kind::Storage, || format!("measure container {}", container.id().short()))
}

fn count(mut dir: Dir, seen: &mut HashSet<(u64, u64)>, depth: usize) -> nix::Result<u64> {
    let mut entries = Vec::new();
    for entry in dir.iter() {
        entries.push(entry?.file_name().to_owned());
    }
    let mut bytes = 0;
    for name in entries.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        let found = match fstatat(dir.as_fd(), name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            // A running container keeps deleting.
            Err(Errno::ENOENT) => continue,
            Err(e) => return Err(e),
        };
        let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFDIR && depth < DEPTH {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            match Dir::openat(dir.as_fd(), name.as_c_str(), flags, Mode::empty()) {
                Ok(below) => bytes += count(below, seen, depth + 1)?,
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(e) => return Err(e),
            }
        } else if kind == SFlag::S_IFREG && (found.st_nlink == 1 || seen.insert((found.st_dev, found.st_ino)))
        {
            bytes += found.st_size.unsigned_abs();
        }
    }
    Ok(bytes)
}
