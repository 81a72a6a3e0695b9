//! Whiteouts: from the archive's names to overlay's form.
//!
//! In an archive `.wh.NAME` says that NAME of the layers below is gone, and `.wh..wh..opq` that
//! everything in its directory is (OCI image spec, layer.md, "Whiteouts"). Overlay wants a character
//! device 0:0 for the first, which anyone may make since Linux 5.8, and for the second an attribute on
//! the directory, in the `user.` space when mounted with `userxattr` (overlayfs.rst, "whiteouts and
//! opaque directories"). Both only ever apply to lower layers, in whatever order entries come.

use crate::error::{Error, Kind, Result};
use crate::sys::xattr;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag, mknodat};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// What names of whiteouts start with.
pub(super) const PREFIX: &[u8] = b".wh.";
/// What an old union file system's own files start with; they mean nothing to others.
const INTERNAL: &[u8] = b".wh..wh.";
/// The name that makes a directory opaque.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Overlay's attribute for an opaque directory.
const OPAQUE_XATTR: &CStr = c"user.overlay.opaque";

/// What an entry's last component means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// An entry like any other.
    Plain,
    /// This name of the lower layers is gone.
    Whiteout(&'a [u8]),
    /// All names of the lower layers in this directory are gone.
    Opaque,
    /// Nothing; not to be made.
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

/// Whether this is a whiteout in overlay's form.
pub(super) fn is(status: &FileStat) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && status.st_rdev == 0
}

/// Makes a whiteout in overlay's form.
///
/// # Errors
/// Those of mknodat(2).
pub(super) fn make(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    mknodat(dir, name, SFlag::S_IFCHR, Mode::empty(), 0)
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
