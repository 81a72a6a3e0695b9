//! Whiteouts: from the names in an archive to overlay's format.
//!
//! In an archive, `.wh.NAME` means that NAME is deleted from the layers below, and `.wh..wh..opq` that
//! everything in its directory is (OCI image spec, layer.md, "Whiteouts"). Overlay represents the first by a
//! character device 0:0, which anyone may create since Linux 5.8, and the second by an attribute on the
//! directory, in the `user.` namespace if mounted with `userxattr` (overlayfs.rst, "whiteouts and opaque
//! directories"). Where such a device cannot be created, as on an overlay, a whiteout is an empty file with
//! another attribute, and its directory has the first one with the value `x`. All of these only ever apply to
//! lower layers, whatever the order of entries.

use crate::error::{Error, Kind, Result};
use crate::sys::fd::{despite_leases, link_of};
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What names of whiteouts start with.
pub(super) const PREFIX: &[u8] = b".wh.";
/// What an old union file system's own files start with; they mean nothing to others.
const INTERNAL: &[u8] = b".wh..wh.";
/// The name that makes a directory opaque.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Overlay's attribute for an opaque directory.
const OPAQUE_XATTR: &CStr = c"user.overlay.opaque";
/// Overlay's attribute for a whiteout that is no device.
const WHITEOUT_XATTR: &CStr = c"user.overlay.whiteout";

/// What an entry's last component means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// An entry like any other.
    Plain,
    /// This name of the lower layers is gone.
    Whiteout(&'a [u8]),
    /// All names of the lower layers in this directory are gone.
    Opaque,
    /// Nothing is created.
    Internal,
}

/// Reads an entry's components, of which the last is `name`.
pub(super) fn meaning<'a>(dir: &[u8], name: &'a [u8]) -> Result<Meaning<'a>> {
    let mut parents = dir.split(|b| *b == b'/').filter(|p| p.starts_with(PREFIX));
    if let Some(parent) = parents.next() {
        if parent.starts_with(INTERNAL) {
            return Ok(Meaning::Internal);
        }
        return Err(Error::new(Kind::Image, "the archive has entries below a whiteout"));
    }
    if name == OPAQUE {
        return Ok(Meaning::Opaque);
    }
    if name.starts_with(INTERNAL) {
        return Ok(Meaning::Internal);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Meaning::Plain),
        Some(b"" | b"." | b"..") => Err(Error::new(Kind::Image, "the archive has a whiteout without a name")),
        Some(hidden) => Ok(Meaning::Whiteout(hidden)),
    }
}

/// Whether a name means something else in an archive than on a disk.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Whether this is a whiteout in overlay's usual form.
fn is(status: &FileStat) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && status.st_rdev == 0
}

/// Whether what has this name and status is a whiteout, in either of overlay's forms.
///
/// # Errors
/// Those of openat(2) and fgetxattr(2).
pub(super) fn is_at(dir: BorrowedFd<'_>, name: &CStr, status: &FileStat) -> nix::Result<bool> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    look(status, || openat(dir, name, flags, Mode::empty()))
}

/// As [`is_at`], of a file that is only held (`O_PATH`).
///
/// # Errors
/// As there.
pub(super) fn is_held(file: BorrowedFd<'_>, status: &FileStat) -> nix::Result<bool> {
    let link = link_of(file);
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    look(status, || openat(AT_FDCWD, link.as_str(), flags, Mode::empty()))
}

fn look(status: &FileStat, open: impl FnMut() -> nix::Result<OwnedFd>) -> nix::Result<bool> {
    if status.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() || status.st_size != 0 {
        return Ok(is(status));
    }
    match despite_leases(open) {
        Ok(file) => Ok(xattr::get(file.as_fd(), WHITEOUT_XATTR)?.is_some()),
        // Gone or another meanwhile; not for this user to read.
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::EACCES | Errno::EPERM) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes a whiteout in overlay's form.
///
/// # Errors
/// Those of mknodat(2).
pub(super) fn make(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    match mknodat(dir, name, SFlag::S_IFCHR, Mode::empty(), 0) {
        // Some file systems have no such device for a user, overlay itself among them.
        Err(Errno::EPERM) => make_marked(dir, name),
        other => other,
    }
}

/// Makes one in the form for whiteouts on an overlay (since Linux 6.7; overlayfs.rst, "Nesting overlayfs
/// mounts").
///
/// # Errors
/// Those of openat(2) and fsetxattr(2).
pub(super) fn make_marked(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    xattr::set(file.as_fd(), WHITEOUT_XATTR, b"y").and_then(|()| admit(dir, name, dir)).inspect_err(|_| {
        let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
    })
}

/// Says of directory `to` that it may hold such a whiteout as `name` in `dir` is.
///
/// # Errors
/// Those of fstatat(2), openat(2) and fsetxattr(2).
pub(super) fn admit(dir: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>) -> nix::Result<()> {
    if is(&fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?) {
        return Ok(());
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let to = openat(to, c".", flags, Mode::empty())?;
    match xattr::get(to.as_fd(), OPAQUE_XATTR)? {
        None => xattr::set(to.as_fd(), OPAQUE_XATTR, b"x"),
        Some(_) => Ok(()),
    }
}

/// Whether a directory may hold whiteouts that are no devices.
///
/// # Errors
/// Those of fgetxattr(2).
pub(super) fn has_marked(dir: BorrowedFd<'_>) -> nix::Result<bool> {
    match xattr::get(dir, OPAQUE_XATTR) {
        Err(Errno::EACCES | Errno::EPERM) => Ok(false),
        // One that is opaque may hold them from before.
        other => Ok(other?.is_some()),
    }
}

/// Makes a directory opaque.
///
/// # Errors
/// Those of fsetxattr(2).
pub(super) fn set_opaque(dir: BorrowedFd<'_>) -> nix::Result<()> {
    xattr::set(dir, OPAQUE_XATTR, b"y")
}

/// Whether a directory is opaque.
///
/// # Errors
/// Those of fgetxattr(2).
pub(super) fn is_opaque(dir: BorrowedFd<'_>) -> nix::Result<bool> {
    match xattr::get(dir, OPAQUE_XATTR) {
        // A directory that this user may not read has no attributes for this user either.
        Err(Errno::EACCES | Errno::EPERM) => Ok(false),
        other => other.map(|value| value.as_deref() == Some(b"y")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is deleted below is always a name, and no other entry is made with one of a whiteout.
        #[test]
        fn any_name_is_an_entry_a_whiteout_or_refused(
            dir in prop::collection::vec(prop::sample::select(&b"./awhq\xff"[..]), 0..20),
            name in prop::collection::vec(prop::sample::select(&b".whopq-\x00\xff"[..]), 1..14),
        ) {
            match meaning(&dir, &name) {
                Ok(Meaning::Whiteout(gone)) => {
                    prop_assert!(!gone.is_empty() && !matches!(gone, b"." | b".."), "{gone:?}");
                }
                Ok(Meaning::Plain) => prop_assert!(!name.starts_with(PREFIX), "{name:?}"),
                _ => {}
            }
        }
    }
}
