//! Keeping containers out of the caller cgroup.
//!
//! Theory of operation. The files of a cgroup that systemd delegates to a user (cgroup-v2.rst, "Delegation")
//! belong to that user, who is root in every container. Root in a container can create a user and a cgroup
//! namespace, whose root is the cgroup that the process is in, and mount the hierarchy there; none of our
//! mounts prevents that, and it needs no capabilities to begin with. In the caller's cgroup, `cgroup.kill`
//! would then kill the caller's session. So:
//! - A container is cloned ([`fork::spawn_in`], clone3(2) `CLONE_INTO_CGROUP`) into a cgroup of its own if the
//!   account may modify the one it would be in. This takes less than a tenth of a millisecond. If the account
//!   may not, nobody inside can either.
//! - The same goes for each process that is later started in a container, as it comes from another cgroup
//!   ([`super::reach()`]).
//! - A container in the host's network sees the host's sysfs, and in it all cgroups of the account. These are
//!   made read-only while the mount namespace still belongs to the shared user namespace; mounts copied into
//!   the container's namespace keep that flag locked (mount_namespaces(7)).
//!
//! Cgroups that a user explicitly mounts from the host are as writable as requested.
//!
//! [`fork::spawn_in`]: crate::fork::spawn_in

use super::group::{Group, LOOK, MOUNTS, name, of_process};
use crate::container::ContainerId;
use crate::fork::{Doing, Failure};
use crate::sys::mount::{self, attr};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, faccessat};
use std::os::fd::AsFd;

/// What is needed from a cgroup that belongs to someone else.
const FILES: [&str; 6] =
    [".", "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.subtree_control"];

/// Whether this account may change the cgroup at this path, be it one file of it.
pub(super) fn is_ours(path: &str) -> bool {
    let Ok(group) = Group::open(path) else { return false };
    FILES.iter().any(|file| faccessat(&group.dir, *file, AccessFlags::W_OK, AtFlags::empty()).is_ok())
}

/// A cgroup for a container below this process's own, if that is this account's to change.
///
/// # Errors
/// When it is, and none can be made: the container would have power over whatever else is there.
pub fn apart(id: &ContainerId) -> Result<Option<Group>, Failure> {
    let Some(own) = of_process(std::process::id().cast_signed()) else { return Ok(None) };
    below(&own, &name(id))
}

/// A cgroup for the processes of one command, made where [`apart`] would make one.
pub(super) fn below(parent: &str, name: &str) -> Result<Option<Group>, Failure> {
    if !is_ours(parent) {
        return Ok(None);
    }
    let made = Group::below(parent, name).map(Some);
    made.map_err(|errno| {
        let mut failure = Failure::new("make a cgroup below", parent, errno);
        let hint = "The container could kill other processes in it. Start it in a cgroup of its own: \
                    systemd-run --user --scope -p Delegate=yes coracle ...";
        failure.hints = Box::new([hint.to_owned()]);
        failure
    })
}

/// Makes the host's cgroups read-only in this mount namespace, for those that are copied from it.
///
/// # Errors
/// Those of mount_setattr(2).
pub fn lock_view() -> Result<(), Failure> {
    for place in MOUNTS {
        let Ok(found) = open(place, LOOK, Mode::empty()) else { continue };
        match mount::set_attributes(found.as_fd(), attr::RDONLY, 0, 0, true) {
            // No mount point: what is there belongs to the mount above it.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(e) => return Err(e).doing("write-protect", place),
        }
    }
    Ok(())
}
