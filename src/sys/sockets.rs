//! Sockets of other processes, and options of sockets as the kernel has them.

use super::fd::owned;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Longest value of an option that is read here, in bytes.
const VALUE_MAX: usize = 64;

/// A descriptor of its own for one of another process (pidfd_getfd(2)).
///
/// # Errors
/// `EBADF` when it has none of this number, `EPERM` without the right to trace it, `ESRCH`.
pub fn descriptor_of(process: BorrowedFd<'_>, number: i32) -> nix::Result<OwnedFd> {
    // SAFETY: takes numbers only and gives a new descriptor.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })?;
    i32::try_from(fd).map(owned).map_err(|_| Errno::EBADF)
}

/// The value of an option (getsockopt(2)), as far as it fits into 64 bytes.
///
/// # Errors
/// Those of getsockopt(2); `ENOPROTOOPT` where the kernel does not know it; `EINVAL` for `SO_GET_FILTER`, whose length
/// is none of bytes.
pub fn option(socket: BorrowedFd<'_>, level: i32, name: i32) -> nix::Result<Vec<u8>> {
    if (level, name) == (libc::SOL_SOCKET, libc::SO_GET_FILTER) {
        return Err(Errno::EINVAL);
    }
    value_of(socket, level, name, VALUE_MAX)
}

fn value_of(socket: BorrowedFd<'_>, level: i32, name: i32, longest: usize) -> nix::Result<Vec<u8>> {
    let mut value = vec![0u8; longest];
    let mut length = libc::socklen_t::try_from(longest).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the pointer and length are those of one live, writable buffer.
    Errno::result(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length)
    })?;
    value.truncate(length as usize);
    Ok(value)
}

/// The value of an option that is a number.
///
/// # Errors
/// As [`option`]; `EINVAL` when it is something else.
pub fn number(socket: BorrowedFd<'_>, level: i32, name: i32) -> nix::Result<i32> {
    option(socket, level, name)?.try_into().map(i32::from_ne_bytes).map_err(|_| Errno::EINVAL)
}

/// Whether a filter is attached to it (`SO_ATTACH_FILTER`).
///
/// # Errors
/// Those of getsockopt(2).
pub fn has_filter(socket: BorrowedFd<'_>) -> nix::Result<bool> {
    let mut length: libc::socklen_t = 0;
    // SAFETY: with a length of nought the kernel stores nothing but the count of instructions there.
    Errno::result(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_GET_FILTER,
            std::ptr::null_mut(),
            &raw mut length,
        )
    })?;
    Ok(length > 0)
}

/// Sets an option (setsockopt(2)).
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> nix::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the pointer and length are those of one live slice, which the call only reads.
    Errno::result(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) })
        .map(drop)
}

/// Dissolves a connection (connect(2), `AF_UNSPEC`).
///
/// # Errors
/// Those of connect(2).
pub fn dissolve(socket: BorrowedFd<'_>) -> nix::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the structure is alive for the call, which only reads it.
    Errno::result(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) }).map(drop)
}

/// What the kernel knows a socket's network namespace by (`SO_NETNS_COOKIE`): never given again.
///
/// # Errors
/// Those of getsockopt(2).
pub fn network_of(socket: BorrowedFd<'_>) -> nix::Result<u64> {
    cookie(socket, libc::SO_NETNS_COOKIE)
}

/// What the kernel knows a socket by (`SO_COOKIE`): never given again.
///
/// # Errors
/// Those of getsockopt(2).
pub fn identity(socket: BorrowedFd<'_>) -> nix::Result<u64> {
    cookie(socket, libc::SO_COOKIE)
}

fn cookie(socket: BorrowedFd<'_>, name: i32) -> nix::Result<u64> {
    // The kernel wants exactly the length of this one.
    let value = value_of(socket, libc::SOL_SOCKET, name, size_of::<u64>())?;
    value.try_into().map(u64::from_ne_bytes).map_err(|_| Errno::EINVAL)
}
