//! Owners, modes, sizes, times and extended attributes.

use super::content::Content;
use super::tree::{Tree, UPPER, What};
use crate::storage::fuse::attributes::listed;
use crate::storage::fuse::numbers::Found;
use crate::storage::unpack::chmod_held;
use crate::sys::fd::link_of;
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, readlinkat};
use nix::libc;
use nix::sys::stat::{SFlag, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, ftruncate};
use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Names of attributes that are overlay's own.
const OWN: &[u8] = b"user.overlay.";

/// The attributes of a file to change.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Changes {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    /// Of access and of modification, either left as it is where there is none.
    pub(super) times: (Option<TimeSpec>, Option<TimeSpec>),
}

impl Tree {
    /// Changes a file, and says what is known of it then.
    pub(super) fn change(&mut self, number: u64, changes: Changes) -> nix::Result<Found> {
        self.raise(number)?;
        let file = self.reach(number)?;
        if changes.uid.is_some() || changes.gid.is_some() {
            let (uid, gid) = (changes.uid.map(Uid::from_raw), changes.gid.map(Gid::from_raw));
            fchownat(&file, c"", uid, gid, AtFlags::AT_EMPTY_PATH)?;
        }
        // Giving it away has dropped bits that may have been asked for.
        if let Some(mode) = changes.mode {
            chmod_held(file.as_fd(), mode & 0o7777)?;
        }
        if let Some(size) = changes.size {
            let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
            match self.node(number)?.content.upgrade().filter(|content| content.is_writable()) {
                Some(content) => ftruncate(content.file(), size)?,
                None => ftruncate(self.open_file(number, OFlag::O_WRONLY)?, size)?,
            }
        }
        if changes.times != (None, None) {
            let omit = TimeSpec::new(0, libc::UTIME_OMIT);
            let (accessed, modified) = (changes.times.0.unwrap_or(omit), changes.times.1.unwrap_or(omit));
            let link = link_of(&file);
            let follow = UtimensatFlags::FollowSymlink;
            utimensat(AT_FDCWD, link.as_str(), &accessed, &modified, follow)?;
        }
        self.examine(number)
    }

    /// Where a symlink leads, in its own words.
    pub(super) fn read_link(&mut self, number: u64) -> nix::Result<OsString> {
        readlinkat(&self.reach(number)?, c"")
    }

    /// The content of a regular file that is opened.
    pub(super) fn open(&mut self, number: u64, write: bool) -> nix::Result<Arc<Content>> {
        match self.node(number)?.what {
            What::Directory(_) => return Err(Errno::EISDIR),
            What::File(UPPER) => {}
            What::File(_) if write => self.raise(number)?,
            What::File(_) => {}
        }
        let open = self.node(number)?.content.upgrade();
        if let Some(content) = open {
            if write && !content.is_writable() {
                content.becomes(self.open_file(number, OFlag::O_RDWR)?, true);
            }
            return Ok(content);
        }
        let flags = if write { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let content = Arc::new(Content::new(self.open_file(number, flags)?, write));
        self.node_mut(number)?.content = Arc::downgrade(&content);
        Ok(content)
    }

    /// An extended attribute, of those that are shown.
    pub(super) fn attribute(&mut self, number: u64, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
        if !is_shown(name.to_bytes()) {
            return Ok(None);
        }
        match self.attributes_of(number)? {
            Some(file) => xattr::get(file.as_fd(), name),
            None => Ok(None),
        }
    }

    /// The names of all extended attributes that are shown, each ended by a NUL byte.
    pub(super) fn attributes(&mut self, number: u64) -> nix::Result<Vec<u8>> {
        let Some(file) = self.attributes_of(number)? else { return Ok(Vec::new()) };
        listed(file.as_fd(), is_shown)
    }

    /// Sets an extended attribute; `flags` as of setxattr(2).
    pub(super) fn set_attribute(
        &mut self,
        number: u64,
        name: &CStr,
        value: &[u8],
        flags: i32,
    ) -> nix::Result<()> {
        check_change(name.to_bytes())?;
        self.raise(number)?;
        let file = self.attributes_of(number)?.ok_or(Errno::EOPNOTSUPP)?;
        xattr::set_with(file.as_fd(), name, value, flags)
    }

    pub(super) fn remove_attribute(&mut self, number: u64, name: &CStr) -> nix::Result<()> {
        check_change(name.to_bytes())?;
        // What is not there is no reason to copy a file.
        if self.attribute(number, name)?.is_none() {
            return Err(Errno::ENODATA);
        }
        self.raise(number)?;
        let file = self.attributes_of(number)?.ok_or(Errno::EOPNOTSUPP)?;
        xattr::remove(file.as_fd(), name)
    }

    /// What attributes can be read from: other files than these two kinds are never opened, and have none.
    fn attributes_of(&mut self, number: u64) -> nix::Result<Option<Arc<OwnedFd>>> {
        if let Some(content) = self.node(number)?.content.upgrade() {
            return Ok(Some(content.file()));
        }
        match self.open_file(number, OFlag::O_RDONLY) {
            Ok(file) => Ok(Some(Arc::new(file))),
            // Another kind; one that is closed to us.
            Err(Errno::ENXIO | Errno::EACCES) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// ACLs hold ids and are not enforced here, so they are not shown.
fn is_shown(name: &[u8]) -> bool {
    (name.starts_with(b"user.") || name.starts_with(b"security.")) && !name.starts_with(OWN)
}

fn check_change(name: &[u8]) -> nix::Result<()> {
    if name.starts_with(OWN) {
        return Err(Errno::EPERM);
    }
    if is_shown(name) { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

/// Whether it is a kind of file that a container may make.
pub(super) fn kind_to_make(mode: u32) -> nix::Result<SFlag> {
    match SFlag::from_bits_truncate(mode & libc::S_IFMT) {
        kind @ (SFlag::S_IFREG | SFlag::S_IFIFO | SFlag::S_IFSOCK) => Ok(kind),
        // No devices, of which a whiteout is one.
        _ => Err(Errno::EPERM),
    }
}
