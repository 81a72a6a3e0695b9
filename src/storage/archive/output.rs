//! Output files that are written completely or not at all.

use crate::error::{Error, Result};
use crate::storage::record::{self, unique};
use crate::sys::fd::link_of;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Writes a file of the user's: a new one has no name until it is whole, and then takes the place of an
/// old one, where a symbolic link leads. A FIFO or device is written to as it is.
///
/// # Errors
/// Those of `write`, or when the file cannot be made.
pub fn to_file(path: &Path, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if special {
        let file = OpenOptions::new().write(true).open(path).map_err(|e| failed("open", path, e))?;
        return write(&file);
    }
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(failed("write", path, Errno::EISDIR.into()));
    }
    let target = fs::read_link(path).and_then(|_| fs::canonicalize(path));
    let path = target.as_deref().unwrap_or(path);
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| failed("write", path, Errno::EINVAL.into()))?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = open(dir, flags, Mode::empty()).map_err(|e| failed("create", path, e.into()))?;
    write_at(&dir, name, path, write)
}

/// Writes a file of a directory, which gets its name and takes the place of an old one when it is whole; `path` is for
/// messages.
///
/// # Errors
/// As [`to_file`].
pub(super) fn write_at(
    dir: &OwnedFd,
    name: impl AsRef<OsStr>,
    path: &Path,
    write: impl FnOnce(&File) -> Result<()>,
) -> Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let fresh = format!(".coracle-{}", unique());
    let (file, nameless) = match openat(dir, ".", flags | OFlag::O_TMPFILE, mode) {
        Ok(fd) => (File::from(fd), true),
        // Not every file system has files without a name.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
            let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            let fd = openat(dir, fresh.as_str(), flags, mode);
            (File::from(fd.map_err(|e| failed("create", path, e.into()))?), false)
        }
        Err(e) => return Err(failed("create", path, e.into())),
    };
    let done = write(&file).and_then(|()| {
        let named = || -> nix::Result<()> {
            if nameless {
                linkat(AT_FDCWD, link_of(&file).as_str(), dir, fresh.as_str(), AtFlags::AT_SYMLINK_FOLLOW)?;
            }
            renameat(dir, fresh.as_str(), dir, name.as_ref())
        };
        named().map_err(|e| failed("create", path, e.into()))
    });
    if done.is_err() {
        // The failure is what counts; without a name there is nothing to remove.
        let _ = unlinkat(dir, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    done
}

/// Such a file is written by docker's client, not by its engine.
fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    record::failed_outside(doing, path, error).of_client()
}
