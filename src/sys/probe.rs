//! Finding out what the kernel supports, without using it.

use nix::errno::Errno;
use nix::libc;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether the kernel (or a filter around this process) knows a system call.
///
/// The call is made with arguments that every call refuses: descriptors that are not open, null
/// pointers, sizes of nought. Meant for calls that take a descriptor or a pointer first.
pub fn knows(number: libc::c_long) -> bool {
    // SAFETY: nothing is read or written through null pointers, the kernel answers EFAULT or EINVAL;
    // -1 is never an open descriptor.
    let result = unsafe { libc::syscall(number, -1_i64, 0_i64, 0_i64, 0_i64, 0_i64, 0_i64) };
    result >= 0 || Errno::last() != Errno::ENOSYS
}

/// Whether a file carries capabilities (capabilities(7), `security.capability`).
pub fn has_file_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings are terminated; a size of nought asks for the length only.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    length > 0
}
