//! The root file system of a running container, as its first process sees it.

use crate::error::{Context, Error, Kind, Result};
use crate::storage::containers::RunRecord;
use crate::sys::process;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, OwnedFd};

/// Opens the root directory of a container's first process (`O_PATH`), mounts and volumes included. What
/// is below must be resolved inside it, for the container may change it at any moment.
///
/// # Errors
/// `Conflict` when the process is gone; `Runtime` when its root is closed to this process.
pub fn of_process(run: &RunRecord) -> Result<OwnedFd> {
    let gone = || Error::new(Kind::Conflict, "the container has just ended");
    let pidfd = run.open_init().ok_or_else(gone)?;
    let path = format!("/proc/{}/root", run.init.pid);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(path.as_str(), flags, Mode::empty());
    // The number meant this process all the while only if it is still there (attack case 37).
    if process::pidfd_send_signal(pidfd.as_fd(), 0).is_err() {
        return Err(gone());
    }
    root.context(Kind::Runtime, || "open the container's root directory")
}
