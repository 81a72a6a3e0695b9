//! Small record files below a directory descriptor: whole or absent, never half.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::UnlinkatFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes read at once; larger than most records.
const BLOCK: usize = 4096;

/// Replaces a file by writing a new one and renaming it over. Not synced: a power cut may bring back the
/// old content or, on some file systems, an empty file; readers take an unreadable record as absent.
pub(super) fn replace(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = format!(".{name}.{}", std::process::id());
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(dir, fresh.as_str(), flags, Mode::from_bits_truncate(0o600))?);
    let written = file.write_all(bytes).and_then(|()| Ok(renameat(dir, fresh.as_str(), dir, name)?));
    if written.is_err() {
        // A full disk must not leave the new file behind.
        let _ = nix::unistd::unlinkat(dir, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    written
}

/// As [`replace`], with a value's JSON.
pub(super) fn replace_json<T: Serialize>(dir: BorrowedFd<'_>, name: &str, value: &T) -> io::Result<()> {
    replace(dir, name, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

/// A file's bytes; `None` when there is no such file.
pub(super) fn read(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
    {
        Ok(fd) => fd,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut bytes = Vec::new();
    let mut block = [0; BLOCK];
    loop {
        match nix::unistd::read(&file, &mut block) {
            Ok(length) => {
                bytes.extend_from_slice(&block[..length]);
                // A regular file gives less than was asked for at its end only (read(2)), and the records
                // are small: one call reads one, which is what makes listings fast.
                if length < BLOCK {
                    return Ok(Some(bytes));
                }
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// A record; `None` when the file is absent or, after a power cut, not readable as one.
pub(super) fn read_json<T: DeserializeOwned>(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<T>> {
    Ok(read(dir, name)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Opens a directory for use as a base.
pub(super) fn open_dir(base: impl AsFd, name: &str) -> nix::Result<std::os::fd::OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(base, name, flags, Mode::empty())
}
