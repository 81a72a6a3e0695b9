//! Layers that may not be on the disk yet.
//!
//! Theory of operation. A layer that is made in place is used at once, and synced when an image names it: syncing
//! each step of a build would take longer than the step. Until then a file in its directory has the id of the boot
//! that it was made in. As long as the machine runs, the kernel shows such a layer whole, however its maker ended.
//! After a power cut parts may be missing; the id is another one then, and the layer counts as absent.

use crate::error::Result;
use crate::storage::boot::boot_id;
use crate::storage::place::Place;
use crate::storage::record::{Durability, read_bytes};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// The file that has the id.
const MARKER: &str = "unsynced";
/// More bytes than an id has.
const ID_MAX: u64 = 64;

/// Whether what is in a layer's directory can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is on the disk.
    Synced,
    /// It is whole, and may not survive a power cut.
    Unsynced,
    /// It has been through a power cut, perhaps.
    Torn,
}

fn this_boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(boot_id)
}

/// Says of a layer that it is not on the disk; before it gets its place.
///
/// # Errors
/// When the file system refuses.
pub(super) fn mark(home: &Place) -> Result<()> {
    home.replace_bytes(MARKER, this_boot().as_bytes(), Durability::Volatile)
}

/// Takes that back.
///
/// # Errors
/// When the file system refuses.
pub(super) fn unmark(home: &Place) -> Result<()> {
    home.remove_file(MARKER).map(drop)
}

/// What is known of the layer in this directory. One system call for a layer without a mark.
pub(super) fn state(home: &Place) -> State {
    if matches!(home.look(MARKER), Ok(None)) {
        return State::Synced;
    }
    match read_bytes(home.as_fd(), MARKER, ID_MAX) {
        Ok(Some(id)) if !id.is_empty() && id == this_boot().as_bytes() => State::Unsynced,
        // Taken back meanwhile.
        Ok(None) => State::Synced,
        _ => State::Torn,
    }
}
