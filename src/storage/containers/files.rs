//! Small record files below a directory descriptor: whole or absent, never half.

use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes read at once; larger than most records.
const BLOCK: usize = 4096;

/// Flags to write a new file.
const NEW: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Writes a file into a directory that nobody else looks into yet.
pub(super) fn create(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = openat(dir, name, NEW | OFlag::O_EXCL, Mode::from_bits_truncate(0o600))?;
    File::from(file).write_all(bytes)
}

/// Replaces a file by writing a new one and renaming it over. Not synced: a power cut may bring back the
/// old content or, on some file systems, an empty file; readers take an unreadable record as absent.
pub(super) fn replace(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_by(dir, name, bytes, |fresh| renameat(dir, fresh, dir, name))
}

/// As [`replace`], for a record that others can be made of again: the two files exchange their names and the
/// old one is removed. A rename over it would make ext4 write the new one to the disk at once, and whoever
/// removes that wait for it (ext4(5), `auto_da_alloc`): a third of a millisecond in the life of a short
/// container.
pub(super) fn replace_derived(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_by(dir, name, bytes, |fresh| {
        match renameat2(dir, fresh, dir, name, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => unlinkat(dir, fresh, UnlinkatFlags::NoRemoveDir),
            // It is the first one, or the file system cannot.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOSYS) => renameat(dir, fresh, dir, name),
            Err(e) => Err(e),
        }
    })
}

/// Writes a new file, which `name_it` gives its name, from the one it is told.
fn replace_by(
    dir: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    name_it: impl FnOnce(&str) -> nix::Result<()>,
) -> io::Result<()> {
    let fresh = format!(".{name}.{}", std::process::id());
    let mut file =
        File::from(openat(dir, fresh.as_str(), NEW | OFlag::O_TRUNC, Mode::from_bits_truncate(0o600))?);
    let written = file.write_all(bytes).and_then(|()| Ok(name_it(&fresh)?));
    if written.is_err() {
        // A full disk must not leave the new file behind.
        let _ = unlinkat(dir, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
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

/// Makes a directory for its owner alone; one that is there already will do.
pub(super) fn make_dir(base: impl AsFd, name: &str) -> nix::Result<()> {
    match mkdirat(base, name, Mode::S_IRWXU) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// Opens a directory for use as a base.
pub(super) fn open_dir(base: impl AsFd, name: &str) -> nix::Result<std::os::fd::OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(base, name, flags, Mode::empty())
}
