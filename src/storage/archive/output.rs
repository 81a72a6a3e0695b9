//! Output files that are written completely or not at all.

use crate::error::{Error, Result};
use crate::storage::record::{self, unique};
use crate::sys::fd::link_of;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::linkat;
use std::fs::{self, File, OpenOptions};
use std::io;
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
        return Err(failed("write", path, io::Error::from_raw_os_error(nix::libc::EISDIR)));
    }
    let target = fs::read_link(path).and_then(|_| fs::canonicalize(path));
    let path = target.as_deref().unwrap_or(path);
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mode = Mode::from_bits_truncate(0o666);
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let named = dir.join(format!(".coracle-{}", unique()));
    let (file, nameless) = match open(dir, flags, mode) {
        Ok(fd) => (File::from(fd), true),
        // Not every file system has files without a name.
        Err(nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::EISDIR | nix::errno::Errno::EINVAL) => {
            let file = OpenOptions::new().write(true).create_new(true).open(&named);
            (file.map_err(|e| failed("create", path, e))?, false)
        }
        Err(e) => return Err(failed("create", path, e.into())),
    };
    let done = write(&file).and_then(|()| {
        if nameless {
            let link = link_of(&file);
            linkat(AT_FDCWD, link.as_str(), AT_FDCWD, &named, AtFlags::AT_SYMLINK_FOLLOW)
                .map_err(|e| failed("create", path, e.into()))?;
        }
        fs::rename(&named, path).map_err(|e| failed("create", path, e))
    });
    if done.is_err() {
        let _ = fs::remove_file(&named);
    }
    done
}

/// Such a file is written by docker's client, not by its engine.
fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    record::failed_outside(doing, path, error).of_client()
}
