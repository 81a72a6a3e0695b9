//! Deleting: rename into `trash/` first, delete later.
//!
//! Theory of operation. One rename makes an object invisible, whatever its size; the slow part happens when
//! nobody waits for it ([`tree`](super::tree)). Files with other ids need the user namespace. Plain unlinking
//! is tried first; what that cannot delete is reported as [`Swept::NeedsNamespace`], for the caller to enter
//! one.

mod sweep;

pub use sweep::{Swept, collect_leftovers, sweep};

use super::place::{Place, TRASH};
use super::record::{failed, unique};
use super::tree::{open_up, remove_tree};
use crate::error::Result;
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Moves something in a directory of the store out of sight, whatever it is; returns whether it was there.
pub(super) fn discard(data: &Path, from: &Place, name: impl AsRef<Path>) -> Result<bool> {
    let (trash, name) = (Place::make(&data.join(TRASH))?, name.as_ref());
    let again = || from.rename(name, &trash, &unique());
    let moved = match again() {
        // A directory that its owner may not write cannot be moved: its `..` changes.
        Err(Errno::EACCES) => match CString::new(name.as_os_str().as_bytes()) {
            Ok(name) => open_up(from.as_fd(), &name).and_then(|()| again()),
            Err(_) => Err(Errno::EINVAL),
        },
        other => other,
    };
    match moved {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(e) => Err(failed("remove", &from.path().join(name), e.into())),
    }
}

/// Deletes a file or tree in a directory of the store.
pub(super) fn remove_in(place: &Place, name: impl Into<Vec<u8>>) -> Result<()> {
    let name = name.into();
    let path = place.path().join(std::ffi::OsStr::from_bytes(&name));
    let name = CString::new(name).map_err(|e| failed("remove", &path, e.into()))?;
    remove_tree(place.as_fd(), &name).map_err(|e| failed("remove", &path, e.into()))
}
