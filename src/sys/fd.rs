//! Descriptors: closing ranges, resolving paths inside a directory.

use nix::errno::Errno;
use nix::libc;

/// Closes every descriptor from `first` up (close_range(2)).
///
/// # Errors
/// Those of close_range(2).
pub fn close_from(first: u32) -> nix::Result<()> {
    // SAFETY: closes descriptors by number; callers own none above `first` that they use again.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Marks every descriptor from `first` up close-on-exec (close_range(2) with `CLOSE_RANGE_CLOEXEC`).
///
/// # Errors
/// Those of close_range(2).
pub fn cloexec_from(first: u32) -> nix::Result<()> {
    // SAFETY: changes flags only.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Takes ownership of a descriptor that the kernel has just handed to this process.
pub fn owned(raw: std::os::fd::RawFd) -> std::os::fd::OwnedFd {
    // SAFETY: callers pass numbers from SCM_RIGHTS or an exec hand-over, which nobody else owns.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) }
}
