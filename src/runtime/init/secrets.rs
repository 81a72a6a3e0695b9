//! Secrets as files: stored with the generated files in memory, each mounted separately and read-only.

use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, Scratch, Target};
use crate::runtime::passwd::ResolvedUser;
use crate::runtime::secrets::SecretFile;
use crate::sys::mount::{self, attr};
use nix::libc;
use nix::unistd::{Gid, Uid, fchown};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Mounts each secret at its place; returns the files, whose owner is known only later.
///
/// # Errors
/// When a mount point cannot be made, or the mount fails: a payload without its secret is not started.
pub(super) fn mount(
    scratch: &mut Scratch,
    root: BorrowedFd<'_>,
    secrets: &[SecretFile],
) -> Result<Vec<OwnedFd>, Failure> {
    let mut kept = Vec::new();
    for secret in secrets {
        let (file, tree) = scratch.keep(&secret.value, secret.mode)?;
        mount::set_attributes(tree.as_fd(), attr::RDONLY, 0, libc::MS_PRIVATE, false)
            .doing("make read-only", &secret.path)?;
        files::mount_at(root, &secret.path, Target::File, tree.as_fd())?;
        kept.push(file);
    }
    Ok(kept)
}

/// Gives the files to their owners, the payload's user unless another one was requested.
///
/// # Errors
/// `EINVAL` for an id that does not exist inside.
pub(super) fn hand_over(
    kept: Vec<OwnedFd>,
    secrets: &[SecretFile],
    user: &ResolvedUser,
) -> Result<(), Failure> {
    for (file, secret) in kept.iter().zip(secrets) {
        let (uid, gid) = (secret.uid.unwrap_or(user.uid), secret.gid.unwrap_or(user.gid));
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .doing("change the owner of", &secret.path)?;
    }
    Ok(())
}
