//! Kernel keys: a container has no access to its caller's.
//!
//! Theory of operation. A process inherits its session keyring across clone(2), exec and into user namespaces,
//! and possesses the keys in it (keyrings(7)). So each payload gets an empty session keyring of its own. The
//! kernel charges it to the real user, who for the container's root is this account, and a container can use up
//! the account's quota (`kernel.keys.maxkeys`, 200 keys), because each of its processes may hold a keyring.
//! That must not prevent the account's other containers from starting, so the keyring is then charged to one of
//! the container's many other users; using up the quotas of all of them takes millions of keys.
//!
//! If no user has quota left, or there is only one, the caller's keyring stays, and a filter blocks every
//! system call with which a process uses keys; they fail with `EDQUOT`, which is accurate.
//!
//! Keyrings are not named, because the contents of a keyring that is found by its name are up to whoever
//! created it.

use super::seccomp;
use crate::fork::{Doing, Failure};
use crate::sys::caps::join_new_session_keyring;
use crate::sys::random;
use nix::errno::Errno;
use nix::unistd::{Uid, getuid, setresuid};

/// How many other users are tried; most containers have 65536.
const USERS: usize = 32;
/// What [`setresuid`] leaves as it is.
const SAME: Uid = Uid::from_raw(u32::MAX);

/// Lets go of the session keyring that this process has from its caller. It still has the capabilities of the
/// container's root.
///
/// # Errors
/// When the kernel refuses for another reason than the quota, or the filter cannot be loaded.
pub(super) fn leave_session() -> Result<(), Failure> {
    match join_new_session_keyring() {
        Ok(()) | Err(Errno::ENOSYS) => return Ok(()),
        Err(Errno::EDQUOT) => {}
        other => return other.doing("make", "a session keyring"),
    }
    if charged_to_another()? {
        return Ok(());
    }
    log::debug!("no user of the container may have another key: it gets no keys at all");
    let filter = seccomp::without_keys()
        .map_err(|e| Failure::other("make", "a filter in place of a session keyring", e.in_one_line()))?;
    filter.load().doing("load", "a filter in place of a session keyring")
}

/// Makes the keyring as other users; whether one of them had room for it. Only the real user changes meanwhile,
/// which no capability depends on.
fn charged_to_another() -> Result<bool, Failure> {
    let own = getuid();
    let mut numbers = [0; 2 * USERS];
    random::fill(&mut numbers).doing("choose", "a user")?;
    for bytes in numbers.chunks_exact(2) {
        let other = Uid::from_raw(u16::from_ne_bytes([bytes[0], bytes[1]]).into());
        if other == own || setresuid(other, SAME, SAME).is_err() {
            // Not one of this container's.
            continue;
        }
        let made = join_new_session_keyring();
        setresuid(own, SAME, SAME).doing("become", "the container's root again")?;
        match made {
            Ok(()) => return Ok(true),
            Err(Errno::EDQUOT) => {}
            other => other.doing("make", "a session keyring")?,
        }
    }
    Ok(false)
}
