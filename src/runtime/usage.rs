//! What a container takes on the disk, whoever inside owns it.

use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, disk_usage};
use crate::userns;
use std::os::fd::AsRawFd;

/// Bytes that a container has written.
///
/// # Errors
/// When they cannot be counted.
pub fn written(store: &Store, dir: &ContainerDir) -> Result<u64> {
    disk_usage(dir).or_else(|_| {
        // Directories of other ids are closed to us, but not to us inside.
        userns::in_child(store.runtime(), &[dir.fd().as_raw_fd()], || disk_usage(dir))
    })
}
