//! Kernel keys: a container possesses none of its caller's.
//!
//! Theory of operation. A process inherits its session keyring over clone(2), exec and into user namespaces,
//! and possesses what is in it (keyrings(7)). So each payload gets an empty one of its own. The kernel charges
//! it to the real user, who for the container's root is this account, and a container can use up what an
//! account may have (`kernel.keys.maxkeys`, 200 keys): its processes may hold a keyring each. That must not
//! keep the account's other containers from starting, so then the keyring is charged to another user of the
//! container's, any of its many; to have them all use up what they may have takes millions of keys.
//!
//! Where no user has room, or there is only one, the caller's keyring stays and a filter takes away every
//! system call by which a process makes use of keys itself: they answer `EDQUOT`, which is true.
//!
//! No names are given to keyrings: one that is found by its name is what another made of it.

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
