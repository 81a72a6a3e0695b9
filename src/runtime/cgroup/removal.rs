//! Killing what is left in a container's cgroup, and removing it.

use super::group::{Group, name, of_process};
use super::limits;
use crate::spec::ContainerSpec;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// Maximum depth of cgroups below a container's that are removed; the rest is left to its owner.
const DEPTH_MAX: usize = 32;

/// Ends what is left in a container's own cgroup and removes it; for its monitor, when the payload has
/// ended. Costs one look where there is none.
pub fn clear(plan: &ContainerSpec) {
    let own = name(&plan.id);
    if let Some(parent) = of_process(std::process::id().cast_signed()) {
        remove(&format!("{}/{own}", parent.trim_end_matches('/')), &own);
    }
    // Limits may have been set after the container was made.
    let limits = &plan.limits;
    if (!limits.resources.is_empty() || limits.manages_cgroups || !plan.lifecycle.auto_remove)
        && let Some(path) = limits::path(&plan.id, plan.limits.cgroup_parent.as_deref())
    {
        remove(&path, &own);
    }
}

fn remove(path: &str, own: &str) {
    let Ok(group) = Group::open(path) else { return };
    let _ = group.write("cgroup.kill", "1");
    let Ok(above) = Group::open(path.strip_suffix(own).unwrap_or(path)) else { return };
    // Killed processes leave in their own time.
    for _ in 0..100 {
        let events = openat(&group.dir, "cgroup.events", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let Ok(events) = events.map(File::from) else { return };
        // Only what comes after it was read wakes.
        let _ = (&events).read(&mut [0; 128]);
        remove_below(&group.dir, DEPTH_MAX);
        if unlinkat(&above.dir, own, UnlinkatFlags::RemoveDir) != Err(Errno::EBUSY) {
            return;
        }
        let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(10u8));
    }
}

/// Removes the cgroups that the container made below its own. Those with processes stay.
fn remove_below(dir: &OwnedFd, depth: usize) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let Ok(listed) = openat(dir, ".", flags, Mode::empty()) else { return };
    let Ok(mut entries) = Dir::from_fd(listed) else { return };
    for entry in entries.iter().flatten() {
        let name = entry.file_name();
        if entry.file_type() != Some(Type::Directory) || name.to_bytes().starts_with(b".") {
            continue;
        }
        if depth > 0
            && let Ok(below) = openat(dir, name, flags, Mode::empty())
        {
            remove_below(&below, depth - 1);
        }
        let _ = unlinkat(dir, name, UnlinkatFlags::RemoveDir);
    }
}
