//! Loading a seccomp filter (seccomp(2)).

use super::fd::owned;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::OwnedFd;

/// Installs a filter on this thread: `struct sock_filter` after `struct sock_filter`, with
/// `SECCOMP_FILTER_FLAG_*` bits.
///
/// # Errors
/// `EACCES` without `no_new_privs` and without `CAP_SYS_ADMIN`; `EINVAL` when it is not a valid program
/// or longer than 4096 instructions.
pub fn install(program: &[u8], flags: u32) -> nix::Result<()> {
    set_filter(program, flags).map(drop)
}

/// As [`install`], of a filter that leaves system calls to somebody else (`SECCOMP_RET_USER_NOTIF`). He reads what is
/// to be decided from the descriptor, as [`Calls`](super::calls::Calls) does.
///
/// # Errors
/// As there; `EBUSY` when a filter of this process has such a descriptor already.
pub fn install_watched(program: &[u8]) -> nix::Result<OwnedFd> {
    let flags = u32::try_from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER).map_err(|_| Errno::EINVAL)?;
    let fd = i32::try_from(set_filter(program, flags)?).map_err(|_| Errno::EBADF)?;
    Ok(owned(fd))
}

/// Whether the kernel can leave system calls to another process (`SECCOMP_GET_ACTION_AVAIL`).
pub fn can_watch() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: passes a pointer to a number, which the call only reads.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

fn set_filter(program: &[u8], flags: u32) -> nix::Result<libc::c_long> {
    const SIZE: usize = size_of::<libc::sock_filter>();
    let count = program.len() / SIZE;
    if count == 0 || !program.len().is_multiple_of(SIZE) {
        return Err(Errno::EINVAL);
    }
    // A byte slice need not be aligned as the kernel wants it, so the instructions are copied.
    let instructions: Vec<libc::sock_filter> = program
        .chunks_exact(SIZE)
        .map(|b| libc::sock_filter {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect();
    let header = libc::sock_fprog {
        len: u16::try_from(count).map_err(|_| Errno::EINVAL)?,
        filter: instructions.as_ptr().cast_mut(),
    };
    // SAFETY: the header points to `count` instructions that outlive the call, which only reads them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const header) };
    Errno::result(result)
}
