//! The descriptor-based mount interface: open_tree, fsopen, mount_setattr and friends.
//!
//! Flag values are the kernel's (`linux/mount.h`); where libc has the name, libc's is used.

use super::fd::owned;
use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `MOUNT_ATTR_*` bits of mount_setattr(2) and fsmount(2).
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// Ignore set-user-id bits.
    pub const NOSUID: u64 = 0x2;
    /// Ignore device nodes.
    pub const NODEV: u64 = 0x4;
    /// Refuse to execute.
    pub const NOEXEC: u64 = 0x8;
}

/// What open_tree(2) gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// A detached copy of this one mount.
    Clone,
    /// A detached copy of this mount and all below it.
    CloneRecursive,
}

fn c_string(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// open_tree(2): a detached copy of the mount that `path` below `dir` is on, rooted at `path`.
///
/// An empty path means `dir` itself. The last component is not followed when it is a symlink.
///
/// # Errors
/// Those of open_tree(2).
pub fn open_tree(dir: BorrowedFd<'_>, path: &Path, tree: Tree) -> nix::Result<OwnedFd> {
    let path = c_string(path)?;
    let mut flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as libc::c_uint;
    if tree == Tree::CloneRecursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    // SAFETY: the path is a C string that outlives the call.
    let fd =
        Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) })?;
    Ok(owned(fd as i32))
}

/// move_mount(2): attaches a detached mount onto the object `target` refers to.
///
/// # Errors
/// Those of move_mount(2).
pub fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    /// `MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH`.
    const BOTH_EMPTY: libc::c_uint = 0x4 | 0x40;
    // SAFETY: both paths are static empty C strings.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            BOTH_EMPTY,
        )
    };
    Errno::result(result).map(drop)
}

/// mount_setattr(2) on the mount that `mount` refers to.
///
/// `propagation` is one of `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, or 0 to leave it.
///
/// # Errors
/// Those of mount_setattr(2); `EPERM` when a flag is locked by a more privileged namespace.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    propagation: u64,
    recursive: bool,
) -> nix::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the attributes outlive the call and their size is given; the path is a static C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// A file system being configured (fsopen(2)).
#[derive(Debug)]
pub struct FsContext(OwnedFd);

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_SET_FD: libc::c_uint = 5;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

impl FsContext {
    /// fsopen(2).
    ///
    /// # Errors
    /// `ENODEV` when the kernel lacks the file system, `EPERM` without the capability.
    pub fn open(kind: &CStr) -> nix::Result<Self> {
        const FSOPEN_CLOEXEC: libc::c_uint = 1;
        // SAFETY: the name is a C string that outlives the call.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
        Ok(FsContext(owned(fd as i32)))
    }

    fn config(
        &self,
        command: libc::c_uint,
        key: *const libc::c_char,
        value: *const libc::c_char,
        aux: i32,
    ) -> nix::Result<()> {
        // SAFETY: key and value are null or C strings that outlive the call; the kernel checks the rest.
        let result =
            unsafe { libc::syscall(libc::SYS_fsconfig, self.0.as_raw_fd(), command, key, value, aux) };
        Errno::result(result).map(drop)
    }

    /// Sets an option without a value.
    ///
    /// # Errors
    /// `EINVAL` when the file system does not know it.
    pub fn flag(&self, key: &CStr) -> nix::Result<()> {
        self.config(FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null(), 0)
    }

    /// Sets an option; the kernel cuts values off at 256 bytes, so paths go by descriptor or short name.
    ///
    /// # Errors
    /// `EINVAL` when the file system does not know the option or value.
    pub fn string(&self, key: &CStr, value: &CStr) -> nix::Result<()> {
        self.config(FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0)
    }

    /// Sets an option to a descriptor; overlay takes layers so since Linux 6.13.
    ///
    /// # Errors
    /// `EINVAL` when the kernel does not take a descriptor here.
    pub fn fd(&self, key: &CStr, value: BorrowedFd<'_>) -> nix::Result<()> {
        self.config(FSCONFIG_SET_FD, key.as_ptr(), std::ptr::null(), value.as_raw_fd())
    }

    /// Creates the file system and gives it as a detached mount with these [`attr`] bits.
    ///
    /// # Errors
    /// Those of the file system's own mount code.
    pub fn mount(self, attributes: u64) -> nix::Result<OwnedFd> {
        const FSMOUNT_CLOEXEC: libc::c_uint = 1;
        self.config(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null(), 0)?;
        // SAFETY: takes integers only.
        let fd = Errno::result(unsafe {
            libc::syscall(libc::SYS_fsmount, self.0.as_raw_fd(), FSMOUNT_CLOEXEC, attributes as libc::c_uint)
        })?;
        Ok(owned(fd as i32))
    }

    /// What the kernel logged about the last failure, if anything.
    pub fn message(&self) -> String {
        let mut buffer = [0u8; 512];
        match nix::unistd::read(&self.0, &mut buffer) {
            Ok(n) => String::from_utf8_lossy(&buffer[..n]).trim().to_owned(),
            Err(_) => String::new(),
        }
    }
}

/// A new file system of this kind as a detached mount, with string options.
///
/// # Errors
/// Those of fsopen(2), fsconfig(2) and fsmount(2).
pub fn new_mount(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> nix::Result<OwnedFd> {
    let context = FsContext::open(kind)?;
    // What mount tables show as the device.
    context.string(c"source", kind)?;
    for (key, value) in options {
        context.string(key, value)?;
    }
    context.mount(attributes)
}
