//! Extended attributes and modes of files in a layer.

use crate::sys::fd::link_of;
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

/// File capabilities (capabilities(7), "File capability extended attribute versioning").
const CAPABILITY: &[u8] = b"security.capability";

/// Sets an attribute that an archive asks for; false when it is left out. Overlay's own attributes
/// would let an image forge its view of the layers below (attack case 8); labels of the machine it was
/// made on mean nothing here.
///
/// # Errors
/// Those of fsetxattr(2), except for those of a kind of attribute that cannot be set here.
pub fn set_from_archive(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> nix::Result<bool> {
    let allowed = name == CAPABILITY
        || name.starts_with(b"system.posix_acl_")
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
    let Ok(c_name) = CString::new(name) else { return Ok(false) };
    if !allowed {
        return Ok(false);
    }
    let plain = if name == CAPABILITY { without_root_id(value) } else { value.to_vec() };
    match xattr::set(fd, &c_name, &plain) {
        Ok(()) => Ok(true),
        // Small enough for every file system, so the disk is full: a program must not lose its powers.
        Err(Errno::ENOSPC) if name == CAPABILITY => Err(Errno::ENOSPC),
        // The file system has none of this kind or this large, or this kind needs more than one id.
        Err(
            Errno::EOPNOTSUPP | Errno::EPERM | Errno::ENOSPC | Errno::E2BIG | Errno::ERANGE | Errno::EINVAL,
        ) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Version 3 capabilities name the root of the namespace they were set in; in version 2 form the kernel
/// puts in the root of ours (`struct vfs_ns_cap_data` in linux/capability.h).
fn without_root_id(value: &[u8]) -> Vec<u8> {
    if value.len() != 24 || value[3] != 3 {
        return value.to_vec();
    }
    let mut plain = value[..20].to_vec();
    plain[3] = 2;
    plain
}

/// Copies the attributes of one file of a layer to another, except for overlay's own.
///
/// # Errors
/// Those of flistxattr(2), fgetxattr(2) and fsetxattr(2), except for attributes that are refused here.
pub(in crate::storage) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> nix::Result<()> {
    for name in xattr::list(from)?.split_inclusive(|b| *b == 0) {
        let Ok(c_name) = CStr::from_bytes_with_nul(name) else { continue };
        if let Some(value) = xattr::get(from, c_name)? {
            set_from_archive(to, c_name.to_bytes(), &value)?;
        }
    }
    Ok(())
}

/// Sets the mode of a file that is only held (`O_PATH`), through its own link in /proc.
///
/// # Errors
/// Those of fchmodat(2).
pub fn chmod_held(fd: BorrowedFd<'_>, mode: u32) -> nix::Result<()> {
    let link = link_of(fd);
    fchmodat(AT_FDCWD, link.as_str(), Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
}
