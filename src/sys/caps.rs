//! What both nix and `caps` lack: capabilities without a name, and the session keyring.

use nix::errno::Errno;
use nix::libc;

/// Drops from the bounding set every capability for which `keep` is false, by number and including
/// those newer than this program (prctl(2) `PR_CAPBSET_DROP`).
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`.
pub fn drop_bounding(keep: impl Fn(u8) -> bool) -> nix::Result<()> {
    for number in (0..64u8).filter(|n| !keep(*n)) {
        // SAFETY: takes integers only.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
        match Errno::result(result) {
            // The first number above the kernel's last capability.
            Err(Errno::EINVAL) => return Ok(()),
            other => other?,
        };
    }
    Ok(())
}

/// Gives this process an empty session keyring of its own (keyctl(2) `KEYCTL_JOIN_SESSION_KEYRING`), so
/// that what it executes possesses none of the caller keys.
///
/// # Errors
/// `EDQUOT` when the user has too many keys; `ENOSYS` when the kernel has no keyrings.
pub fn join_new_session_keyring() -> nix::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    Errno::result(result).map(drop)
}
