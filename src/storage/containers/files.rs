//! Small record files below a directory descriptor: complete or absent, never partial.

use crate::storage::record::BELOW;
use crate::storage::record::{self, RECORD_MAX, open_regular};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat, renameat2};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What of a record that was replaced by something else keeps its place in the directory.
const DAMAGED: &str = ".damaged-";

/// Writes a file into a directory that nobody else looks into yet.
pub(super) fn create(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    open_regular(dir, name, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)?.write_all(bytes)
}

/// A new content for a record, written and not yet in its place: what can fail on a full disk lies behind it.
/// Dropped, it is removed.
pub(super) struct Fresh<'a> {
    dir: BorrowedFd<'a>,
    name: &'a str,
    temporary: String,
    at: At,
}

/// What the temporary name of a [`Fresh`] refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The new content.
    New,
    /// The old one.
    Old,
    /// Nothing any more.
    Gone,
}

impl<'a> Fresh<'a> {
    /// Writes the content aside.
    pub(super) fn write(dir: BorrowedFd<'a>, name: &'a str, bytes: &[u8]) -> io::Result<Fresh<'a>> {
        Fresh::write_then(dir, name, bytes, |_| Ok(()))
    }

    /// As [`Fresh::write`], on the disk when it returns: what it takes the place of is on the disk, too.
    pub(super) fn write_synced(dir: BorrowedFd<'a>, name: &'a str, bytes: &[u8]) -> io::Result<Fresh<'a>> {
        Fresh::write_then(dir, name, bytes, File::sync_all)
    }

    fn write_then(
        dir: BorrowedFd<'a>,
        name: &'a str,
        bytes: &[u8],
        then: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<Fresh<'a>> {
        let mut fresh =
            Fresh { dir, name, temporary: format!(".{name}.{}", std::process::id()), at: At::Gone };
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = match open_regular(dir, &fresh.temporary, flags) {
            // A process with our pid was killed before it could rename it.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                out_of_the_way(dir, &fresh.temporary)?;
                open_regular(dir, &fresh.temporary, flags)
            }
            other => other,
        };
        let mut file = file?;
        fresh.at = At::New;
        file.write_all(bytes)?;
        then(&file)?;
        Ok(fresh)
    }

    /// Gives it its name. Not synced: a power cut may bring back the old content or, on some file systems, an
    /// empty file; readers take an unreadable record as absent.
    pub(super) fn put(mut self) -> io::Result<()> {
        self.rename()
    }

    /// As [`Fresh::put`], for a record that others can be made of again, or whose old content may be wanted
    /// back: the two files exchange their names and the old one goes when this value does. A rename over it
    /// would make ext4 write the new one to the disk at once, and whoever removes that wait for it
    /// (ext4(5), `auto_da_alloc`): a third of a millisecond in the life of a short container.
    pub(super) fn exchange(&mut self) -> io::Result<()> {
        match renameat2(self.dir, self.temporary.as_str(), self.dir, self.name, RenameFlags::RENAME_EXCHANGE)
        {
            Ok(()) => {
                self.at = At::Old;
                Ok(())
            }
            // It is the first one, or the file system cannot.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOSYS) => self.rename(),
            Err(e) => Err(e.into()),
        }
    }

    /// Puts the old content back in its place, or nothing where there was none.
    pub(super) fn undo(&mut self) -> io::Result<()> {
        match self.at {
            At::New => return Ok(()),
            At::Old => renameat(self.dir, self.temporary.as_str(), self.dir, self.name)?,
            At::Gone => unlinkat(self.dir, self.name, UnlinkatFlags::NoRemoveDir)?,
        }
        self.at = At::Gone;
        Ok(())
    }

    fn rename(&mut self) -> io::Result<()> {
        let rename = || renameat(self.dir, self.temporary.as_str(), self.dir, self.name);
        match rename() {
            // Something else is in the record's place, and no file takes that of a directory.
            Err(Errno::EISDIR) => out_of_the_way(self.dir, self.name).and_then(|()| Ok(rename()?))?,
            other => other?,
        }
        self.at = At::Gone;
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if self.at == At::Gone {
            return;
        }
        let removed = unlinkat(self.dir, self.temporary.as_str(), UnlinkatFlags::NoRemoveDir);
        if removed == Err(Errno::EISDIR) {
            // An exchange has brought back a directory that stood in a record's place.
            let _ = out_of_the_way(self.dir, &self.temporary);
        }
    }
}

/// Replaces a file by writing a new one and renaming it over.
pub(super) fn replace(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    Fresh::write(dir, name, bytes)?.put()
}

/// As [`replace`], for a record that others can be made of again; see [`Fresh::exchange`].
pub(super) fn replace_derived(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    Fresh::write(dir, name, bytes)?.exchange()
}

/// As [`replace`], with a value's JSON.
pub(super) fn replace_json<T: Serialize>(dir: BorrowedFd<'_>, name: &str, value: &T) -> io::Result<()> {
    replace(dir, name, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

/// Renames an entry of a directory, whatever it is.
pub(super) fn out_of_the_way(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let aside = format!("{DAMAGED}{}", record::unique());
    match renameat(dir, name, dir, aside.as_str()) {
        Err(Errno::ENOENT) => Ok(()),
        other => Ok(other?),
    }
}

/// A file's bytes; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read; `InvalidData` for what is no record at all: a link, a FIFO, a directory, a file
/// that is far too large.
pub(super) fn read(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    record::read_bytes(dir, name, RECORD_MAX)
}

/// A record; `None` when the file is absent or, after a power cut, not readable as one.
pub(super) fn read_json<T: DeserializeOwned>(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<T>> {
    match read(dir, name) {
        Err(e) if e.kind() == ErrorKind::InvalidData => Ok(None),
        other => Ok(other?.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
    }
}

/// Whether anything has this name.
pub(super) fn is_there(dir: BorrowedFd<'_>, name: &str) -> bool {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// Makes a directory for its owner alone; one that already exists will do.
pub(super) fn make_dir(base: impl AsFd, name: &str) -> nix::Result<()> {
    match mkdirat(base, name, Mode::S_IRWXU) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// Opens a directory for use as a base, below another one and through no link.
pub(super) fn open_dir(base: impl AsFd, name: &str) -> nix::Result<OwnedFd> {
    open_within(base, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, BELOW)
}
