//! Who manages the cgroups of containers.

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::path::Path;

/// Podman's word for it: `systemd`, whose user manager is asked where systemd runs a machine with version 2 only; else
/// `cgroupfs`.
pub fn manager() -> &'static str {
    let only = statfs("/sys/fs/cgroup").is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC);
    if only && Path::new("/run/systemd/system").exists() { "systemd" } else { "cgroupfs" }
}
