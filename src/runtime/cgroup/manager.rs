//! Who manages the cgroups of containers.

use super::group::{MOUNTS, hierarchy};
use std::path::Path;

/// Podman's word for it: `systemd`, whose user manager is asked where systemd runs a machine with version 2 only; else
/// `cgroupfs`.
pub fn manager() -> &'static str {
    let only = hierarchy() == Some(MOUNTS[0]);
    if only && Path::new("/run/systemd/system").exists() { "systemd" } else { "cgroupfs" }
}
