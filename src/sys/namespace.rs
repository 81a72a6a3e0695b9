//! Information from the kernel about a namespace descriptor (ioctl_nsfs(2)).

use super::fd::owned;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

fn ask(namespace: BorrowedFd<'_>, request: libc::Ioctl) -> nix::Result<OwnedFd> {
    // SAFETY: these requests take no argument and give a new descriptor.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), request) })?;
    Ok(owned(fd))
}

/// The user namespace that owns a namespace; for a user namespace, its parent.
///
/// # Errors
/// `EPERM` when the owner is neither the caller's user namespace nor below it.
pub fn owner(namespace: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    ask(namespace, libc::NS_GET_USERNS)
}

/// The kind of a namespace, as its `CLONE_NEW*` flag.
///
/// # Errors
/// `ENOTTY` when the descriptor is not a namespace's.
pub fn kind(namespace: BorrowedFd<'_>) -> nix::Result<libc::c_int> {
    // SAFETY: this request takes no argument.
    Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) })
}
