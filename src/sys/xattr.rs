//! Extended attributes of open files (xattr(7)), which nix lacks.

use nix::errno::Errno;
use nix::libc;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// fsetxattr(2): makes or replaces an attribute.
///
/// # Errors
/// `EOPNOTSUPP` when the file system has none of this kind, `EPERM` when this kind is forbidden here.
pub fn set(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> nix::Result<()> {
    set_with(fd, name, value, 0)
}

/// fsetxattr(2) with `XATTR_CREATE` or `XATTR_REPLACE` among the flags.
///
/// # Errors
/// As [`set`]; `EEXIST` or `ENODATA` as the flags demand.
pub fn set_with(fd: BorrowedFd<'_>, name: &CStr, value: &[u8], flags: i32) -> nix::Result<()> {
    // SAFETY: name is NUL-terminated, value is valid for its length, both outlive the call.
    let result =
        unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) };
    Errno::result(result).map(drop)
}

/// fgetxattr(2): an attribute's value; `None` when there is no such attribute.
///
/// # Errors
/// Those of fgetxattr(2), except for `ENODATA` and `EOPNOTSUPP`.
pub fn get(fd: BorrowedFd<'_>, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
    let read = |buffer: &mut [u8]| {
        // SAFETY: name is NUL-terminated, buffer is valid for its length, both outlive the call.
        let result = unsafe {
            libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        };
        Errno::result(result)
    };
    match grow(read) {
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        other => other.map(Some),
    }
}

/// flistxattr(2): the names of all attributes, each ended by a NUL byte.
///
/// # Errors
/// Those of flistxattr(2), except for `EOPNOTSUPP`.
pub fn list(fd: BorrowedFd<'_>) -> nix::Result<Vec<u8>> {
    let read = |buffer: &mut [u8]| {
        // SAFETY: buffer is valid for its length and outlives the call.
        let result = unsafe { libc::flistxattr(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        Errno::result(result)
    };
    match grow(read) {
        Err(Errno::EOPNOTSUPP) => Ok(Vec::new()),
        other => other,
    }
}

/// fremovexattr(2).
///
/// # Errors
/// `ENODATA` when there is no such attribute.
pub fn remove(fd: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    // SAFETY: name is NUL-terminated and outlives the call.
    Errno::result(unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// Calls with a larger buffer while the answer does not fit.
fn grow(read: impl Fn(&mut [u8]) -> nix::Result<libc::ssize_t>) -> nix::Result<Vec<u8>> {
    let mut buffer = vec![0u8; 256];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(usize::try_from(length).unwrap_or(0));
                return Ok(buffer);
            }
            // 64 KiB is the kernel's own limit (XATTR_SIZE_MAX, XATTR_LIST_MAX).
            Err(Errno::ERANGE) if buffer.len() < 1 << 16 => buffer.resize(1 << 16, 0),
            Err(e) => return Err(e),
        }
    }
}
