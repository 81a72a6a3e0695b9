//! Other mount namespaces in which something is shown.
//!
//! Theory of operation. Nothing is recorded of them: they are found by the processes in them. A process of a container
//! can mount what it likes where it likes in a namespace of its own, so only namespaces count that belong to the
//! shared user namespace that this process is in, where only the user's own commands are.

use crate::storage::mount_table;
use crate::sys::namespace;
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The mount namespaces that are owned by this process's user namespace and in which something is mounted on a path,
/// this process's own included. Those of processes that are closed to this one are left out.
pub fn of(point: &Path) -> Vec<OwnedFd> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let Some(own) = File::open("/proc/self/ns/user").ok().and_then(|own| identity(own.as_fd())) else {
        return found;
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in pids {
        let Ok(namespace) = File::open(format!("/proc/{pid}/ns/mnt")) else { continue };
        let Some(which) = identity(namespace.as_fd()) else { continue };
        if !seen.insert(which) {
            continue;
        }
        let owner = namespace::owner(namespace.as_fd()).ok().and_then(|owner| identity(owner.as_fd()));
        let shown = || mount_table::points_seen_by(Pid::from_raw(pid)).is_ok_and(|all| has(&all, point));
        if owner == Some(own) && shown() {
            found.push(namespace.into());
        }
    }
    found
}

fn has(points: &[std::path::PathBuf], point: &Path) -> bool {
    points.iter().any(|mounted| mounted == point)
}

/// What tells a namespace from all others that there are.
fn identity(namespace: BorrowedFd<'_>) -> Option<(u64, u64)> {
    fstat(namespace).ok().map(|found| (found.st_dev, found.st_ino))
}
