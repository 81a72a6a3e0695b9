//! The descriptors a server works from.

use std::os::fd::OwnedFd;

/// The descriptors a server works from.
#[derive(Debug)]
pub(super) struct Opened {
    /// The upper directory, then the lower ones, the top one first (`O_PATH`).
    pub(super) layers: Vec<OwnedFd>,
    pub(super) work: OwnedFd,
    pub(super) volatile: bool,
}
