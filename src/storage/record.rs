//! Small records: JSON files that are replaced whole, by write-new-and-rename (attack case 54).

use crate::error::{Error, Kind, Result};
use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a replaced record must be on the disk before it is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written back when the kernel likes: for records of running things.
    Volatile,
    /// On the disk, name and content, when the call returns: for images and volumes.
    Synced,
}

/// A name for something temporary that no other process and no other thread uses now.
pub fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |d| d.as_nanos());
    format!("{:x}-{nanos:x}-{:x}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Reads a record; `None` when it is not there.
///
/// # Errors
/// When it cannot be read or is not what this program wrote.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path, e)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::new(Kind::Storage, format!("{} is damaged", path.display())).caused_by(e))
}

/// Replaces a record whole.
///
/// # Errors
/// When the file system refuses; the old record then stands.
pub fn replace<T: Serialize + ?Sized>(path: &Path, value: &T, durability: Durability) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|e| failed("write", path, io::Error::other(e)))?;
    replace_bytes(path, &bytes, durability)
}

/// Replaces a file whole, mode 0600.
///
/// # Errors
/// When the file system refuses; the old content then stands.
pub fn replace_bytes(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let temporary = path.with_file_name(format!(".new-{}", unique()));
    let written = write_new(&temporary, bytes, durability).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|e| {
        // The half-written file is of no use to anyone; the failure above is what the user must see.
        let _ = fs::remove_file(&temporary);
        failed("write", path, e)
    })?;
    match (durability, path.parent()) {
        (Durability::Synced, Some(dir)) => sync_dir(dir),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable, so that what was renamed into it survives a power cut.
///
/// # Errors
/// When the disk reports one.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|e| failed("sync", dir, e))
}

fn write_new(path: &PathBuf, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if durability == Durability::Synced { file.sync_all() } else { Ok(()) }
}

/// Puts a failed file operation into words, with the cure where the errno tells one.
pub fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    let errno = e.raw_os_error().map(Errno::from_raw);
    let error = Error::new(Kind::Storage, format!("{doing} {}", path.display())).caused_by(e);
    match hint(errno) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What to type when the file system answers with this errno.
pub fn hint(errno: Option<Errno>) -> Option<&'static str> {
    Some(match errno? {
        Errno::ENOSPC | Errno::EDQUOT => {
            "The disk or quota is full. Remove images with: coracle rmi IMAGE; or name a place with more room: coracle --root DIR ..."
        }
        Errno::EROFS => {
            "The file system is mounted read-only. Name a place that can be written: coracle --root DIR ..."
        }
        Errno::EACCES | Errno::EPERM => {
            "This account may not write there. Name a place of its own: coracle --root DIR ..."
        }
        Errno::EMFILE => "Too many files are open. Raise the limit: ulimit -n 4096",
        Errno::EIO => "The disk reports an error. Look at: dmesg | tail",
        _ => return None,
    })
}
