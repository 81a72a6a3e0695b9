//! What was selected, as it was found.

use crate::storage::unpack::file_type;
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::CString;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file or directory that was selected.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name in its directory.
    pub(super) name: CString,
    /// Permission bits with the set-id bits.
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: (u32, u32),
    /// When it was changed last.
    pub(super) modified: Moment,
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A directory.
    Directory(Directory),
    /// A regular file, and whether it has other names.
    File(Identity, bool),
    /// A symlink to this.
    Symlink(Vec<u8>),
    /// A FIFO.
    Fifo,
}

/// A directory, and what of it was selected.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// In the order of their names.
    pub(super) children: Vec<Node>,
    /// It was not selected, but something in it was: one that is there already keeps its attributes.
    pub(super) implied: bool,
    /// The digest of its extended attributes, if it has any that count.
    pub(super) attributes: Option<[u8; 32]>,
}

/// A point in time: seconds since 1970 and nanoseconds.
pub(super) type Moment = (i64, i64);

/// The present time.
pub(super) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), i64::from(since.subsec_nanos()))
}

/// What does not change while a file stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) modified: Moment,
    pub(super) changed: Moment,
}

impl Identity {
    pub(super) fn of(status: &FileStat) -> Identity {
        Identity {
            dev: status.st_dev,
            ino: status.st_ino,
            size: u64::try_from(status.st_size).unwrap_or(0),
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }
}

impl Kind {
    /// What something of this status is that is no directory; `None` for what is never copied: a socket, a device.
    ///
    /// # Errors
    /// Those of `link`, which reads the target of a symlink.
    pub(super) fn of_leaf(
        status: &FileStat,
        link: impl FnOnce() -> nix::Result<Vec<u8>>,
    ) -> nix::Result<Option<Kind>> {
        Ok(match file_type(status) {
            SFlag::S_IFREG => Some(Kind::File(Identity::of(status), status.st_nlink > 1)),
            SFlag::S_IFLNK => Some(Kind::Symlink(link()?)),
            SFlag::S_IFIFO => Some(Kind::Fifo),
            _ => None,
        })
    }
}

impl Node {
    pub(super) fn of(name: CString, status: &FileStat, kind: Kind) -> Node {
        Node {
            name,
            mode: status.st_mode & 0o7777,
            owner: (status.st_uid, status.st_gid),
            modified: (status.st_mtime, status.st_mtime_nsec),
            kind,
        }
    }
}
